"""Reading a body under limits: size on the wire, size after decompression, and what its first bytes say."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

import aiohttp

from infinity_mm.download.content import SNIFFED_BYTES, looks_like, picture_format

BodyReason = Literal["too_large", "empty", "not_an_image", "protocol_error", "length_mismatch"]


@dataclass(frozen=True)
class BodyFault:
    """Why a body was not taken, or not read to its end."""

    reason: BodyReason
    detail: str


async def read_body(response: aiohttp.ClientResponse, limit: int, *, pictures_only: bool) -> bytes | BodyFault:
    """Return the body with its Content-Encoding undone, at most `limit` bytes.

    With `pictures_only` reading ends as soon as the first bytes are no picture's, and a larger body is a fault.
    Without, a larger one is cut at the limit. Raises the errors of aiohttp, and zlib.error.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        return BodyFault("protocol_error", f"Content-Encoding {encoding[:50]!r}, which was not asked for")
    length = response.content_length
    if pictures_only and length is not None and length > limit:
        return BodyFault("too_large", f"Content-Length {length}, limit {limit}")
    inflater = None if encoding in ("identity", "") else Inflater(encoding)
    chunks: list[bytes] = []
    wire = size = 0
    sniffed = not pictures_only
    while chunk := await response.content.readany():
        wire += len(chunk)
        if inflater is not None:
            chunk = inflater.inflate(chunk, limit - size + 1)
        chunks.append(chunk)
        size += len(chunk)
        if wire > limit or size > limit:
            if not pictures_only:
                break
            unpacked = f", {size} or more unpacked" if inflater else ""
            return BodyFault("too_large", f"{wire} bytes or more{unpacked}, limit {limit}")
        if not sniffed and size >= SNIFFED_BYTES:
            sniffed = True
            fault = _sniff(b"".join(chunks)[: SNIFFED_BYTES * 4], response)
            if fault is not None:
                return fault
    content = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if pictures_only and not content:
        return BodyFault("empty", "no bytes")
    if pictures_only and inflater is not None and not inflater.finished:
        return BodyFault("length_mismatch", f"the {encoding} stream ends before its end mark")
    if not sniffed and (fault := _sniff(content, response)) is not None:
        return fault
    return content[:limit]


def _sniff(head: bytes, response: aiohttp.ClientResponse) -> BodyFault | None:
    if picture_format(head) is not None:
        return None
    return BodyFault("not_an_image", f"looks like {looks_like(head)}, sent as {response.content_type}")


class Inflater:
    """Undoes gzip or deflate step by step, never further than asked."""

    def __init__(self, encoding: str) -> None:
        self._deflate = encoding == "deflate"
        self._engine = None if self._deflate else zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def finished(self) -> bool:
        """Return whether the stream's end mark has come."""
        return self._engine is not None and self._engine.eof

    def inflate(self, data: bytes, limit: int) -> bytes:
        """Return what `data` unpacks to, at most `limit` bytes of it. Raises zlib.error."""
        if self._engine is None:
            # "deflate" means zlib's format, yet some servers send it bare; the zlib header's first byte tells.
            bare = data[0] & 0x0F != 8
            self._engine = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS)
        return self._engine.decompress(data, max(1, limit))
