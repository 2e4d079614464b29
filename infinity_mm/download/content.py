"""What a body is, by its first bytes and its checksum."""

from __future__ import annotations

import hashlib
import re

_CHECKSUM = re.compile(r"(?i)(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})")
_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"\xff\x0a", "jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"\x00\x00\x01\x00", "ico"),
)
_BRANDS = {b"avif": "avif", b"avis": "avif"} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "heic"
)
#: What a page instead of a picture begins with, after blanks, in lower case.
_TEXTS: tuple[tuple[bytes, str], ...] = (
    (b"<svg", "svg, a drawing without pixels"),
    (b"<!doctype", "html"),
    (b"<html", "html"),
    (b"<?xml", "xml or svg"),
    (b"<", "markup"),
    (b"{", "json"),
    (b"[", "json"),
    (b"%pdf", "pdf"),
    (b"%!ps", "postscript"),
    (b"\x1f\x8b", "gzip"),
    (b"pk\x03\x04", "zip"),
)
#: Bytes after which `picture_format` has its final answer.
SNIFFED_BYTES = 16


def picture_format(head: bytes) -> str | None:
    """Return the raster format whose magic number begins `head`, or None.

    `head` holds the first `SNIFFED_BYTES` bytes, or all there are. SVG has no pixels of its own and is no picture here.
    """
    for prefix, name in _PREFIXES:
        if head.startswith(prefix):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and head[6:10] == bytes(4):  # reserved, zero in every bitmap; "BM" alone begins many a text
        return "bmp"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12])
    return None


def looks_like(head: bytes) -> str:
    """Return what `head`, which begins no picture, seems to begin, for people."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for prefix, name in _TEXTS:
        if text.startswith(prefix):
            return name
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
    return "text" if head and printable >= 0.9 * len(head) else f"unknown bytes {head[:8].hex()}"


def is_checksum(checksum: str) -> bool:
    """Return whether `checksum` is "", ``md5:<hex>`` or ``sha256:<hex>``."""
    return not checksum or _CHECKSUM.fullmatch(checksum) is not None


def checksum_of(content: bytes, checksum: str) -> str:
    """Return the checksum of `content` in the form and by the algorithm of `checksum`, which `is_checksum` accepts."""
    algorithm = checksum.partition(":")[0].lower()
    return f"{algorithm}:{hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()}"
