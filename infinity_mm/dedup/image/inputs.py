"""The pictures to deduplicate: files of a folder, or a column of Parquet files; cut into units of work."""

from __future__ import annotations

import fnmatch
import glob
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from infinity_mm.errors import StoreError, UsageError
from infinity_mm.fs import ASIDE, Location, split_options
from infinity_mm.nearest import nearest

#: Names by which files of a folder are taken for pictures.
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".jp2", ".avif", ".ppm",
    ".pgm", ".pnm",
)  # fmt: skip
#: Files of one unit.
UNIT_FILES = 256
_GLOB = "*?["


@dataclass(frozen=True)
class Unit:
    """Some pictures that are hashed together."""

    number: int
    #: Files with their ids, sizes and times; empty for row groups of a Parquet file.
    files: tuple[tuple[Location, str, int, int], ...] = ()
    table: Location | None = None
    row_groups: tuple[int, ...] = ()
    rows: int = 0


@dataclass(frozen=True)
class Columns:
    """Columns of Parquet input."""

    image: str = "image"
    id: str = "id"


def find_units(pattern: str, columns: Columns) -> tuple[list[Unit], int]:
    """Return the units of a folder, a file, a glob or a URI of either, and how many files are no pictures by name.

    Files end in one of `SUFFIXES`; where none does, in ``.parquet``. The id of a file is its path below the folder, or
    below the fixed part of the glob. Raises `UsageError` where there is neither.
    """
    root, names = list_files(pattern)
    names = sorted(name for name in names if not posixpath.basename(name).startswith(ASIDE))
    tables = [name for name in names if name.lower().endswith(".parquet")]
    pictures = [name for name in names if name.lower().endswith(SUFFIXES)]
    if tables and not pictures:
        rows = _table_units([root / name for name in tables], (columns.image, columns.id))
        return rows, len(names) - len(tables)
    if not pictures:
        raise UsageError(
            f"--input {pattern!r} names no picture: expected files ending in {', '.join(SUFFIXES)}, or .parquet with a "
            "column of pictures; quote a glob, so that the shell leaves it alone"
        )
    units: list[Unit] = []
    for start in range(0, len(pictures), UNIT_FILES):
        chosen = [root / name for name in pictures[start : start + UNIT_FILES]]
        files = tuple(
            (place, name, place.size(), place.modified_ns())
            for place, name in zip(chosen, pictures[start : start + UNIT_FILES], strict=True)
        )
        units.append(Unit(len(units), files=files, rows=len(files)))
    return units, len(names) - len(pictures)


def list_files(pattern: str) -> tuple[Location, list[str]]:
    """Return a folder and the files below it, relative, that a path, folder, glob or URI names.

    Raises `UsageError` where there is nothing.
    """
    path, options = split_options(pattern)
    if not any(sign in path for sign in _GLOB):
        place = Location.of(pattern)
        if place.is_dir():
            return place, place.files(recursive=True)
        if not place.exists():
            raise UsageError(f"--input: nothing at {place}")
        folder = path.rpartition("/")[0]
        return Location.of((folder or ".") + options), [place.name]
    fixed = posixpath.dirname(path[: min(path.index(sign) for sign in _GLOB if sign in path)])
    root = Location.of((fixed or ("/" if path.startswith("/") else ".")) + options)
    if "://" in path:
        rest = path[len(fixed) :].lstrip("/")
        return root, [name for name in root.files(recursive=True) if fnmatch.fnmatchcase(name, rest)]
    below = len(posixpath.join(fixed, "")) if fixed else 0
    found = [path for path in glob.glob(pattern, recursive=True) if not Location.of(path).is_dir()]
    return root, [path[below:].lstrip("/") if fixed or pattern.startswith("/") else path for path in found]


def find_tables(pattern: str, columns: Sequence[str]) -> list[Unit]:
    """Return the units of all Parquet files that `pattern` names; raises `UsageError` where there is none."""
    root, names = list_files(pattern)
    tables = sorted(name for name in names if name.lower().endswith(".parquet"))
    tables = [name for name in tables if not posixpath.basename(name).startswith(ASIDE)]
    if not tables:
        raise UsageError(f"--input {pattern!r} names no Parquet file; quote a glob, so that the shell leaves it alone")
    return _table_units([root / name for name in tables], columns)


def _table_units(files: Sequence[Location], columns: Sequence[str]) -> list[Unit]:
    units: list[Unit] = []
    for file in files:
        try:
            with file.open_input() as stream, pq.ParquetFile(stream) as parquet:
                metadata, schema = parquet.metadata, parquet.schema_arrow
        except (OSError, pa.ArrowInvalid) as error:
            raise UsageError(f"cannot read {file} as Parquet: {error}") from error
        for name in columns:
            if name not in schema.names:
                raise UsageError(f"{file} has no column {name!r}; {nearest(name, schema.names)}")
        units += [
            Unit(len(units) + group, table=file, row_groups=(group,), rows=metadata.row_group(group).num_rows)
            for group in range(metadata.num_row_groups)
        ]
    return units


def read_unit(unit: Unit, columns: Columns) -> Iterator[tuple[str, bytes | str]]:
    """Yield (id, bytes) of each picture; in place of the bytes a text that says why they cannot be had.

    Raises `StoreError` for a Parquet file that is damaged or gone.
    """
    for place, identity, _, _ in unit.files:
        try:
            with place.open_input() as stream:
                yield identity, stream.read()
        except OSError as error:
            yield identity, f"cannot read {place}: {error}"
    if unit.table is None:
        return
    try:
        with unit.table.open_input() as stream, pq.ParquetFile(stream, pre_buffer=False) as parquet:
            batches = parquet.iter_batches(
                32, list(unit.row_groups), columns=[columns.id, columns.image], use_threads=False
            )
            for batch in batches:
                ids, pictures = (batch.column(name).to_pylist() for name in (columns.id, columns.image))
                yield from ((str(key), _bytes_of(value)) for key, value in zip(ids, pictures, strict=True))
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(f"cannot read {unit.table}: {error}; mend or remove that file, then run again") from error


def _bytes_of(value: object) -> bytes | str:
    """Return the bytes of a cell: bytes, ``{bytes, path}`` as `datasets` writes it, or a list of one of them."""
    if isinstance(value, list) and len(value) == 1:
        return _bytes_of(value[0])
    if isinstance(value, Mapping):
        value = value.get("bytes")
    if isinstance(value, bytes):
        return value
    return f"expected the bytes of one picture, got {type(value).__name__}"
