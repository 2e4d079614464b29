import io

import pytest
from PIL import Image

from infinity_mm.download.content import checksum_of, is_checksum, looks_like, picture_format


@pytest.mark.parametrize(
    ("pillow", "name"),
    [
        ("JPEG", "jpeg"),
        ("PNG", "png"),
        ("GIF", "gif"),
        ("WEBP", "webp"),
        ("BMP", "bmp"),
        ("TIFF", "tiff"),
        ("AVIF", "avif"),
        ("JPEG2000", "jpeg2000"),
        ("ICO", "ico"),
    ],
)
def test_real_files_are_known_by_their_first_bytes(pillow, name):
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, pillow)
    assert picture_format(buffer.getvalue()[:16]) == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\x0a" + bytes(14), "jxl"),
        (b"\x00\x00\x00\x0cJXL \r\n\x87\n\x00\x00\x00\x14", "jxl"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "heic"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00", "heic"),
    ],
)
def test_formats_that_pillow_does_not_write(head, name):
    assert picture_format(head) == name


@pytest.mark.parametrize(
    ("head", "seems"),
    [
        (b"<!DOCTYPE html>\n", "html"),
        (b"\xef\xbb\xbf\n <HTML><head>", "html"),
        (b'<svg xmlns="http', "svg, a drawing without pixels"),
        (b'<?xml version="1', "xml or svg"),
        (b'{"error": "gone"', "json"),
        (b"BMW cars for all", "text"),
        (b"Not Found", "text"),
        (b"%PDF-1.7\n", "pdf"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00", "unknown bytes 0000001866747970"),
    ],
)
def test_pages_and_other_files_are_no_pictures(head, seems):
    assert picture_format(head) is None
    assert looks_like(head) == seems


def test_checksums():
    assert is_checksum("")
    assert is_checksum("md5:" + "aB" * 16)
    assert not is_checksum("md5:" + "a" * 64)
    assert not is_checksum("a" * 32)
    assert checksum_of(b"", "md5:x") == "md5:d41d8cd98f00b204e9800998ecf8427e"
    assert checksum_of(b"", "SHA256:x") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
