"""Pictures: facts equal independent references, and no bytes at all make `measure_image` raise."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from functools import cache

import imagehash
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from infinity_mm.images import PILLOW_HARD_LIMIT, ImageFacts, ImageFault, ImageLimits, luma_spread, measure_image, phash

LIMITS = ImageLimits()


def photo(seed: int = 0, size: tuple[int, int] = (97, 61)) -> Image.Image:
    """A smooth random field with noise on it: the spectrum of a photograph, roughly."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    noisy = np.asarray(coarse, dtype=np.int16) + rng.integers(-9, 10, (size[1], size[0], 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def facts(data: bytes) -> ImageFacts:
    found = measure_image(data, LIMITS)
    assert isinstance(found, ImageFacts), found
    return found


def fault(data: bytes, limits: ImageLimits = LIMITS) -> ImageFault:
    found = measure_image(data, limits)
    assert isinstance(found, ImageFault), found
    return found


def test_facts_of_a_known_picture() -> None:
    image = Image.new("RGB", (40, 20), (0, 0, 0))
    image.paste((255, 255, 255), (20, 0, 40, 20))
    data = encode(image, "PNG")
    found = facts(data)
    assert (found.width, found.height, found.format, found.mode, found.frames) == (40, 20, "png", "RGB", 1)
    assert found.file_bytes == len(data)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.luma_std == pytest.approx(127.5)
    thumb = np.frombuffer(found.thumb, dtype=np.uint8).reshape(16, 16)
    assert (thumb[:, :8] == 0).all()
    assert (thumb[:, 8:] == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"])
def test_the_format_comes_from_the_content(kind: str) -> None:
    found = facts(encode(photo(), kind))
    assert found.format == kind.lower()
    assert (found.width, found.height) == (97, 61)


def test_lossless_copies_share_pixel_sha256_and_lossy_ones_do_not() -> None:
    image = photo()
    lossless = [
        encode(image, "PNG"),
        encode(image, "PNG", compress_level=0),
        encode(image, "BMP"),
        encode(image, "TIFF"),
        encode(image, "WEBP", lossless=True),
        encode(image.convert("RGBA"), "PNG"),
    ]
    found = [facts(data) for data in lossless]
    assert len({f.pixel_sha256 for f in found}) == 1
    assert len({f.sha256 for f in found}) == len(lossless)
    assert facts(encode(image, "JPEG", quality=60)).pixel_sha256 != found[0].pixel_sha256


def test_pixel_sha256_knows_the_shape() -> None:
    wide, tall = Image.new("RGB", (20, 10), "red"), Image.new("RGB", (10, 20), "red")
    assert facts(encode(wide, "PNG")).pixel_sha256 != facts(encode(tall, "PNG")).pixel_sha256


@pytest.mark.parametrize("height", [1, 31, 32, 33, 100])
def test_pixel_sha256_is_of_the_size_and_all_rows(height: int) -> None:
    pixels = np.random.default_rng(height).integers(0, 256, (height, 17, 3), dtype=np.uint8)
    expected = hashlib.sha256(f"17x{height}:".encode() + pixels.tobytes()).hexdigest()
    assert facts(encode(Image.fromarray(pixels), "PNG")).pixel_sha256 == expected


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK"])
def test_every_stored_mode_is_measured(mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    found = facts(encode(photo().convert(mode), kind))
    assert found.mode == mode
    assert found.luma_std > 10


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_keeps_its_high_byte(kind: str) -> None:
    grey = photo().convert("L")
    wide = np.asarray(grey).astype(np.uint16) * 256 + 77
    found = facts(encode(Image.fromarray(wide), kind))
    assert found.pixel_sha256 == facts(encode(grey, "PNG")).pixel_sha256
    assert found.mode in ("I;16", "I")


def test_transparency_is_composited_on_white() -> None:
    clear = Image.new("RGBA", (30, 30), (0, 0, 0, 0))
    white = facts(encode(Image.new("RGB", (30, 30), "white"), "PNG"))
    assert facts(encode(clear, "PNG")).pixel_sha256 == white.pixel_sha256
    keyed = encode(Image.new("RGB", (30, 30), (1, 2, 3)), "PNG", transparency=(1, 2, 3))
    assert facts(keyed).pixel_sha256 == white.pixel_sha256
    palette = encode(Image.new("P", (30, 30), 0), "GIF", transparency=0)
    assert facts(palette).pixel_sha256 == white.pixel_sha256


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_measured_by_its_first_frame(kind: str) -> None:
    first, second = Image.new("RGB", (24, 24), (200, 0, 0)), Image.new("RGB", (24, 24), (0, 0, 200))
    data = encode(first, kind, save_all=True, append_images=[second], lossless=True, duration=40)
    found = facts(data)
    assert found.frames == 2
    assert found.pixel_sha256 == facts(encode(first, "PNG")).pixel_sha256


def test_previews_inside_a_jpeg_are_not_frames() -> None:
    data = encode(photo(), "MPO", save_all=True, append_images=[photo(1)])
    found = facts(data)
    assert (found.format, found.frames) == ("jpeg", 1)


def test_floating_point_pixels_are_a_fault() -> None:
    data = encode(Image.fromarray(np.ones((20, 20), dtype=np.float32)), "TIFF")
    assert fault(data).reason == "undecodable_image"


# Perceptual hash.


def varied() -> list[Image.Image]:
    pictures = [photo(seed, size) for seed in range(40) for size in ((97, 61), (31, 200), (640, 480))]
    pictures += [Image.new("RGB", (50, 40), (value, value // 2, 255 - value)) for value in (0, 7, 128, 254, 255)]
    for columns in range(1, 9):  # symmetric, few colours: many coefficients are exactly zero
        bars = Image.new("L", (64 * columns, 64), 255)
        draw = ImageDraw.Draw(bars)
        for k in range(columns):
            draw.rectangle((64 * k, 8 * k, 64 * k + 31, 63), fill=0)
        pictures.append(bars)
    pictures += [photo(3).convert(mode) for mode in ("1", "L", "P", "CMYK")]
    pictures += [Image.new("L", (1, 1), 9), photo(5, (1, 300)), photo(6, (2000, 3))]
    return pictures


def test_phash_is_that_of_imagehash_bit_for_bit() -> None:
    for image in varied():
        assert phash(image) == int(str(imagehash.phash(image, hash_size=8, highfreq_factor=4)), 16)


def test_measured_phash_is_that_of_imagehash_on_the_decoded_file() -> None:
    for seed in range(10):
        for kind in ("JPEG", "PNG", "WEBP", "GIF"):
            data = encode(photo(seed, (320, 240)), kind)
            with Image.open(io.BytesIO(data)) as image:
                assert facts(data).phash == int(str(imagehash.phash(image)), 16)


def test_a_resized_copy_stays_near_and_another_picture_does_not() -> None:
    image = photo(1, (640, 480))
    original = facts(encode(image, "PNG")).phash
    copy = facts(encode(image.resize((320, 240)), "JPEG", quality=70)).phash
    other = facts(encode(photo(2, (640, 480)), "PNG")).phash
    assert (original ^ copy).bit_count() <= 4
    assert (original ^ other).bit_count() > 10


# Faults.


def test_zero_bytes() -> None:
    assert fault(b"").reason == "empty_image"


@pytest.mark.parametrize("data", [b"\0", b"<html>404</html>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"GIF89a", b"\xff\xd8\xff"])
def test_no_picture(data: bytes) -> None:
    assert fault(data).reason == "undecodable_image"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_cut_file_is_a_fault(kind: str) -> None:
    data = encode(photo(0, (200, 160)), kind)
    assert fault(data[: len(data) // 2]).reason == "undecodable_image"


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims the given size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(10_000, 9_000), (60_000, 60_000)])
def test_a_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    assert fault(bomb(*size)).reason == "image_too_large"


def test_limits_are_inclusive() -> None:
    data = encode(Image.new("RGB", (30, 20)), "PNG")
    assert isinstance(measure_image(data, ImageLimits(max_pixels=600, max_bytes=len(data))), ImageFacts)
    assert fault(data, ImageLimits(max_pixels=599)).detail == "30 x 20 > max_pixels=599"
    assert fault(data, ImageLimits(max_bytes=len(data) - 1)).reason == "image_too_large"


def test_the_limit_cannot_pass_pillows_own() -> None:
    with pytest.raises(ValueError, match="less than or equal"):
        ImageLimits(max_pixels=PILLOW_HARD_LIMIT + 1)


@cache
def seeds() -> tuple[bytes, ...]:
    small = photo(0, (23, 17))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    frames = {"save_all": True, "append_images": [photo(1, (23, 17))]}
    return (
        encode(small, "JPEG", exif=exif),
        encode(small, "JPEG", progressive=True),
        encode(small.convert("CMYK"), "JPEG"),
        encode(small, "PNG", exif=exif),
        encode(small.convert("P"), "PNG", transparency=3),
        encode(small, "PNG", **frames),
        encode(small.convert("P"), "GIF", **frames),
        encode(small, "WEBP", exif=exif),
        encode(small, "WEBP", **frames),
        encode(small, "TIFF", compression="tiff_lzw"),
        encode(small, "BMP"),
        encode(small, "PPM"),
        encode(small, "JPEG2000"),
        encode(small, "MPO", **frames),
    )


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real file with bytes overwritten, inserted, removed, or with its end cut."""
    data = bytearray(draw(st.sampled_from(range(len(seeds()))).map(lambda k: seeds()[k])))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(data)) | st.integers(0, min(len(data), 200)))
        kind = draw(st.sampled_from(["overwrite", "insert", "remove", "cut"]))
        noise = draw(st.binary(min_size=1, max_size=8) | st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"]))
        if kind == "overwrite":
            data[place : place + len(noise)] = noise
        elif kind == "insert":
            data[place:place] = noise
        elif kind == "remove":
            del data[place : place + len(noise)]
        elif place > 20:
            del data[place:]
    return bytes(data)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(damaged())
def test_damaged_files_never_raise(data: bytes) -> None:
    limits = ImageLimits(max_pixels=1_000_000)
    found = measure_image(data, limits)
    if isinstance(found, ImageFacts):
        assert found.width > 0
        assert found.height > 0
        assert len(found.thumb) == 256
        assert 0 <= found.phash < 2**64
        assert 1 <= found.frames < 2**31
        assert 0 <= found.luma_std <= 127.5
    else:
        assert found.detail
    assert measure_image(data, limits) == found


def test_a_strip_as_long_as_all_pixels_together_is_refused_before_it_is_decoded() -> None:
    found = fault(encode(Image.new("1", (20_000_000, 1)), "PNG"))
    assert (found.reason, "max_side=100000" in found.detail) == ("image_too_large", True)


@given(st.lists(st.integers(0, 2**27), min_size=256, max_size=256).filter(any))
def test_the_spread_of_the_luma_comes_from_exact_sums(histogram):
    count = sum(histogram)
    total = sum(value * number for value, number in enumerate(histogram))
    squares = sum(value * value * number for value, number in enumerate(histogram))
    assert luma_spread(histogram) == (count * squares - total * total) ** 0.5 / count
