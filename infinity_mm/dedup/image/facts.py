"""One picture's bytes to what is compared, with as little decoding as that needs."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import xxhash
from PIL import Image, UnidentifiedImageError

from infinity_mm.dedup.image.params import ImageParams
from infinity_mm.images import (
    DECODE_ERRORS,
    ImageFault,
    ImageLimits,
    flat_share,
    luma_spread,
    openable,
    phash,
    pixel_sha256,
    visible_rgb,
)

#: Pixels that the shorter side of a scaled decode keeps: four times the side that the hash is made from.
SCALED_SIDE = 128
_THUMB_SIDE = 16


@dataclass(frozen=True)
class PictureFacts:
    """What is compared of one picture."""

    #: Pixels, as stored.
    width: int
    height: int
    file_bytes: int
    #: Equal only for equal pixels. Not equal for every such pair: where no full decode was needed it is the file's.
    content: str
    #: 64 bits, see `infinity_mm.images.phash`.
    phash: int
    luma_std: float
    #: 16 x 16 luma, uint8, row by row.
    thumb: bytes = field(repr=False)
    #: Mostly one tone, as pages, charts and drawings are.
    rendered: bool


def picture_facts(data: bytes, params: ImageParams, limits: ImageLimits) -> PictureFacts | ImageFault:
    """Return what is compared of a picture, or why it is none.

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size, and of its luma alone, where `params.decode` allows and the
    shorter side keeps 128 pixels (the DCT coefficients of a block hold its smaller versions: ITU-T T.81). Blank and
    rendered ones, of which pixels must be equal, and all other formats are decoded in full.
    """
    if not data:
        return ImageFault("empty_image", "0 bytes")
    if len(data) > limits.max_bytes:
        return ImageFault("image_too_large", f"file_bytes={len(data)} > max_bytes={limits.max_bytes}")
    try:
        scaled = _open(data, limits, params.decode == "scaled")
        if isinstance(scaled, ImageFault):
            return scaled
        size, rgb, full = scaled
        luma = rgb.convert("L")
        tones = luma.histogram()
        spread = luma_spread(tones)
        rendered = flat_share(tones) >= params.max_flat
        if full or rendered or spread < params.min_luma_std:
            whole = rgb if full else _whole(data)
            content = pixel_sha256(whole)
        else:
            content = f"file:{xxhash.xxh3_128_hexdigest(data)}"
    except Image.DecompressionBombError as error:
        return ImageFault("image_too_large", str(error))
    except UnidentifiedImageError:
        return ImageFault("undecodable_image", f"no known picture format, begins with {data[:12]!r}")
    except DECODE_ERRORS as error:
        return ImageFault("undecodable_image", f"{type(error).__name__}: {error}"[:300])
    thumb = luma.resize((_THUMB_SIDE, _THUMB_SIDE), Image.Resampling.BOX).tobytes()
    return PictureFacts(*size, len(data), content, phash(luma), spread, thumb, rendered)


def _open(data: bytes, limits: ImageLimits, scale: bool) -> tuple[tuple[int, int], Image.Image, bool] | ImageFault:
    """Return the size as stored, the picture in RGB or luma, and whether all its pixels are there."""
    with Image.open(io.BytesIO(data), formats=openable()) as image:
        width, height = size = image.size
        if width * height > limits.max_pixels or max(width, height) > limits.max_side:
            return ImageFault("image_too_large", f"{width} x {height} > {limits.max_pixels} pixels or > max_side")
        if scale and image.format in ("JPEG", "MPO") and min(size) >= 2 * SCALED_SIDE and image.mode in ("RGB", "L"):
            image.draft("L", (_scaled(width, size), _scaled(height, size)))
        image.load()
        if image.size == size:
            return size, visible_rgb(image), True
        return size, image.copy(), False


def _scaled(side: int, size: tuple[int, int]) -> int:
    return -(-side * SCALED_SIDE // min(size))


def _whole(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=openable()) as image:
        image.load()
        return visible_rgb(image)
