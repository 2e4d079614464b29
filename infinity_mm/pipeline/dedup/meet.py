"""Steps 2 to 4: rows that meet, as edges, found key range by key range; and the components that the edges make."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.blocking.components import Edges, Members, forest_of, members_of
from infinity_mm.dedup.blocking.keys import distinct
from infinity_mm.dedup.blocking.near import near_rows
from infinity_mm.dedup.kernels.groups import Keys
from infinity_mm.dedup.ragged import Ints
from infinity_mm.dedup.sketch import Sketches
from infinity_mm.fingerprint import fingerprint
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.pipeline.dedup.keys import SKETCHES, Batch, Notes
from infinity_mm.pipeline.dedup.runs import read_runs, write_runs
from infinity_mm.store import Store, part_name

VERSION = 2

Ints32 = NDArray[np.int32]


@dataclass(frozen=True)
class EdgesTask:
    """The rows that meet by the keys, or by the cells, that begin with `prefix`."""

    work: str
    #: Of each batch, its keys or cells, its sketches, and the number of its first row in the whole input.
    entries: tuple[str, ...]
    sketches: tuple[str, ...]
    firsts: tuple[int, ...]
    #: Bits, as a text of 0 and 1.
    prefix: str
    #: Bits up to which hashes are near; None for keys.
    radius: int | None
    #: Places of 64 in which sketches agree of texts that meet by a band.
    least: int
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The edges."""
        return (self.output,)


@dataclass(frozen=True)
class ComponentsTask:
    """The components of all edges."""

    work: str
    names: tuple[str, ...]
    #: Number of the first row of each batch, and of all rows.
    firsts: tuple[int, ...]
    row_bytes: tuple[int, ...]
    edges: tuple[str, ...]
    unit_bytes: int
    members: str
    units: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The members of components, and what is decided together."""
        return (self.members, self.units)


class UnitNote(Frozen):
    """Components that are decided together."""

    #: Names the batch it is counted in, and its number there: the same whatever other batches there are.
    label: str
    #: Of the rows.
    digest: str
    #: Numbers of the batches that rows lie in.
    batches: tuple[int, ...]


class Units(Frozen):
    """What is decided together, and a digest of what each batch has to do with it."""

    units: tuple[UnitNote, ...]
    slices: tuple[str, ...]


def edges_tasks(
    work: str, batches: Sequence[Batch], notes: Sequence[Notes], radius: int | None, least: int, most: int
) -> list[EdgesTask]:
    """Return as many tasks, a power of two, as leave each `most` entries, or cells, on average; none without any."""
    total = sum(note.entries if radius is None else note.cells for note in notes)
    if not total:
        return []
    bits = max(0, -(-total // most) - 1).bit_length()
    firsts = first_rows(notes)
    kind, step = ("groups", "keys") if radius is None else ("near", "cells")
    names = [batch.name for batch in batches]
    entries, sketches = (tuple(batch.path(kept) for batch in batches) for kept in (step, "sketches"))
    tasks = []
    for number in range(1 << bits):
        prefix = f"{number:0{bits}b}" if bits else ""
        name = fingerprint([f"dedup-{kind}", VERSION, radius, least, prefix], names, list(firsts))
        output = f"state/dedup-{kind}/{part_name(number, name)}"
        tasks.append(EdgesTask(work, entries, sketches, firsts[:-1], prefix, radius, least, output))
    return tasks


def first_rows(notes: Sequence[Notes]) -> tuple[int, ...]:
    """Return the number of the first row of each batch, and the number of all rows."""
    return tuple(np.concatenate([np.zeros(1, np.int64), np.cumsum([note.rows for note in notes])]).tolist())


def make_edges(task: EdgesTask) -> None:
    """Write edges that connect the rows that meet; at most one for each row.

    Memory is that of the entries of the prefix: some 60 bytes each, for keys.
    """
    store = Store(Location(task.work))
    tables = [_entries(store, path, task.prefix) for path in task.entries]
    if task.radius is None:
        parts = [
            Keys(table.column("key").to_numpy(), table.column("row").to_numpy(), first)
            for table, first in zip(tables, task.firsts, strict=True)
        ]
        edges = forest_of(parts, lambda rows: _sketches(store, task, rows), task.least)
    else:
        edges = _near(tables, task.firsts, task.radius)
    store.write(task.output, pa.table({"one": edges.one, "other": edges.other}))


def _entries(store: Store, path: str, prefix: str) -> pa.Table:
    """Return the entries of a batch whose keys begin with the prefix."""
    # A file of few entries is sorted by fewer bits than the prefix has.
    table = read_runs(store, path, lambda label: label.startswith(prefix) or prefix.startswith(label))
    if not prefix:
        return table
    own = table.column("key").to_numpy() >> np.uint64(64 - len(prefix)) == np.uint64(int(prefix, 2))
    return table if own.all() else table.filter(pa.array(own))


def _sketches(store: Store, task: EdgesTask, rows: Ints) -> Sketches:
    """Return the sketches of rows, ascending numbers in the whole input; one batch is in memory at a time."""
    found = np.empty((len(rows), len(SKETCHES)), np.uint64)
    edges = np.searchsorted(rows, [*task.firsts, np.iinfo(np.int64).max])
    for path, first, begin, end in zip(task.sketches, task.firsts, edges[:-1], edges[1:], strict=True):
        if begin < end:
            table = read_runs(store, path, lambda label: True)
            places = np.searchsorted(table.column("row").to_numpy(), rows[begin:end] - first)
            for word, name in enumerate(SKETCHES):
                found[begin:end, word] = table.column(name).to_numpy()[places]
    return found


def _near(tables: Sequence[pa.Table], firsts: Sequence[int], radius: int) -> Edges:
    rows = [
        table.column("row").to_numpy().astype(np.int64) + first for table, first in zip(tables, firsts, strict=True)
    ]
    cells = pa.concat_tables(tables)
    side, phash = (cells.column(name).to_numpy() for name in ("key", "phash"))
    return Edges(*near_rows(distinct(side, phash, np.concatenate(rows)), radius))


def components_task(
    work: str, batches: Sequence[Batch], notes: Sequence[Notes], edges: Sequence[EdgesTask], unit_bytes: int
) -> ComponentsTask:
    """Return the one task that unites all edges."""
    names = tuple(batch.name for batch in batches)
    row_bytes = tuple(note.row_bytes for note in notes)
    paths = tuple(task.output for task in edges)
    made_from = [list(names), list(first_rows(notes)), list(row_bytes), list(paths)]
    name = fingerprint(["dedup-components", VERSION, unit_bytes], made_from)
    folder = "state/dedup-components"
    members, units = f"{folder}/{part_name(0, name)}", f"{folder}/part-00000-{name}.json"
    return ComponentsTask(work, names, first_rows(notes), row_bytes, paths, unit_bytes, members, units)


def make_components(task: ComponentsTask) -> None:
    """Write the rows of all components of two or more, by batch, and what is to be decided together.

    Each has its number in the batch, uint32, and the unit it is decided in, int32: the number of the batch in which
    the component's first row lies (`home`), and one there (`unit`).
    Memory is one bit a row, about 40 bytes for each row that meets another, and the edges of one file.
    """
    store = Store(Location(task.work))

    def edges() -> Iterator[Edges]:
        for path in task.edges:
            table = store.read(path)
            yield Edges(table.column("one").to_numpy(), table.column("other").to_numpy())

    firsts = np.array(task.firsts, np.int64)
    members = members_of(edges, firsts, task.row_bytes, task.unit_bytes)
    batch = (np.searchsorted(firsts, members.row, side="right") - 1).astype(np.int32)
    row = (members.row - firsts[batch]).astype(np.uint32)
    table = pa.table({"row": row, "home": members.home, "unit": members.unit})
    numbers = range(len(task.names))
    write_runs(store, task.members, table, [*map(str, numbers)], np.searchsorted(batch, numbers, side="right").tolist())
    units = units_of(task.names, batch, row, members)
    store.at(task.units).write_bytes(units.model_dump_json().encode())


def units_of(names: Sequence[str], batch: Ints32, row: NDArray[np.uint32], members: Members) -> Units:
    """Return the units, and digests of the rows in each; `batch` and `row` number those of `members`."""
    digests: dict[tuple[int, int], Any] = defaultdict(lambda: hashlib.blake2b(digest_size=8))
    lies_in: dict[tuple[int, int], list[int]] = defaultdict(list)
    slices = []
    edges = np.searchsorted(batch, np.arange(len(names) + 1))
    for number, (begin, end) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        own = hashlib.blake2b(digest_size=8)
        for home, unit, rows in _by_unit(members.home[begin:end], members.unit[begin:end], row[begin:end]):
            own.update(f"{label_of(names, home, unit)} {len(rows)} ".encode())
            own.update(rows.astype("<u4").tobytes())
            digests[home, unit].update(f"{names[number]} {len(rows)} ".encode())
            digests[home, unit].update(rows.astype("<u4").tobytes())
            lies_in[home, unit].append(number)
        slices.append(own.hexdigest())
    units = tuple(
        UnitNote(label=label_of(names, *key), digest=digests[key].hexdigest(), batches=tuple(lies_in[key]))
        for key in sorted(digests)
    )
    return Units(units=units, slices=tuple(slices))


def label_of(names: Sequence[str], home: int, unit: int) -> str:
    """Name a unit by the batch that it is counted in."""
    return f"{names[home]}-{unit}"


def _by_unit(home: Ints32, unit: Ints32, row: NDArray[np.uint32]) -> Iterator[tuple[int, int, NDArray[np.uint32]]]:
    order = np.lexsort((unit, home))
    home, unit, row = home[order], unit[order], row[order]
    edges = np.flatnonzero(np.append(True, (home[1:] != home[:-1]) | (unit[1:] != unit[:-1]))[: len(row)]).tolist()
    for begin, end in zip(edges, [*edges[1:], len(row)], strict=False):
        yield int(home[begin]), int(unit[begin]), row[begin:end]
