"""Steps 5 to 7: the rows of each unit brought together, the decision on them, and the verdicts beside the parts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.rails import Tally, tally_of
from infinity_mm.dedup.resolve import DUPLICATES, READS, find_duplicates
from infinity_mm.fingerprint import fingerprint
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.pipeline.dedup.keys import Batch, live_rows
from infinity_mm.pipeline.dedup.meet import UnitNote, Units, label_of
from infinity_mm.pipeline.dedup.runs import read_runs, write_runs
from infinity_mm.store import Store

VERSION = 2
STAGE = "dedup"

#: Per record of a part, in order; all null where the row was no duplicate.
VERDICTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("winner", pa.string()),
        pa.field("similarity", pa.float32()),
        pa.field("hamming", pa.int32()),
    ]
)
#: Parameters that only say when to stop.
_RAILS = {"max_cluster", "max_drop"}


@dataclass(frozen=True)
class GatherTask:
    """The rows of one batch that are in components."""

    work: str
    batch: Batch
    number: int
    names: tuple[str, ...]
    members: str
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The rows, by unit."""
        return (self.output,)


@dataclass(frozen=True)
class SettleTask:
    """The components of one unit."""

    work: str
    label: str
    #: Of each batch that rows lie in: its gathered rows, name, source and priority.
    gathered: tuple[tuple[str, str, str, int], ...]
    params_json: str
    losers: str
    notes: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The losers, by batch, and their sums."""
        return (self.losers, self.notes)


class Settled(Frozen):
    """What was decided on a unit."""

    tally: Tally
    #: Batch name -> digest of its losers.
    digests: dict[str, str]


@dataclass(frozen=True)
class VerdictTask:
    """The verdicts on the parts of one batch."""

    work: str
    batch: Batch
    #: Files with losers of the batch.
    losers: tuple[str, ...]
    outputs: tuple[str, ...]


def gather_tasks(
    work: str, batches: Sequence[Batch], members: str, units: Units, wanted: Sequence[UnitNote]
) -> list[GatherTask]:
    """Return the tasks of the batches that the wanted units need rows of."""
    names = tuple(batch.name for batch in batches)
    tasks = []
    for number in sorted({number for unit in wanted for number in unit.batches}):
        batch = batches[number]
        tasks.append(GatherTask(work, batch, number, names, members, gathered_path(batch, units.slices[number])))
    return tasks


def gathered_path(batch: Batch, digest: str) -> str:
    """Return where a batch's rows in components lie; `digest` says which rows, and in which units."""
    return batch.path("gather", fingerprint(["dedup-gather", VERSION, batch.name, digest]))


def gather(task: GatherTask) -> None:
    """Write all that rows in components are compared by, sorted by unit. Memory is that of the batch's rows."""
    store = Store(Location(task.work))
    own = read_runs(store, task.members, lambda label: label == str(task.number))
    table, _, _ = live_rows(store, task.batch, READS, own.column("row").to_numpy())
    table = table.append_column("row", own.column("row"))
    home, unit = (own.column(name).to_numpy() for name in ("home", "unit"))
    order = np.lexsort((unit, home))
    home, unit = home[order], unit[order]
    ends = np.append(np.flatnonzero((home[1:] != home[:-1]) | (unit[1:] != unit[:-1])), len(order) - 1)
    labels = [label_of(task.names, int(home[end]), int(unit[end])) for end in ends]
    write_runs(store, task.output, table.take(pa.array(order)), labels, (ends + 1).tolist())


def settle_task(
    work: str,
    unit: UnitNote,
    units: Units,
    batches: Sequence[Batch],
    priorities: Mapping[str, int],
    params: DedupParams,
) -> SettleTask:
    """Return the task of one unit, named by its rows and by what it is decided with."""
    own = [batches[number] for number in unit.batches]
    matters = params.model_dump(mode="json", exclude=_RAILS)
    order = [[batch.name, priorities[batch.source]] for batch in own]
    name = fingerprint(["dedup-settle", VERSION], matters, [unit.label, unit.digest], order)
    gathered = tuple(
        (gathered_path(batch, units.slices[number]), batch.name, batch.source, priorities[batch.source])
        for number, batch in zip(unit.batches, own, strict=True)
    )
    losers, notes = f"state/dedup-settle/part-{name}.parquet", f"state/dedup-settle/part-{name}.json"
    return SettleTask(work, unit.label, gathered, params.model_dump_json(), losers, notes)


def settle(task: SettleTask) -> None:
    """Decide on the rows of a unit, and write the losers by batch. Memory is that of the unit's rows."""
    store = Store(Location(task.work))
    tables, owners = [], []
    for number, (path, _, source, priority) in enumerate(task.gathered):
        table = read_runs(store, path, lambda label: label == task.label)
        table = table.append_column("source", pa.array([source] * len(table), pa.string()))
        tables.append(table.append_column("priority", pa.array(np.full(len(table), priority, np.int32))))
        owners.append(np.full(len(table), number, np.int32))
    rows = pa.concat_tables(tables)
    removed = find_duplicates(rows, DedupParams.model_validate_json(task.params_json))
    places = pc.index_in(removed.column("id"), value_set=rows.column("id")).combine_chunks()
    tally = tally_of(removed, rows.column("source").take(places))
    owner = np.concatenate(owners)[places.to_numpy()]
    removed = removed.append_column("row", rows.column("row").take(places))
    order = np.lexsort((removed.column("row").to_numpy(), owner))
    removed, ends = removed.take(pa.array(order)), np.searchsorted(owner[order], np.arange(len(tables)), side="right")
    names = [name for _, name, _, _ in task.gathered]
    write_runs(store, task.losers, removed, names, ends.tolist())
    digests = {}
    for name, begin, end in zip(names, [0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        if end > begin:
            text = orjson.dumps(removed.slice(begin, end - begin).to_pylist())
            digests[name] = hashlib.blake2b(text, digest_size=8).hexdigest()
    store.at(task.notes).write_bytes(Settled(tally=tally, digests=digests).model_dump_json().encode())


def verdict_task(work: str, batch: Batch, settled: Sequence[tuple[SettleTask, Settled]]) -> VerdictTask:
    """Return the task of one batch; verdicts are named by what they say, not by how they were come to."""
    losers = [(found.digests[batch.name], task.losers) for task, found in settled if batch.name in found.digests]
    digests = sorted(digest for digest, _ in losers)
    outputs = tuple(
        part.attributes(STAGE, fingerprint([STAGE, VERSION], [part.ingest, digests])) for part in batch.parts
    )
    return VerdictTask(work, batch, tuple(sorted(path for _, path in losers)), outputs)


def write_verdicts(task: VerdictTask) -> None:
    """Write one verdict per record of every part of a batch."""
    store = Store(Location(task.work))
    found = [read_runs(store, path, lambda label: label == task.batch.name) for path in task.losers]
    losers = pa.concat_tables([_LOSERS.empty_table(), *found])
    rows = losers.column("row").to_numpy()
    first = 0
    for part, path in zip(task.batch.parts, task.outputs, strict=True):
        ids = store.read(part.ingest, ["id"]).column("id").combine_chunks()
        own = np.flatnonzero((rows >= first) & (rows < first + len(ids)))
        place = np.full(len(ids), -1, np.int64)
        place[rows[own] - first] = own
        marks = losers.take(pa.array(place, mask=place < 0)).combine_chunks()
        columns = [ids, *(marks.column(name) for name in VERDICTS.names[1:])]
        store.write(path, pa.Table.from_arrays(columns, schema=VERDICTS))
        first += len(ids)


_LOSERS = DUPLICATES.append(pa.field("row", pa.uint32()))
