"""Bodies of requests as AWS SDKs send them: HTTP chunks, ``aws-chunked`` inside them, checksums in front and behind."""

import hashlib
import struct
import zlib
from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from typing import IO

from tests.s3.objects import Refusal

#: CRC-64/NVME, reflected.
_POLYNOMIAL = 0x9A6C9329AC4BC9B5
#: Bytes of content up to which a CRC-64 is computed: in Python it takes a second for 15 MB.
CHECKED = 1 << 20
_FULL = (1 << 64) - 1


def _tables() -> list[list[int]]:
    """Return eight tables: what a byte adds to the sum when 0 to 7 more bytes follow it."""
    first = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
        first.append(byte)
    tables = [first]
    for _ in range(7):
        tables.append([first[value & 255] ^ value >> 8 for value in tables[-1]])
    return tables


_TABLES = _tables()


def crc64nvme(data: bytes) -> int:
    """Return the CRC-64/NVME, eight bytes at a time."""
    t0, t1, t2, t3, t4, t5, t6, t7 = _TABLES
    value = _FULL
    whole = len(data) & ~7
    for (word,) in struct.iter_unpack("<Q", data[:whole]):
        value ^= word
        value = (
            t7[value & 255] ^ t6[value >> 8 & 255] ^ t5[value >> 16 & 255] ^ t4[value >> 24 & 255]
            ^ t3[value >> 32 & 255] ^ t2[value >> 40 & 255] ^ t1[value >> 48 & 255] ^ t0[value >> 56]
        )  # fmt: skip
    for byte in data[whole:]:
        value = t0[(value ^ byte) & 255] ^ value >> 8
    return value ^ _FULL


def read_body(stream: IO[bytes], headers: Mapping[str, str]) -> bytes:
    """Return the content of a request; raises `Refusal` where its framing or a checksum is wrong."""
    if headers.get("transfer-encoding", "") == "chunked":
        raw = _http_chunks(stream)
    else:
        raw = _exactly(stream, int(headers.get("content-length", 0)))
    signed, encoding = headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), headers.get("content-encoding", "")
    if encoding not in ("", "aws-chunked") or (encoding != "") != (signed == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
        raise Refusal(501, "NotImplemented", f"content-encoding {encoding!r} with x-amz-content-sha256 {signed!r}")
    if encoding:
        data, sums = aws_chunks(raw, headers)
    else:
        data, sums = raw, {name: text for name, text in headers.items() if name.startswith("x-amz-checksum-crc")}
        if signed not in ("UNSIGNED-PAYLOAD", hashlib.sha256(data).hexdigest()):
            raise Refusal(400, "XAmzContentSHA256Mismatch", signed)
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    if headers.get("content-md5", b64encode(md5).decode()) != b64encode(md5).decode():
        raise Refusal(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
    for name, text in sums.items():
        _check(name, text, data)
    return data


def _http_chunks(stream: IO[bytes]) -> bytes:
    out = []
    while size := int(stream.readline().partition(b";")[0], 16):
        out.append(_exactly(stream, size))
        _end_of_line(stream)
    _end_of_line(stream)
    return b"".join(out)


def aws_chunks(raw: bytes, headers: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """Return content and trailers of an ``aws-chunked`` body, which must be of the length and trailers announced."""
    stream, out, trailers = BytesIO(raw), [], {}
    while True:
        line = stream.readline()
        if not line.endswith(b"\r\n") or not line.strip():
            raise Refusal(400, "IncompleteBody", f"chunk {line[:40]!r}")
        if (size := int(line, 16)) == 0:
            break
        out.append(_exactly(stream, size))
        _end_of_line(stream)
    while (line := stream.readline()) != b"\r\n":
        if not line.endswith(b"\r\n"):
            raise Refusal(400, "IncompleteBody", f"trailer {line[:40]!r}")
        name, _, text = line.decode("ascii").partition(":")
        trailers[name.lower()] = text.strip()
    data = b"".join(out)
    if str(len(data)) != headers.get("x-amz-decoded-content-length") or stream.read().strip():
        raise Refusal(400, "IncompleteBody", f"{len(data)} bytes in chunks")
    if sorted(trailers) != sorted(filter(None, headers.get("x-amz-trailer", "").split(","))):
        raise Refusal(400, "MalformedTrailerError", f"trailers {sorted(trailers)}")
    return data, trailers


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise Refusal(400, "IncompleteBody", f"{len(data)} of {size} bytes")
    return data


def _end_of_line(stream: IO[bytes]) -> None:
    if (line := stream.readline()) != b"\r\n":
        raise Refusal(400, "IncompleteBody", f"{line[:40]!r} behind a chunk")


def _check(name: str, text: str, data: bytes) -> None:
    if name == "x-amz-checksum-crc64nvme":
        if len(data) > CHECKED:
            return
        number = crc64nvme(data).to_bytes(8, "big")
    elif name == "x-amz-checksum-crc32":
        number = zlib.crc32(data).to_bytes(4, "big")
    else:
        raise Refusal(501, "NotImplemented", f"checksum {name}")
    if b64encode(number).decode() != text:
        raise Refusal(400, "BadDigest", f"The {name} you specified did not match what we received.")
