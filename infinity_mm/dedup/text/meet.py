"""Which texts may be duplicates: keys of every text, groups with equal keys, components of groups.

Each function makes one file from files that are there, and may be repeated or run anywhere.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.kernels import forest, groups
from infinity_mm.dedup.kernels.hashing import Ints
from infinity_mm.dedup.kernels.keys import SKETCH_WORDS, by_partition
from infinity_mm.dedup.text.identity import identity_hashes
from infinity_mm.dedup.text.inputs import UNIT_ROWS, Unit, read
from infinity_mm.dedup.text.plan import Plan
from infinity_mm.dedup.text.sign import Signed, sign
from infinity_mm.dedup.text.spill import batches_of, notes_of, numbers, reading, words, write_table, writing
from infinity_mm.errors import StageError

KEYS = pa.schema([pa.field("key", pa.uint64()), pa.field("row", pa.uint32())])
SKETCHES = [f"sketch{word}" for word in range(SKETCH_WORDS)]
#: One row per text of the input; `identity` is a hash of its id.
TEXTS = pa.schema([*(pa.field(name, pa.uint64()) for name in SKETCHES), pa.field("identity", pa.uint64())])
GROUPS = pa.schema([pa.field("rows", pa.large_list(pa.int64()))])


def sign_unit(plan: Plan, unit: Unit) -> None:
    """Write ``keys``, partitioned, and ``texts`` of a unit. Rows are numbered within the unit."""
    parts: list[pa.RecordBatch] = []
    nulls = shingles = rows = flushed = 0
    pending: list[tuple[int, Signed]] = []
    with writing(plan.spill.at("keys", unit.number), KEYS) as writer:
        for batch in read(unit, [plan.columns.text, plan.columns.id]):
            texts, ids = batch.columns
            if ids.null_count:
                raise StageError(f"{unit.file} has rows without {plan.columns.id!r}: every row needs an id")
            signed = sign(texts, plan.params)
            pending.append((rows, signed))
            sketches = [pa.array(signed.sketches[:, word]) for word in range(SKETCH_WORDS)]
            parts.append(pa.RecordBatch.from_arrays([*sketches, pa.array(identity_hashes(ids))], schema=TEXTS))
            nulls += texts.null_count
            shingles += int(signed.sizes.sum())
            rows += len(batch)
            if rows - flushed >= UNIT_ROWS:
                _flush(plan, writer, pending)
                pending, flushed = [], rows
        _flush(plan, writer, pending)
    table = pa.Table.from_batches(parts, schema=TEXTS)
    write_table(plan.spill.at("texts", unit.number), table, {"nulls": nulls, "shingles": shingles})


def _flush(plan: Plan, writer: pa.RecordBatchFileWriter, pending: list[tuple[int, Signed]]) -> None:
    """Write one batch for each partition."""
    if not pending:
        return
    keys = np.concatenate([signed.keys for _, signed in pending])
    rows = np.concatenate([signed.rows + np.uint32(first) for first, signed in pending])
    keys, rows, starts = by_partition(keys, rows, plan.partitions)
    whole = pa.RecordBatch.from_arrays([pa.array(keys), pa.array(rows)], schema=KEYS)
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        writer.write_batch(whole.slice(begin, end - begin))


def group_partition(plan: Plan, partition: int) -> None:
    """Write ``groups``: the rows, numbered through the whole input, of each key that more than one row has."""
    parts = [
        groups.Keys(numbers(batch, "key"), numbers(batch, "row"), unit.first)
        for unit in plan.units
        for batch in batches_of(reading(plan.spill.at("keys", unit.number)), partition, plan.partitions)
    ]
    found, starts = groups.groups_of(parts)
    lists = pa.LargeListArray.from_arrays(pa.array(starts), pa.array(found))
    write_table(plan.spill.at("groups", partition), pa.Table.from_arrays([lists], schema=GROUPS), {})


def unite(plan: Plan) -> None:
    """Write ``components``: row, component and set partition of every row in a component of two or more.

    A component's number is that of its first row. Sorted by row.
    """
    candidates = np.zeros(plan.rows, bool)
    for partition in range(plan.partitions):
        candidates[_groups(plan, partition)[0]] = True
    rows = np.flatnonzero(candidates)
    sketches = _sketches(plan, rows)
    place = np.cumsum(candidates, dtype=np.int32) - np.int32(1)
    parents = np.arange(len(rows), dtype=np.int64)
    least = groups.least_agreeing(plan.params.threshold)
    for partition in range(plan.partitions):
        members, starts = _groups(plan, partition)
        groups.unite(parents, place[members].astype(np.int64), starts, sketches, least)
    root = forest.roots(parents)
    joined = np.flatnonzero(np.bincount(root, minlength=len(rows))[root] > 1)
    notes = [notes_of(plan.spill.at("texts", unit.number)) for unit in plan.units]
    per_row = sum(note["shingles"] for note in notes) / max(1, plan.rows)
    parts = max(1, int(np.ceil(len(joined) * per_row * 8 / plan.set_bytes)))
    table = pa.table({"row": rows[joined], "component": rows[root[joined]], "part": _part(root[joined], parts)})
    write_table(plan.spill.at("components", 0), table, {"candidates": len(rows), "parts": parts})


def _part(component: Ints, parts: int) -> NDArray[np.int32]:
    mixed = component.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed >> np.uint64(32)) % np.uint64(parts)).astype(np.int32)


def _groups(plan: Plan, partition: int) -> tuple[Ints, Ints]:
    found = reading(plan.spill.at("groups", partition)).read_all().column("rows").combine_chunks()
    return found.values.to_numpy(), found.offsets.to_numpy()


def _sketches(plan: Plan, rows: Ints) -> NDArray[np.uint64]:
    """Return the sketches of some rows, numbered through the whole input, ascending."""
    parts = [np.empty((0, SKETCH_WORDS), np.uint64)]
    for unit in plan.units:
        begin, end = np.searchsorted(rows, [unit.first, unit.first + unit.rows])
        if begin < end:
            texts = reading(plan.spill.at("texts", unit.number)).read_all()
            parts.append(words(texts, SKETCHES)[rows[begin:end] - unit.first])
    return np.concatenate(parts)
