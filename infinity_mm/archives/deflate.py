"""Places inside a gzip stream from which decompression can start: found in one pass, replayed with zlib alone.

A tar.gz of 300 GB has no random access, and unpacking it first would double the disk. zlib's example ``zran.c`` (Mark
Adler) shows the way out: at the border of two deflate blocks, the position of that border to the bit and the last 32
KiB of output are all that a decompressor needs to go on. Python's zlib does not say where blocks end, so borders are
found by trial, and no candidate is believed before it has proved itself:

1. Bits that can be the header of a block with dynamic codes (RFC 1951, 3.2.7: a complete code of code lengths), or the
   length field of a stored block, are candidates; numpy tests 32 KiB at all bit positions in a few milliseconds.
2. A copy of the running decompressor is fed the stream up to the candidate and then an empty *final* block. It
   reports the end of the stream where a block did end there, and hands out what belongs before it.
3. A fresh decompressor starts at the candidate, and what it makes of the following bytes must be what the running one
   makes of them.

Windows are handed on as they are found and not kept, so memory does not grow with the archive. Two well-kept libraries
do the same, indexed_gzip and rapidgzip; both hold all windows of an index in memory, 2.5 GB per process for 311
GB at one point every 4 MiB, where a reader here fetches the one window that it needs.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

#: Bytes of compressed input that are decompressed at a time; 1,032 times as much output is deflate's limit.
CHUNK = 1 << 16
#: Bytes of compressed input that are searched for a border at a time: zlib's blocks of incompressible data have 16 KiB.
SEARCHED = 1 << 15
#: Bytes of compressed input that are read at a time.
READ = 4 << 20
#: `Point.bits` of a point at the length field of a stored block.
STORED = 8
_WINDOW = 1 << 15
_RAW = -zlib.MAX_WBITS


class Source(Protocol):
    """A binary stream with random access."""

    def read(self, count: int, /) -> bytes:
        """Return the next `count` bytes, fewer only at the end."""
        ...

    def seek(self, offset: int, /) -> Any:
        """Move to an offset from the start."""
        ...


@dataclass(frozen=True)
class Point:
    """A place where decompression can start."""

    #: Offset in the uncompressed stream, bytes.
    out: int
    #: Offset in the compressed stream, bytes.
    at: int
    #: How many of the low bits of the byte at `at` belong to what comes before, 0 to 7; or `STORED`.
    bits: int
    #: The up to 32 KiB of output before `out`.
    window: bytes = field(repr=False)


def inflate(stream: Source, spacing: int, note: Callable[[Point], None]) -> Iterator[bytes]:
    """Yield the uncompressed content of a gzip stream of any number of members, piece by piece.

    `note` gets a point at the start of every member, and then at the first border of blocks after each `spacing` bytes
    of output. Raises EOFError where the stream ends early, `zlib.error` where it is damaged or a checksum is
    wrong; all that was yielded by then is sound, but for a wrong checksum.
    """
    source = _Buffered(stream)
    out = 0
    while (start := _skip_header(source)) is not None:
        note(Point(out, start, 0, b""))
        running = zlib.decompressobj(_RAW)
        tail, last, crc = b"", out, 0
        while not running.eof:
            if out - last >= spacing:
                data, point = _search(running, source, out, tail)
                if point is not None:
                    note(point)
                    last = point.out
            else:
                data = running.decompress(source.take(CHUNK))
            crc = zlib.crc32(data, crc)
            out += len(data)
            tail = (tail + data)[-_WINDOW:] if len(data) < _WINDOW else data[-_WINDOW:]
            yield data
            if source.ended and not running.eof:
                raise EOFError(f"the stream ends early, after {out} uncompressed bytes")
        source.give_back(len(running.unused_data))
        if int.from_bytes(source.take(8)[:4], "little") != crc:
            raise zlib.error(f"wrong checksum of the member that ends at {out} uncompressed bytes")


def replay(stream: Source, point: Point) -> Iterator[bytes]:
    """Yield the uncompressed content from a point to the end of its gzip member.

    Ends early where the stream does; raises `zlib.error` where it is damaged.
    """
    decompressor = _start(point)
    stream.seek(point.at)
    first = stream.read(1)
    yield decompressor.decompress(_opening(point.bits, first[0]) if first else b"")
    while not decompressor.eof and (data := stream.read(CHUNK)):
        yield decompressor.decompress(data)


def _start(point: Point) -> Any:
    """Return a decompressor that has the window of a point before it."""
    return zlib.decompressobj(_RAW, zdict=point.window) if point.window else zlib.decompressobj(_RAW)


def _opening(bits: int, byte: int) -> bytes:
    """Return what to feed in place of a point's first byte: blocks without content, and the byte's other bits.

    Deflate cannot be entered in the middle of a byte, and shifting the stream would move the bytes to which stored
    blocks are aligned. So as many bits as belong to what comes before (modulo 8) are spent on empty blocks.
    """
    if bits == STORED:
        return bytes((0, byte))  # a block header: not final, stored, and the padding before the length
    value, size = _EMPTY_DYNAMIC if bits % 2 else (0, 0)
    while size % 8 != bits:
        # An empty block with fixed codes: 0, 01, and seven zeros for its end.
        value, size = value | 0b010 << size, size + 10
    return (value | byte >> bits << size).to_bytes((size + 8 - bits) // 8, "little")


def _empty_dynamic() -> tuple[int, int]:
    """Return (bits, their number) of a block with dynamic codes and no content: 91 bits, an odd number.

    Its codes (RFC 1951, 3.2.7): lengths 1 for the symbols 1 and 18 of the code of code lengths; with it 256 zeros, 1
    for the end of the block, 1 and 1 for two distances.
    """
    value = size = 0
    header = [(0b100, 3), (0, 5), (1, 5), (14, 4)]
    lengths = [(int(symbol in (18, 1)), 3) for symbol in _LENGTHS_ORDER]
    codes = [(1, 1), (138 - 11, 7), (1, 1), (118 - 11, 7), (0, 1), (0, 1), (0, 1)]
    for number, width in (*header, *lengths, *codes, (0, 1)):
        value, size = value | number << size, size + width
    return value, size


#: The order in which RFC 1951 writes the lengths of the code of code lengths, up to the last that is needed here.
_LENGTHS_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
_EMPTY_DYNAMIC = _empty_dynamic()


class _Buffered:
    """Reads a stream in large steps, hands it out in small ones, and takes back what was too much."""

    def __init__(self, stream: Source) -> None:
        self._stream = stream
        stream.seek(0)
        self._data = b""
        self._place = 0
        #: Offset in the stream of the next byte.
        self.offset = 0

    def peek(self, count: int) -> bytes:
        """Return the next bytes without taking them."""
        if self._place + count > len(self._data):
            kept = self._data[max(0, self._place - CHUNK) :]
            self._place = min(self._place, CHUNK)
            self._data = kept + self._stream.read(max(READ, count))
        return self._data[self._place : self._place + count]

    def take(self, count: int) -> bytes:
        """Return the next bytes; fewer only at the end."""
        data = self.peek(count)
        self._place += len(data)
        self.offset += len(data)
        return data

    def give_back(self, count: int) -> None:
        """Step back by at most `CHUNK` bytes that were taken last."""
        self._place -= count
        self.offset -= count

    @property
    def ended(self) -> bool:
        """True where no byte is left."""
        return not self.peek(1)


def _skip_header(source: _Buffered) -> int | None:
    """Skip a gzip header (RFC 1952); returns where the deflate stream begins, None where no member follows."""
    head = source.peek(10)
    if len(head) < 10 or head[:3] != b"\x1f\x8b\x08":
        if source.offset == 0:
            raise zlib.error("no gzip header at its start")
        return None  # padding, or what someone appended; gzip ignores it too
    flags = source.take(10)[3]
    if flags & 4:
        source.take(int.from_bytes(source.take(2), "little"))
    for flag in (8, 16):
        while flags & flag and source.take(1) not in (b"\0", b""):
            pass
    if flags & 2:
        source.take(2)
    return source.offset


def _search(running: Any, source: _Buffered, out: int, tail: bytes) -> tuple[bytes, Point | None]:
    """Decompress the next chunk, in steps from candidate to candidate; returns its output and the first point in it."""
    data = source.peek(SEARCHED + CHUNK)
    start, stop = source.offset, min(SEARCHED, len(data))
    source.take(stop)
    outputs: list[bytes] = []
    point, fed = None, 0
    for at, bits in candidates(data[: stop + 24]):
        if at >= stop or running.eof or point is not None:
            break
        outputs.append(running.decompress(data[fed:at]))
        fed = at
        before = _ends_here(running, data[at], bits)
        if before is not None:
            seen = b"".join((*outputs, before))
            found = Point(out + len(seen), start + at, bits, (tail + seen)[-_WINDOW:])
            if _proves(found, running, data[at : at + CHUNK], len(before)):
                point = found
    if not running.eof:
        outputs.append(running.decompress(data[fed:stop]))
    else:
        source.give_back(stop - fed)
    return b"".join(outputs), point


def _ends_here(running: Any, byte: int, bits: int) -> bytes | None:
    """Return what the low bits of the byte complete, where a block ends after them; None where none does."""
    trial = running.copy()
    try:
        if bits == STORED:
            # An empty stored block here; if that ended the stream, it was the final one: nothing to start from.
            before: bytes = trial.decompress(b"\0\0\xff\xff")
            if before or trial.eof:
                return None
            before = trial.decompress(b"\x03\0")
        else:
            # Those bits, then an empty final block with fixed codes: 1, 01, and seven zeros for its end.
            ending = byte & ((1 << bits) - 1) | 0b011 << bits
            before = trial.decompress(ending.to_bytes(3, "little"))
    except zlib.error:
        return None
    return before if trial.eof else None


def _proves(point: Point, running: Any, data: bytes, skip: int) -> bool:
    """True if starting at the point gives what the running decompressor gives, over the data at hand."""
    truth = running.copy().decompress(data)[skip:]
    try:
        made = _start(point).decompress(_opening(point.bits, data[0]) + data[1:])
    except zlib.error:
        return False
    return bool(made) and bool(made == truth)


def candidates(data: bytes) -> list[tuple[int, int]]:
    """Return (byte, bits) of all places where a block that is not the last may begin, in order; see `Point`."""
    if len(data) < 16:
        return []
    values = np.frombuffer(data, np.uint8)
    words = np.lib.stride_tricks.sliding_window_view(values, 8).view("<u8").ravel()
    halves = np.lib.stride_tricks.sliding_window_view(values, 2).view("<u2").ravel()
    stored = np.flatnonzero((halves[:-2] ^ halves[2:]) == 0xFFFF)
    places = [stored * 16 + STORED]
    for bits in range(8):
        word = words[:-8] >> np.uint64(bits)
        # Not final, dynamic codes; at most 286 codes of lengths and literals, at most 30 of distances.
        likely = ((word & 7) == 4) & (((word >> 3) & 31) <= 29) & (((word >> 8) & 31) <= 29)
        at = np.flatnonzero(likely)
        places.append(at[_is_complete(words, at * 8 + bits)] * 16 + bits)
    return [(int(place) // 16, int(place) % 16) for place in np.sort(np.concatenate(places))]


def _is_complete(words: NDArray[np.uint64], header: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell for block headers at bit positions whether the code of their code lengths is complete (Kraft sum 1)."""
    count = ((words[header // 8] >> (header % 8).astype(np.uint64)) >> np.uint64(13)) & 15
    lengths = header + 17
    word = words[lengths // 8] >> (lengths % 8).astype(np.uint64)
    total = np.zeros(len(header), np.int64)
    for place in range(19):
        length = ((word >> np.uint64(3 * place)) & 7).astype(np.int64)
        total += np.where((length > 0) & (place < count.astype(np.int64) + 4), 128 >> length, 0)
    return np.asarray(total == 128)
