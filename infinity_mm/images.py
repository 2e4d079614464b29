"""A picture's bytes, measured once.

`measure_image` is the only place where a stored picture is decoded for measuring: size, format,
checksums, perceptual hash, contrast and thumbnail all come from the one decode at ingestion, so no
later pass needs the pixels. It is pure and never raises for bad content; what cannot be a picture
comes back as an `ImageFault` with one of the quarantine reasons.

What is measured is the picture as a viewer shows it: the first frame, alpha composited on white, 16 bit
grey reduced to its high byte, converted to 8 bit RGB. EXIF orientation is not applied and colour profiles are
not either; width and height are those of the stored pixels.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pydantic import Field
from scipy.fft import dct

from infinity_mm.frozen import Frozen

#: Formats that are opened, by Pillow's names. Left out on purpose: EPS (runs Ghostscript), WMF (calls the system), and
#: formats no data set publishes, each of them more parser code within reach of hostile bytes.
FORMATS: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "PPM", "DIB")

#: Twice `PIL.Image.MAX_IMAGE_PIXELS` as Pillow ships it; above it Pillow refuses to open a file at all.
PILLOW_HARD_LIMIT = 178_956_970

#: What Pillow's plugins raise on damaged files; a fuzzing test holds the list complete. Zero-sized and
#: negative chunks end as ValueError or OverflowError, wrong tags as TypeError, KeyError or AttributeError, cut
#: headers as struct.error, IndexError or EOFError, damaged compression as zlib.error or OSError, failed plugin
#: assertions as AssertionError, unknown compressions as NotImplementedError (a RuntimeError), tiles outside the
#: picture as SystemError. MemoryError is left out: it would blame the data for a full machine.
DECODE_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    SyntaxError,
    ValueError,
    OverflowError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    AssertionError,
    RuntimeError,
    SystemError,
    struct.error,
    zlib.error,
)

_HASH_SIDE = 8
_HASH_INPUT_SIDE = 32
_THUMB_SIDE = 16
#: Luma levels to either side of the most frequent one that count as the same tone.
_TONE = 2
_STRIP = 32
_INT32_MAX = 2**31 - 1
_VALUES = np.arange(256, dtype=np.int64)
_SQUARES = _VALUES * _VALUES


class ImageLimits(Frozen):
    """What a picture may cost before it is decoded."""

    #: Width x height as the header states them, checked before decoding. The default, 89 million, is the size from
    #: which Pillow itself warns of a decompression bomb: 256 MiB as RGB. A measured picture takes
    #: up to 8 bytes a pixel at its peak, so this bounds a worker at about 0.7 GB.
    max_pixels: int = Field(default=PILLOW_HARD_LIMIT // 2, gt=0, le=PILLOW_HARD_LIMIT)
    #: Pixels. Resampling keeps about 50 bytes per pixel of a side in tables: a strip of 80 million by 1 needs 4 GB.
    max_side: int = Field(default=100_000, gt=0)
    #: Size of the file in bytes.
    max_bytes: int = Field(default=64 * 1024 * 1024, gt=0)


@dataclass(frozen=True)
class ImageFacts:
    """What one decode says about a picture."""

    #: Pixels, as stored.
    width: int
    #: Pixels, as stored.
    height: int
    #: From the content, lower case: "jpeg", "png", "webp", "gif", ... A JPEG with embedded previews (MPO) is "jpeg".
    format: str
    #: Pillow's mode of the stored picture: "RGB", "L", "P", "CMYK", "RGBA", "I;16", "1", ...
    mode: str
    #: Above 1 for animations and multi-page files.
    frames: int
    file_bytes: int
    #: Of the file's bytes, 64 hex digits.
    sha256: str
    #: Of the size and the RGB pixels, 64 hex digits: equal for lossless copies in whatever format.
    pixel_sha256: str
    #: 64 bits, see `phash`.
    phash: int
    #: Standard deviation of the luma, 0 to 127.5; 0 for a blank picture.
    luma_std: float
    #: Share of the pixels in the most frequent tone, 0 to 1: that of pages, charts and drawings is large.
    flat: float
    #: 16 x 16 luma, uint8, row by row: 256 bytes.
    thumb: bytes = field(repr=False)


@dataclass(frozen=True)
class ImageFault:
    """Why bytes are no usable picture."""

    reason: Literal["empty_image", "undecodable_image", "image_too_large"]
    #: The values that decided, for people.
    detail: str


def measure_image(data: bytes, limits: ImageLimits) -> ImageFacts | ImageFault:
    """Decode the picture fully, once, and return what is known of it, or why it is none.

    The format is found in the content, never in a name. A cut file is a fault, as is one whose pixels have no
    displayable range (floating point, LAB). Pixels and bytes are limited by the header, before decoding.
    Damage that the decoder conceals (a flipped bit inside JPEG data) is no fault and cannot be seen.
    """
    if not data:
        return ImageFault("empty_image", "0 bytes")
    if len(data) > limits.max_bytes:
        return ImageFault("image_too_large", f"file_bytes={len(data)} > max_bytes={limits.max_bytes}")
    try:
        with Image.open(io.BytesIO(data), formats=openable()) as image:
            width, height = image.size
            if width * height > limits.max_pixels:
                return ImageFault("image_too_large", f"{width} x {height} > max_pixels={limits.max_pixels}")
            if max(width, height) > limits.max_side:
                return ImageFault("image_too_large", f"{width} x {height} has a side > max_side={limits.max_side}")
            image.load()
            mode = image.mode
            rgb = visible_rgb(image)
            kind, frames = _kind_and_frames(image)
    except Image.DecompressionBombError as error:
        return ImageFault("image_too_large", str(error))
    except UnidentifiedImageError:  # its own message holds a memory address
        return ImageFault("undecodable_image", f"no known picture format, begins with {data[:12]!r}")
    except DECODE_ERRORS as error:
        return ImageFault("undecodable_image", f"{type(error).__name__}: {error}"[:300])
    luma = rgb.convert("L")
    tones = luma.histogram()
    return ImageFacts(
        width=rgb.width,
        height=rgb.height,
        format=kind,
        mode=mode,
        frames=frames,
        file_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        pixel_sha256=pixel_sha256(rgb),
        phash=phash(luma),
        luma_std=luma_spread(tones),
        flat=flat_share(tones),
        thumb=luma.resize((_THUMB_SIDE, _THUMB_SIDE), Image.Resampling.BOX).tobytes(),
    )


def visible_rgb(image: Image.Image) -> Image.Image:
    """Return the loaded picture in mode RGB, alpha composited on white.

    16 bit grey keeps its high byte: Pillow's own conversion clips everything above 255 to white. Raises ValueError
    where the mode has no displayable range.
    """
    if image.mode == "F":
        raise ValueError("floating point pixels have no displayable range")
    if image.mode == "I" or image.mode.startswith("I;16"):
        high_byte = np.clip(np.asarray(image), 0, 65535) >> 8
        return Image.fromarray(high_byte.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def pixel_sha256(rgb: Image.Image) -> str:
    """Return the SHA-256, 64 hex digits, of ``<width>x<height>:`` and the RGB bytes, row by row."""
    digest = hashlib.sha256(f"{rgb.width}x{rgb.height}:".encode("ascii"))
    for top in range(0, rgb.height, _STRIP):  # a strip stays in the cache; one copy of all pixels costs twice as much
        digest.update(rgb.crop((0, top, rgb.width, min(top + _STRIP, rgb.height))).tobytes())
    return digest.hexdigest()


def phash(image: Image.Image) -> int:
    """Return the 64 bit perceptual hash: bit for bit that of ``imagehash.phash(image)``, read as one hex number.

    The luma is resized to 32 x 32 (Lanczos) and transformed (two-dimensional DCT-II, float64); each of the 8 x 8
    lowest frequencies gives one bit, row by row, most significant first: is it above their median?
    Method: N. Krawetz, "Looks Like It", hackerfactor.com, 2011, in the variant of the imagehash package.

    The DCT is scipy's because equality is exact only with the same algorithm: on pictures of few colours many
    coefficients are zero, and the rounding noise of another summation order (a matrix product) would decide.
    """
    side = _HASH_INPUT_SIDE
    small = image.convert("L").resize((side, side), Image.Resampling.LANCZOS)
    columns: NDArray[np.float64] = dct(np.asarray(small), axis=0)[:_HASH_SIDE]
    low: NDArray[np.float64] = dct(columns, axis=1)[:, :_HASH_SIDE]
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")


def openable() -> tuple[str, ...]:
    """Return the accepted formats that this build of Pillow knows (AVIF is optional before 11.3)."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _kind_and_frames(image: Image.Image) -> tuple[str, int]:
    """Return format and frame count; the extra pictures of an MPO file are previews of a JPEG, not frames."""
    kind = (image.format or "").lower()
    if kind == "mpo":
        return "jpeg", 1
    return kind, min(int(getattr(image, "n_frames", 1)), _INT32_MAX)


def luma_spread(histogram: list[int]) -> float:
    """Return the standard deviation of a 256-bin histogram, from exact integer sums."""
    bins = np.array(histogram, np.int64)
    count, total, squares = int(bins.sum()), int(bins @ _VALUES), int(bins @ _SQUARES)
    return float((count * squares - total * total) ** 0.5 / count)  # of Python integers: 64 bits are too few here


def flat_share(histogram: list[int]) -> float:
    """Return the share of a 256-bin histogram that lies within two levels of its first highest bin, 0 to 1."""
    top = histogram.index(max(histogram))
    return sum(histogram[max(top - _TONE, 0) : top + _TONE + 1]) / sum(histogram)
