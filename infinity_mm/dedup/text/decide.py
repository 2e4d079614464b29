"""Which texts are duplicates, and of whom: the shingle sets of texts that may be, compared exactly.

Each function makes one file from files that are there, and may be repeated or run anywhere.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.dedup.kernels.groups import least_agreeing
from infinity_mm.dedup.kernels.hashing import Ints
from infinity_mm.dedup.kernels.sets import Rows, Rule
from infinity_mm.dedup.kernels.settle import settle
from infinity_mm.dedup.text.inputs import Unit, read
from infinity_mm.dedup.text.meet import SKETCHES
from infinity_mm.dedup.text.plan import Plan
from infinity_mm.dedup.text.sign import shingle_sets
from infinity_mm.dedup.text.spill import batches_of, notes_of, numbers, reading, words, write_table, writing

DIGESTS = ["digest0", "digest1"]
#: Keep order within a component: lower priority, then smaller id.
_ORDER = [("component", "ascending"), ("priority", "ascending"), ("id", "ascending")]
#: Rows of one flush.
_FLUSH_ROWS = 1 << 14


def _schema(identity: pa.DataType) -> pa.Schema:
    return pa.schema(
        [
            pa.field("part", pa.int32()),
            pa.field("component", pa.int64()),
            pa.field("priority", pa.int64()),
            pa.field("id", identity),
            *(pa.field(name, pa.uint64()) for name in (*DIGESTS, *SKETCHES)),
            pa.field("shingles", pa.large_list(pa.uint64())),
        ]
    )


def parts_of(plan: Plan) -> int:
    """Return into how many parts the components are divided."""
    return notes_of(plan.spill.at("components", 0))["parts"]


def gather_unit(plan: Plan, unit: Unit) -> None:
    """Write ``sets``, by part: what the unit's rows in components are compared by. Texts are read a second time."""
    components = reading(plan.spill.at("components", 0)).read_all()
    parts = parts_of(plan)
    begin, end = np.searchsorted(numbers(components, "row"), [unit.first, unit.first + unit.rows])
    chosen = components.slice(begin, end - begin)
    places = numbers(chosen, "row") - unit.first
    sketches = reading(plan.spill.at("texts", unit.number)).read_all().select(SKETCHES)
    schema = _schema(_identity_type(plan, unit))
    with writing(plan.spill.at("sets", unit.number), schema) as writer:
        pending: list[pa.RecordBatch] = []
        first = 0
        for batch in read(unit, plan.columns.all()) if len(places) else ():
            low, high = np.searchsorted(places, [first, first + len(batch)])
            rows = pa.array(places[low:high] - first)
            own = chosen.slice(low, high - low)
            pending.append(_gathered(plan, batch.take(rows), own, sketches.take(pa.array(places[low:high])), schema))
            first += len(batch)
            if sum(map(len, pending)) >= _FLUSH_ROWS:
                _flush(writer, pending, parts)
                pending = []
        if pending:
            _flush(writer, pending, parts)


def _identity_type(plan: Plan, unit: Unit) -> pa.DataType:
    for batch in read(unit, [plan.columns.id]):
        return batch.schema.field(0).type
    return pa.large_string()


def _gathered(
    plan: Plan, batch: pa.RecordBatch, components: pa.Table, sketches: pa.Table, schema: pa.Schema
) -> pa.RecordBatch:
    """Return the rows of a batch, all of them in components, as they are compared."""
    sets = shingle_sets(batch.column(plan.columns.text), plan.params)
    if plan.columns.priority is None:
        priority = pa.array(np.zeros(len(batch), np.int64))
    else:
        priority = batch.column(plan.columns.priority).cast(pa.int64())
    columns = [
        components.column("part").combine_chunks(),
        components.column("component").combine_chunks(),
        priority,
        batch.column(plan.columns.id),
        *(pa.array(sets.digests[:, word]) for word in range(len(DIGESTS))),
        *(sketches.column(name).combine_chunks() for name in SKETCHES),
        pa.LargeListArray.from_arrays(pa.array(sets.starts), pa.array(sets.shingles)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _flush(writer: pa.RecordBatchFileWriter, pending: list[pa.RecordBatch], parts: int) -> None:
    """Write one batch for each part."""
    table = pa.Table.from_batches(pending)
    part = numbers(table, "part")
    order = np.argsort(part, kind="stable")
    edges = np.searchsorted(part[order], np.arange(parts + 1))
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        some = table.take(pa.array(order[begin:end])).combine_chunks()
        writer.write_batch(some.to_batches()[0] if len(some) else pa.RecordBatch.from_pylist([], schema=table.schema))


def settle_part(plan: Plan, part: int) -> None:
    """Write ``removed``: id, winner and similarity of every row of this part that is a duplicate."""
    parts = parts_of(plan)
    batches: list[pa.RecordBatch] = []
    for unit in plan.units:
        reader = reading(plan.spill.at("sets", unit.number))
        batches += batches_of(reader, part, parts)
        schema = reader.schema
    table = pa.Table.from_batches(batches, schema=schema)
    table = table.take(pc.sort_indices(table, sort_keys=_ORDER))
    rows = _rows(table)
    component = numbers(table, "component")
    edges = np.flatnonzero(np.concatenate([[True], component[1:] != component[:-1], [True]])) if len(table) else [0]
    rule = Rule(plan.params.threshold, least_agreeing(plan.params.threshold))
    winners, similarities = settle(rows, np.asarray(edges, np.int64), rule)
    lost = np.flatnonzero(winners >= 0)
    ids = table.column("id")
    columns = [ids.take(pa.array(lost)), ids.take(pa.array(winners[lost])), pa.array(similarities[lost])]
    removed = pa.table(columns, names=["id", "winner", "similarity"])
    write_table(plan.spill.at("removed", part), removed, {})


def _rows(table: pa.Table) -> Rows:
    shingles = table.column("shingles").combine_chunks()
    starts: Ints = shingles.offsets.to_numpy()
    values = shingles.values.to_numpy()
    return Rows(words(table, DIGESTS), words(table, SKETCHES), values, starts)
