"""Where in a part each picture's bytes lie, so that a shuffled shard reads those bytes and no others.

A shard of a global shuffle takes a row here and a row there. Decoding a row group for each of them reads
up to `infinity_mm.store.GROUP_ROWS` times the shard. Pictures, though, are stored uncompressed and
PLAIN: each page is a header, two blocks of levels, then per value a little-endian uint32 length and the
bytes (https://parquet.apache.org/docs/file-format/data-pages/, encodings/#plain-plain--0). Walking the
lengths costs one small read a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

#: Bytes read at a time while walking: on a local disk the lengths alone, elsewhere few round trips.
LOCAL_WINDOW = 4 << 10
REMOTE_WINDOW = 4 << 20

_COLUMN = "image_bytes.list.element"
# Of the Thrift compact protocol: types of fields that a page header has.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _BINARY, _STRUCT = 1, 2, 3, 4, 5, 6, 8, 12
# Numbers of PageHeader's and DataPageHeader's fields, and of the enumerations' members.
_PAGE_TYPE, _PAGE_BYTES, _DATA_PAGE_HEADER = 1, 3, 5
_VALUES, _ENCODING = 1, 2
_DATA_PAGE, _PLAIN = 0, 0


@dataclass(frozen=True)
class Span:
    """A picture's bytes inside a file."""

    offset: int
    #: Bytes.
    length: int


class Window:
    """Small reads of a file, served from a buffer of `ahead` bytes."""

    def __init__(self, stream: pa.NativeFile, ahead: int) -> None:
        self._stream = stream
        self._ahead = ahead
        self._start = 0
        self._data = b""

    def at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset` (fewer at the end of the file)."""
        if not self._start <= offset <= offset + size <= self._start + len(self._data):
            self._data = self._stream.read_at(max(size, self._ahead), offset)
            self._start = offset
        return self._data[offset - self._start : offset - self._start + size]

    def byte(self, offset: int) -> int:
        """Return the byte at `offset`; raises `pyarrow.ArrowInvalid` behind the end of the file."""
        if not (found := self.at(offset, 1)):
            raise pa.ArrowInvalid(f"the file ends before byte {offset}")
        return found[0]

    def u32(self, offset: int) -> int:
        """Return the little-endian uint32 at `offset`."""
        return int.from_bytes(self.at(offset, 4), "little")


def picture_chunk(group: pq.RowGroupMetaData) -> pq.ColumnChunkMetaData:
    """Return the metadata of a row group's pictures; raises `pyarrow.ArrowInvalid` where it has none."""
    for number in range(group.num_columns):
        if (chunk := group.column(number)).path_in_schema == _COLUMN:
            return chunk
    raise pa.ArrowInvalid(f"there is no column {_COLUMN}")


def walk(window: Window, chunk: pq.ColumnChunkMetaData, stored: int) -> Iterator[Span] | None:
    """Return the places of the `stored` pictures (nulls left out) of a row group, in order, found as asked for.

    None where the pages are not laid out as said above (another writer, another codec), or hold another
    number of pictures: such a row group must be decoded. The iterator ends early at a page of another layout.
    """
    statistics = chunk.statistics
    plain = chunk.compression == "UNCOMPRESSED" and not chunk.has_dictionary_page
    if not plain or statistics is None or statistics.num_values != stored:
        return None
    return _spans(window, chunk.data_page_offset, chunk.data_page_offset + chunk.total_compressed_size)


def _spans(window: Window, offset: int, end: int) -> Iterator[Span]:
    while offset < end:
        header, offset = _read_struct(window, offset)
        stop = offset + _number(header, _PAGE_BYTES)
        inner = header.get(_DATA_PAGE_HEADER)
        if header.get(_PAGE_TYPE) != _DATA_PAGE or not isinstance(inner, dict) or inner.get(_ENCODING) != _PLAIN:
            return
        for _ in ("repetition", "definition"):
            offset += 4 + window.u32(offset)
        while offset < stop:
            length = window.u32(offset)
            if offset + 4 + length > min(stop, end):
                return
            yield Span(offset + 4, length)
            offset += 4 + length


Header = dict[int, "int | Header"]


def _number(header: Header, field: int) -> int:
    value = header.get(field)
    return value if isinstance(value, int) else 0


def _read_struct(window: Window, offset: int) -> tuple[Header, int]:
    """Return a Thrift compact struct (field number -> integer or struct, binaries left out) and where it ends."""
    found: Header = {}
    field = 0
    while (head := window.byte(offset)) != 0:
        offset += 1
        kind, delta = head & 15, head >> 4
        if delta:
            field += delta
        else:
            number, offset = _read_varint(window, offset)
            field = _signed(number)
        if kind in (_TRUE, _FALSE):
            found[field] = int(kind == _TRUE)
        elif kind == _BYTE:
            found[field], offset = window.byte(offset), offset + 1
        elif kind in (_I16, _I32, _I64):
            number, offset = _read_varint(window, offset)
            found[field] = _signed(number)
        elif kind == _BINARY:
            number, offset = _read_varint(window, offset)
            offset += number
        elif kind == _STRUCT:
            found[field], offset = _read_struct(window, offset)
        else:
            raise pa.ArrowInvalid(f"page header at byte {offset}: unexpected Thrift type {kind}")
    return found, offset + 1


def _read_varint(window: Window, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = window.byte(offset)
        offset += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, offset
        shift += 7


def _signed(number: int) -> int:
    """Undo Thrift's zigzag."""
    return (number >> 1) ^ -(number & 1)
