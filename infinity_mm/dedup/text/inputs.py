"""The Parquet files to deduplicate, cut into units of work."""

from __future__ import annotations

import fnmatch
import glob
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from infinity_mm.errors import JobError, StoreError, UsageError
from infinity_mm.fs import ASIDE, Location, split_options
from infinity_mm.nearest import nearest

#: Rows of a unit, at least; a row group is never cut.
UNIT_ROWS = 1 << 17
#: Units at most, about: each step opens what each of them left on disk, for one part of all rows after the other.
MOST_UNITS = 128
#: Rows, and bytes, that are in memory at a time for each worker, at most. Fewer rows cost more: what a step needs
#: beside them, tables of some hundred KB, has left the processor's cache when its turn comes again.
BATCH_ROWS = 4096
BATCH_BYTES = 8 << 20
_GLOB = "*?["


@dataclass(frozen=True)
class Columns:
    """Names of the columns that are read."""

    text: str
    id: str
    #: Integers, lower ones are kept first; None where ids alone decide.
    priority: str | None = None

    def all(self) -> list[str]:
        """Return the names."""
        return [self.text, self.id, *([self.priority] if self.priority is not None else [])]


@dataclass(frozen=True)
class Piece:
    """Consecutive row groups of one file."""

    file: Location
    row_groups: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class Unit:
    """Consecutive row groups of one or more files."""

    number: int
    pieces: tuple[Piece, ...]
    #: Rows of the whole input before it, and its own.
    first: int
    rows: int
    #: Type of the ids as `read` returns them, the same in all units.
    ids: pa.DataType

    def file_of(self, row: int) -> Location:
        """Return the file of a row, numbered within the unit."""
        for piece in self.pieces:
            if row < piece.rows:
                return piece.file
            row -= piece.rows
        raise IndexError(f"the unit has {self.rows} rows")


def find_files(pattern: str) -> list[Location]:
    """Return the Parquet files that a path, folder, glob or URI names, sorted by it.

    ``**`` goes through folders; a folder stands for all ``*.parquet`` below it. Raises `UsageError` if there is none.
    """
    if any(sign in split_options(pattern)[0] for sign in _GLOB):
        found = _matching(pattern)
    else:
        place = Location.of(pattern)
        found = [place / name for name in place.files(recursive=True) if name.endswith(".parquet")]
        if not found and place.exists() and not place.is_dir():
            found = [place]
    found = [file for file in found if not file.name.startswith(ASIDE)]
    if not found:
        raise UsageError(f"--input {pattern!r} names no Parquet file; quote a glob, so that the shell leaves it alone")
    return sorted(found, key=str)


def _matching(pattern: str) -> list[Location]:
    if "://" not in pattern:
        return [Location.of(path) for path in glob.glob(pattern, recursive=True) if not Location.of(path).is_dir()]
    place, options = split_options(pattern)
    above = posixpath.dirname(place[: min(place.index(sign) for sign in _GLOB if sign in place)])
    folder, below = Location.of(above + options), place[len(above) :].lstrip("/")
    return [folder / name for name in folder.files(recursive=True) if fnmatch.fnmatchcase(name, below)]


def cut(files: Sequence[Location], columns: Columns) -> list[Unit]:
    """Return the units of all files, in order, from their footers.

    Raises `UsageError` for a file that is no Parquet or lacks a column, and for columns of the wrong type.
    """
    groups: list[Piece] = []
    kind: tuple[pa.DataType, Location] | None = None
    for file in files:
        metadata, schema = _footer(file)
        if metadata.num_rows == 0:
            continue
        _check(file, schema, columns)
        own = schema.field(columns.id).type
        kind = kind or (own, file)
        if kind[0] != own:
            raise UsageError(
                f"column {columns.id!r} is {own} in {file}, but {kind[0]} in {kind[1]}: make them one type"
            )
        rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        groups += [Piece(file, (group,), count) for group, count in enumerate(rows) if count]
    units: list[Unit] = []
    first = 0
    for pieces in _runs(groups):
        assert kind is not None
        count = sum(piece.rows for piece in pieces)
        units.append(Unit(len(units), pieces, first, count, _read_as(kind[0])))
        first += count
    return units


def _footer(file: Location) -> tuple[pq.FileMetaData, pa.Schema]:
    try:
        with file.open_input() as stream, pq.ParquetFile(stream) as parquet:
            return parquet.metadata, parquet.schema_arrow
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"cannot read {file} as Parquet: {error}") from error


def _check(file: Location, schema: pa.Schema, columns: Columns) -> None:
    for name in columns.all():
        if name not in schema.names:
            raise UsageError(f"{file} has no column {name!r}; {nearest(name, schema.names)}")
    text = _plain(schema.field(columns.text).type)
    if not _is_text(text):
        raise UsageError(f"column {columns.text!r} of {file} is {text}, not a string: name the column of texts")
    identity = _plain(schema.field(columns.id).type)
    if not _is_text(identity) and not pa.types.is_integer(identity):
        raise UsageError(f"column {columns.id!r} of {file} is {identity}: ids must be strings or integers")
    if columns.priority is not None and not pa.types.is_integer(schema.field(columns.priority).type):
        kind = schema.field(columns.priority).type
        raise UsageError(f"column {columns.priority!r} of {file} is {kind}: priorities must be integers")


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _runs(groups: Sequence[Piece]) -> Iterator[tuple[Piece, ...]]:
    """Yield runs of row groups with as many rows as a unit has or more, those of one file as one piece."""
    least = max(UNIT_ROWS, sum(group.rows for group in groups) // MOST_UNITS)
    run: list[Piece] = []
    for group in groups:
        if run and run[-1].file == group.file:
            last = run.pop()
            run.append(Piece(last.file, (*last.row_groups, *group.row_groups), last.rows + group.rows))
        else:
            run.append(group)
        if sum(piece.rows for piece in run) >= least:
            yield tuple(run)
            run = []
    if run:
        yield tuple(run)


def read(unit: Unit, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the columns of a unit in batches, texts and string ids as large_string.

    Raises `StoreError` where a file is damaged or gone, `JobError` where it changed since it was cut.
    """
    for piece in unit.pieces:
        yield from _read(piece, names)


def _read(piece: Piece, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    seen = 0
    try:
        # Without these two options a whole row group is decoded before its first row can be had.
        with (
            piece.file.open_input() as stream,
            pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 16) as parquet,
        ):
            rows = _batch_rows(piece, parquet.metadata, names)
            for batch in parquet.iter_batches(rows, list(piece.row_groups), columns=list(names), use_threads=False):
                seen += len(batch)
                yield _usable(batch.select(names))
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(f"cannot read {piece.file}: {error}; mend or remove that file, then run again") from error
    if seen != piece.rows:
        raise JobError(f"{piece.file} changed while it was read: run again when nothing writes to the input")


def _batch_rows(piece: Piece, metadata: pq.FileMetaData, names: Sequence[str]) -> int:
    groups = [metadata.row_group(group) for group in piece.row_groups]
    columns = [group.column(place) for group in groups for place in range(group.num_columns)]
    size = sum(column.total_uncompressed_size for column in columns if column.path_in_schema in names)
    fitting: int = BATCH_BYTES * piece.rows // max(size, 1)
    return max(1, min(BATCH_ROWS, fitting))


def _usable(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [column.cast(_plain(column.type)).cast(_read_as(column.type)) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _read_as(kind: pa.DataType) -> pa.DataType:
    kind = _plain(kind)
    return pa.large_string() if _is_text(kind) else kind
