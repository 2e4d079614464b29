"""The members of a tar: found by reading its headers once, kept as sorted arrays of 32 bytes a member."""

from __future__ import annotations

import tarfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from infinity_mm.archives.pieces import Pieces

#: `Members.size` of a link: it is not followed.
LINK = -1

MEMBERS = pa.schema(
    [
        # xxh3_128 of the name without "./", in two halves; sorted by the first, then the second.
        pa.field("high", pa.uint64(), nullable=False),
        pa.field("low", pa.uint64(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),  # of the content, bytes from the start of the (unpacked) tar
        pa.field("size", pa.int64(), nullable=False),  # bytes; -1 for a link
    ]
)


@dataclass(frozen=True)
class Members:
    """Where the members of a tar are; columns as in `MEMBERS`."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]

    def find(self, name: str) -> tuple[int, int] | None:
        """Return (offset, size) of a member; of several with its name the last, as unpacking would."""
        high, low = _halves(name)
        start, stop = (
            np.searchsorted(self.high, np.uint64(high), "left"),
            np.searchsorted(self.high, np.uint64(high), "right"),
        )
        for place in range(int(start), int(stop)):
            if int(self.low[place]) == low:
                return int(self.offset[place]), int(self.size[place])
        return None

    def table(self) -> pa.Table:
        """Return the columns as a table of `MEMBERS`."""
        return pa.table([self.high, self.low, self.offset, self.size], schema=MEMBERS)

    @staticmethod
    def of(table: pa.Table) -> Members:
        """Return what `table` gave."""
        return Members(*(table.column(name).to_numpy() for name in MEMBERS.names))


def scan_members(stream: Pieces | Forward) -> tuple[Members, str]:
    """Read all headers of a tar; returns its members, and what is wrong with it ("" for a whole one).

    Only files and links count: no folders, devices or pipes. Hostile names are kept as they are, and never found: a
    name with ".." or from the root is refused before it is looked up.
    """
    columns = (array("Q"), array("Q"), array("q"), array("q"))
    problem, end = "", 0
    try:
        for name, offset, size in _headers(stream):
            end = offset + max(size, 0)
            for column, value in zip(columns, (*_halves(name), offset, size), strict=True):
                column.append(value)
    except tarfile.ReadError as error:
        problem = f"it is no tar, or damaged, from byte {end} on: {error}"
    if isinstance(stream, Forward):
        stream.drain()
    if end > stream.size:
        problem = f"it ends after {stream.size} bytes, in the middle of a member"
    high, low, offsets, sizes = (np.frombuffer(column, column.typecode) for column in columns)
    # Of equal names the last counts: it is sorted before the others, and the first of each name is kept.
    order = np.lexsort((-offsets, low, high))
    keep = np.ones(len(order), np.bool_)
    keep[1:] = (high[order][1:] != high[order][:-1]) | (low[order][1:] != low[order][:-1])
    order = order[keep]
    return Members(high[order], low[order], offsets[order], sizes[order]), problem


def _headers(stream: Pieces | Forward) -> Iterator[tuple[str, int, int]]:
    """Yield (name, offset of the content, size or `LINK`); raises `tarfile.ReadError` where a header is no header."""
    with tarfile.open(fileobj=cast(Any, stream), mode="r:", encoding="utf-8", errors="backslashreplace") as tar:
        member = cast(Any, tar).firstmember
        while member is not None:
            if member.size < 0:
                raise tarfile.ReadError(f"member {member.name} claims {member.size} bytes")
            if member.isfile():
                yield member.name, member.offset_data, member.size
            elif member.issym() or member.islnk():
                yield member.name, member.offset_data, LINK
            stream.seek(cast(Any, tar).offset)
            # Not `tar.next()`: it takes a damaged header for the end, and collects a million members in memory.
            try:
                member = tarfile.TarInfo.fromtarfile(tar)
            except (tarfile.EOFHeaderError, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]
                return
            except tarfile.HeaderError as error:
                raise tarfile.ReadError(str(error)) from error


def _halves(name: str) -> tuple[int, int]:
    plain = name
    while plain.startswith("./"):
        plain = plain[2:]
    digest = xxhash.xxh3_128_intdigest(plain.encode("utf-8", "surrogatepass"))
    return digest >> 64, digest & (1 << 64) - 1


class Forward:
    """A stream of pieces of content as a file that can be read and sought forward: what tarfile needs to read headers.

    Where the content raises, the file ends; `problem` then says what happened.
    """

    def __init__(self, content: Iterator[bytes], errors: tuple[type[Exception], ...]) -> None:
        self._content = content
        self._errors = errors
        self._rest = b""
        self._at = 0
        #: Bytes that came so far.
        self.size = 0
        self.problem = ""

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int) -> int:
        """Move forward, or back inside the piece at hand; beyond the end, to the end."""
        if offset < self.size - len(self._rest):
            raise tarfile.ReadError(f"cannot go back to {offset} from {self._at}")
        while offset > self.size and self._more():
            pass
        self._at = min(offset, self.size)
        return self._at

    def read(self, count: int) -> bytes:
        """Return the next bytes; fewer only at the end."""
        parts = []
        while count > 0:
            held = self.size - self._at
            if held == 0 and not self._more():
                break
            held = self.size - self._at
            start = len(self._rest) - held
            part = self._rest[start : start + count]
            parts.append(part)
            self._at += len(part)
            count -= len(part)
        return b"".join(parts)

    def drain(self) -> None:
        """Read on to the end, for the sake of what the content finds out there."""
        while self._more():
            pass

    def _more(self) -> bool:
        """Take the next piece in place of the one at hand; False at the end."""
        try:
            for piece in self._content:
                if piece:
                    self._rest = piece
                    self.size += len(piece)
                    return True
        except self._errors as error:
            self.problem = str(error)
        return False
