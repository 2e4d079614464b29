"""Pictures of recent requests, decoded once: a picture is asked about many times, step after step."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from PIL import Image

from infinity_mm.synth.chat import Request
from infinity_mm.synth.engines import common
from infinity_mm.synth.models.rules import PictureRule

#: Bytes of decoded pictures that are kept: 850 of 448 x 448 pixels, 170 of 1024 x 1024.
MOST_BYTES: Final = 512 << 20


class RecentPictures:
    """The pictures that requests brought last, under names that stand for their content."""

    def __init__(self, max_side: int, rule: PictureRule | None = None, most: int = MOST_BYTES) -> None:
        """`max_side` and `rule` are as for `common.open_pictures`; `most` bytes of pixels are kept."""
        self._max_side = max_side
        self._rule = rule
        self._most = most
        self._kept: OrderedDict[str, Image.Image] = OrderedDict()
        self._bytes = 0

    def open(self, request: Request) -> list[tuple[str, Image.Image]]:
        """Return (SHA-256 of the file, picture) of each picture of `request`; the pictures must not be changed.

        Raises `common.PictureError` as `common.open_pictures` does.
        """
        names = [hashlib.sha256(data).hexdigest() for data in request.images]
        if all(name in self._kept for name in names):
            pictures = [self._kept[name] for name in names]
        else:
            pictures = common.open_pictures(request, self._max_side, self._rule)
        for name, picture in zip(names, pictures, strict=True):
            if name not in self._kept:
                self._kept[name] = picture
                self._bytes += _bytes(picture)
            self._kept.move_to_end(name)
        while self._bytes > self._most:
            self._bytes -= _bytes(self._kept.popitem(last=False)[1])
        return list(zip(names, pictures, strict=True))


def _bytes(picture: Image.Image) -> int:
    """Return the bytes of an RGB picture's pixels."""
    return 3 * picture.width * picture.height
