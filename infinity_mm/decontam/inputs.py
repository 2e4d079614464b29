"""What is hashed or checked: rows of files with their pictures, or pictures alone; cut into units of work."""

from __future__ import annotations

import glob
import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

import pyarrow as pa

from infinity_mm.decontam import tables
from infinity_mm.decontam.benchmarks import ANY, KNOWN, Benchmark
from infinity_mm.dedup.image import inputs as pictures
from infinity_mm.errors import StoreError, UsageError
from infinity_mm.fs import ASIDE, Location
from infinity_mm.sources.base import ImageRef, Quarantine, Split
from infinity_mm.sources.families.rowfiles import RowFiles, content_digest
from infinity_mm.sources.images import ImageStore
from infinity_mm.sources.own.rows import INSIDE, NO_ROWS, OwnRows
from infinity_mm.sources.pictures import read_images

#: Rows of a unit, about.
UNIT_ROWS = 512
#: Column that rows of a folder of pictures have.
PICTURE = "picture"
_ROWS = (".parquet", ".json", ".jsonl", ".ndjson", ".jsonl.gz", ".tar")
#: Files, and rows of each, that are looked at for their columns.
_PEEKED_FILES, _PEEKED_ROWS = 8, 8
#: Endings of pictures that rows name without.
_ENDINGS = (".jpg", ".png", ".jpeg")
#: What groups of columns name together is too common to tell a row from a file of rows.
_KEYS = tuple(
    {column for one in (*KNOWN, ANY) for column in (*one.image, *one.question, *one.id) if isinstance(column, str)}
)
#: Files of training data, as the hub and publishers name them beside the evaluation set.
_TRAINING = re.compile(r"(^|[-_.])(train|restval)([-_.]|$)", re.IGNORECASE)
#: Keys of a turn, or of a part of one, that hold text.
_SAID = ("content", "value", "text", "question", "answer", "user", "assistant", "raw")


@dataclass(frozen=True)
class Unit:
    """Some rows that are read together: of a file that a reader has cut, of a table, or pictures."""

    number: int
    #: What it is made from, for fingerprints.
    digest: tuple[str, ...]
    split: Split | None = None
    #: A table, and the first row and the one after the last.
    table: tuple[str, int, int] | None = None
    files: pictures.Unit | None = None


@dataclass(frozen=True)
class Inputs:
    """The units of what the user named."""

    root: Location
    units: tuple[Unit, ...]
    #: File -> digest.
    files: tuple[tuple[str, str], ...]
    #: Folders, zips or tars of pictures, relative to the root.
    image_roots: tuple[str, ...]
    #: Files of training data beside those of an evaluation set, which are not read.
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One row, or why it could not be read."""

    #: Where it stands: file and place.
    place: str
    row: Mapping[str, Any]
    fault: str | None = None


def find_inputs(pattern: str, image_roots: Sequence[str], prepare_to: Location, benchmark: Benchmark = ANY) -> Inputs:
    """Return the units of a file, folder or glob (each may be a URI).

    Files of rows count where there are any (Parquet, JSON, JSON Lines, ``.tsv``, ``.csv``, tars of samples), pictures
    alone where not. Of a `benchmark`, files of training data beside others are left out. Formats that cannot be cut
    are rewritten below `prepare_to`. Raises `UsageError` where nothing fits.
    """
    root, names = pictures.list_files(pattern)
    bases = {name: posixpath.basename(name) for name in sorted(names)}
    rows = [
        name
        for name, base in bases.items()
        if base.lower().endswith((*_ROWS, *tables.SUFFIXES))
        and not base.startswith((".", ASIDE))
        and not any(fnmatchcase(base, one) for one in NO_ROWS)
    ]
    if not rows:
        found, _ = pictures.find_units(pattern, pictures.Columns())
        units = tuple(Unit(unit.number, _listing(unit), files=unit) for unit in found)
        return Inputs(root, units, (), ())
    chosen = [name for name in rows if not _TRAINING.search(bases[name])] if benchmark is not ANY else rows
    chosen = chosen or rows
    units, files = _row_units(root, chosen, prepare_to, benchmark.inside)
    local = [os.path.relpath(place, root.path) if os.path.isabs(place) else place for place in image_roots]
    left_out = tuple(name for name in rows if name not in chosen)
    return Inputs(root, units, files, (*local, "", "images"), left_out)


def _listing(unit: pictures.Unit) -> tuple[str, ...]:
    return tuple(f"{name} {size} {time}" for _, name, size, time in unit.files)


def _row_units(
    root: Location, names: Sequence[str], prepare_to: Location, inside: tuple[str, ...]
) -> tuple[tuple[Unit, ...], tuple[tuple[str, str], ...]]:
    own = OwnRows(suffixes=_ROWS, known=_KEYS)
    nested = RowFiles(inside=(*INSIDE, *inside))
    units: list[Unit] = []
    files: list[tuple[str, str]] = []
    for name in names:
        place = root / name
        try:
            if tables.is_table(name):
                digest, count = content_digest(place), tables.count_rows(place)
                cuts = [(name, start, min(start + UNIT_ROWS, count)) for start in range(0, count, UNIT_ROWS)]
                made = [Unit(0, (digest, str(start), str(stop)), table=(name, start, stop)) for _, start, stop in cuts]
            else:
                reader = nested if inside and name.lower().endswith(".json") else own
                plan = reader.plan(root, (glob.escape(name),), prepare_to, UNIT_ROWS)
                digest = dict(plan.files)[name]
                made = [Unit(0, (digest, str(split.start), str(split.stop)), split=split) for split in plan.splits]
        except (OSError, pa.ArrowInvalid) as error:
            raise UsageError(f"cannot read {place}: {error}") from error
        files.append((name, digest))
        first = len(units)
        units += [replace(unit, number=first + number) for number, unit in enumerate(made)]
    return tuple(units), tuple(files)


def read_unit(inputs: Inputs, unit: Unit) -> Iterator[Row]:
    """Yield the rows of a unit in order; raises `StoreError` for a file that went away."""
    if unit.files is not None:
        for name, data in pictures.read_unit(unit.files, pictures.Columns()):
            yield Row(name, {PICTURE: data}) if isinstance(data, bytes) else Row(name, {}, data)
    elif unit.table is not None:
        name, start, stop = unit.table
        try:
            for number, row in tables.read_rows(inputs.root / name, start, stop):
                yield Row(f"{name}#row={number}", row)
        except (OSError, pa.ArrowInvalid) as error:
            raise StoreError(f"cannot read {inputs.root / name}: {error}; mend it, then run again") from error
    elif unit.split is not None:
        for raw in OwnRows(suffixes=_ROWS, known=_KEYS).read(inputs.root, unit.split):
            place = f"{unit.split.file}#{raw.locator}"
            fault = None if raw.error is None else f"{raw.error.reason}: {raw.error.detail}"
            yield Row(place, _flattened(raw.row or {}), fault)


def _flattened(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a sample of a tar as a row: the keys of its json member, and its pictures."""
    inner = row.get("json")
    if not isinstance(inner, Mapping) or "__key__" not in row:
        return row
    return {**inner, "images": [data for _, data in row.get("images") or ()], "id": inner.get("id", row["__key__"])}


def columns_of(inputs: Inputs) -> set[str]:
    """Return the columns of the input, as far as the first rows of its first files show them."""
    found: set[str] = set()
    seen: set[str] = set()
    for unit in inputs.units:
        file = unit.table[0] if unit.table else unit.split.file if unit.split else ""
        if file in seen or len(seen) == _PEEKED_FILES:
            continue
        seen.add(file)
        for row in islice(read_unit(inputs, unit), _PEEKED_ROWS):
            found |= set(row.row)
    return found


class PictureReader:
    """Finds the pictures of rows; keeps archives open."""

    def __init__(self, inputs: Inputs) -> None:
        self._store = ImageStore(inputs.root, inputs.image_roots)

    def read(self, value: object, names: Sequence[str] = ()) -> list[bytes | str]:
        """Return the pictures of a cell in order, a text in place of one that cannot be had.

        `names` are those that the picture may have where the cell does not hold it.
        """
        references = read_images(value)
        if isinstance(references, Quarantine):
            return [f"{references.reason}: {references.detail}"]
        if names and all(reference.data is None for reference in references):
            references = (ImageRef(path=names[0], alternatives=tuple(names[1:])),)
        return [self._one(reference) for reference in references]

    def _one(self, reference: ImageRef) -> bytes | str:
        name = reference.path
        if name is not None and not posixpath.splitext(name)[1]:
            reference = replace(reference, alternatives=tuple(f"{name}{ending}" for ending in _ENDINGS))
        if name is not None and "/" in name:  # a copy may be unpacked to any of its folders
            folders = posixpath.normpath(name).split("/")
            shorter = tuple("/".join(folders[depth:]) for depth in range(1, len(folders)))
            reference = replace(reference, alternatives=(*reference.alternatives, *shorter))
        found = self._store.find(reference)
        return f"{found.reason}: {found.detail}" if isinstance(found, Quarantine) else found[1]


def texts_in(value: object) -> list[str]:
    """Return all that is said in a cell: a text, turns in any usual form, or lists of them."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for key in _SAID for text in texts_in(value.get(key))]
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [text for item in value for text in texts_in(item)]
    return []
