"""The reader of own data: what a file is, is decided by its content, not by its name."""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from infinity_mm.fs import Location
from infinity_mm.sources.base import Plan, Raw, Split
from infinity_mm.sources.families.cut import BrokenOff, parse_row, pieces
from infinity_mm.sources.families.files import find_files
from infinity_mm.sources.families.lines import elements, is_json_lines, prepared_line, scan_prepared
from infinity_mm.sources.families.rowfiles import RowFiles, content_digest
from infinity_mm.sources.families.tars import TarRows, is_tar

#: Keys under which files that are one object keep their rows.
INSIDE = ("data", "annotations", "rows", "examples", "samples", "items", "questions", "train")
#: Descriptions that lie beside data sets of the hub and of trainers, and hold no rows.
NO_ROWS = (
    "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "metadata.json", "config.json",
    "*_stats.json", "README*",
)  # fmt: skip
#: Raised whenever files would be told apart differently.
VERSION = 1
#: How far into a file its first line is looked for, and how many members of an object tell what it is.
_SNIFF = 64 << 20
_MEMBERS = 32
_LARGEST_SINGLE = 16 << 20
_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class OwnRows:
    """Reads rows from JSON Lines, JSON arrays and objects, Parquet, and tars of samples."""

    suffixes: tuple[str, ...]
    #: Columns that the rows may have: an object with one of them as a key is a row, not a file of rows.
    known: tuple[str, ...]
    ignored: tuple[str, ...] = NO_ROWS

    @property
    def version(self) -> int:
        """Of this reader and of those that it hands files to."""
        return 10_000 * VERSION + 100 * _ROWS.version + _TARS.version

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Cut every file; see `infinity_mm.sources.base.Reader`."""
        splits: list[Split] = []
        digests: list[tuple[str, str]] = []
        for file in find_files(root, files, self.suffixes, self.ignored):
            prepared = prepare_to / f"{xxhash.xxh3_64_hexdigest(file.encode())}.jsonl"
            if self._prepare(root / file, prepared):
                splits += scan_prepared(prepared, file, rows)
                digests.append((file, content_digest(root / file)))
            else:
                part = self._reader(root / file).plan(root, (glob.escape(file),), prepare_to, rows)
                splits += part.splits
                digests += part.files
        return Plan(tuple(splits), tuple(digests))

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield the rows of a split; see `infinity_mm.sources.base.Reader`."""
        if split.prepared is None and is_tar(root / split.file):
            return _TARS.read(root, split)
        return _ROWS.read(root, split)

    def first(self, root: Location, file: str, count: int) -> Iterator[dict[str, Any]]:
        """Yield up to `count` rows from the beginning of a file without cutting it; none where that takes more."""
        location = root / file
        whole = Split(file, 0, location.size(), 0, 0)
        columns = _parquet_columns(location)
        if columns is not None:
            # All of a table's columns are known, whichever of them its first rows fill.
            yield from ({**dict.fromkeys(columns), **row} for row in _rows(_ROWS.read(root, _head(file, count))))
        elif is_tar(location):
            yield from _rows(islice(_TARS.read(root, whole), count))
        elif self._is_packed_json(location):
            return
        elif (single := self._single(location)) is not None:
            yield single
        elif self._is_wrapped(location) or not is_json_lines(location):
            for _, row, fault in islice(elements(location, INSIDE), count):
                if fault is None and isinstance(row, dict):
                    yield row
        else:
            yield from _rows(islice(_ROWS.read(root, whole), count))

    def _prepare(self, location: Location, prepared: Location) -> bool:
        """Write the rows of a file that cannot be cut and that no reader of its own knows; False for any other."""
        if self._is_packed_json(location):
            unpacked = prepared.appended(".json")
            with unpacked.write_whole() as stream:
                for chunk in _unpack(location):
                    stream.write(chunk)
            single = self._single(unpacked)
            found = iter([("item=0", single, None)]) if single is not None else elements(unpacked, INSIDE)
            with prepared.write_whole() as stream:
                for locator, row, fault in found:
                    stream.write(prepared_line(locator, row, fault))
            unpacked.delete()
            return True
        single = self._single(location)
        if single is not None:
            prepared.write_bytes(prepared_line("item=0", single))
        return single is not None

    def _is_packed_json(self, location: Location) -> bool:
        """True for compressed JSON that is no JSON Lines: an array, an object on several lines or around the rows."""
        head = next(_unpack(location), b"").removeprefix(_BOM).lstrip()
        first, newline, rest = head.partition(b"\n")
        row = parse_row(first.strip())[0]
        if isinstance(row, dict):
            return not rest.strip() and not any(key in row for key in self.known)
        return head.startswith(b"[") or (head.startswith(b"{") and bool(newline))

    def _single(self, location: Location) -> dict[str, Any] | None:
        """Return the row of a file that is one row, an object on several lines; None for any other file."""
        if location.size() > _LARGEST_SINGLE:
            return None
        with location.open_input() as stream:
            head = stream.read(1 << 16).removeprefix(_BOM).lstrip()
        if not head.startswith(b"{") or isinstance(parse_row(head.partition(b"\n")[0].strip())[0], dict):
            return None
        row = parse_row(location.read_bytes().removeprefix(_BOM).strip())[0]
        return row if isinstance(row, dict) and any(key in row for key in self.known) else None

    def _reader(self, location: Location) -> RowFiles | TarRows:
        if is_tar(location):
            return _TARS
        if self._is_wrapped(location):
            return _WRAPPED
        return _LINES if is_json_lines(location) else _ROWS

    def _is_wrapped(self, location: Location) -> bool:
        """True for one object that holds all rows, under a key or keyed by id: on one line, or beginning with a bare {.

        JSON Lines of one row look the same but for their keys; the reader tells the others apart.
        """
        with location.open_input() as stream:
            head = stream.read(min(1 << 16, _SNIFF)).removeprefix(_BOM).lstrip()
            if not head.startswith(b"{"):
                return False
            while b"\n" not in head and len(head) < _SNIFF and (more := stream.read(len(head))):
                head += more
            first, _, rest = head.partition(b"\n")
            if first.strip() != b"{" and (rest.strip() or (b"\n" in head and stream.read(1 << 16).strip())):
                return False
        try:
            members = list(islice(pieces(location, INSIDE), _MEMBERS))
        except BrokenOff:
            return False
        if any(piece.key in self.known or piece.inside in self.known for piece in members):
            return False
        named = [piece for piece in members if piece.key is not None]
        objects = bool(named) and all((piece.text or b"").startswith(b"{") for piece in named)
        return objects or any(piece.inside for piece in members)


def _unpack(location: Location) -> Iterator[bytes]:
    """Yield the decompressed content of a file that is compressed, up to where it is damaged; nothing for others."""
    codec = next((codec for suffix, codec in _CODECS.items() if location.name.lower().endswith(suffix)), None)
    if codec is None:
        return
    with (
        contextlib.suppress(OSError, pa.ArrowException),
        location.open_input() as stream,
        pa.CompressedInputStream(stream, codec) as content,
    ):
        while chunk := content.read(1 << 20):
            yield chunk


def _head(file: str, count: int) -> Split:
    return Split(file, 0, min(count, 50), 0, min(count, 50))


def _rows(raws: Iterable[Raw]) -> Iterator[dict[str, Any]]:
    return (dict(raw.row) for raw in raws if raw.row is not None)


def _parquet_columns(location: Location) -> list[str] | None:
    """Return the column names of a Parquet file; None for a file that is none, or is cut."""
    with location.open_input() as stream:
        if stream.read(4) != b"PAR1":
            return None
        try:
            return list(pq.ParquetFile(stream).schema_arrow.names)
        except (pa.ArrowException, OSError):
            return None


_ROWS = RowFiles(inside=INSIDE)
#: One line with a list under such a key is a row, if it was not found to hold all of them.
_LINES = RowFiles()
_WRAPPED = RowFiles(inside=INSIDE, lines=False)
_TARS = TarRows(texts=("txt", "text", "caption"))
