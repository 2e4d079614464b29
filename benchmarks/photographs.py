"""JPEGs of 640 x 480 for the measurements: crops of the photographs that the demo uses."""

from __future__ import annotations

import io
import random

from infinity_mm.demo.photos import PHOTOS, load


def photographs(count: int, seed: int, quality: int = 90) -> list[bytes]:
    """Return `count` different JPEGs of 640 x 480."""
    rng = random.Random(seed)
    loaded = [load(photo).convert("RGB") for photo in PHOTOS]
    pictures = []
    for number in range(count):
        image = loaded[number % len(loaded)]
        left, top = rng.randrange(max(1, image.width // 3)), rng.randrange(max(1, image.height // 3))
        crop = image.crop((left, top, image.width, image.height)).resize((640, 480))
        buffer = io.BytesIO()
        crop.save(buffer, "JPEG", quality=quality)
        pictures.append(buffer.getvalue())
    return pictures
