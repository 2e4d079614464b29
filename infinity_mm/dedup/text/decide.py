"""Which texts are duplicates, and of whom: the shingle sets of texts that may be, compared exactly.

Each function makes one file from files that are there, and may be repeated or run anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.dedup.kernels.groups import least_agreeing
from infinity_mm.dedup.kernels.hashing import Hashes, Ints
from infinity_mm.dedup.kernels.sets import Rows, Rule, take_sets
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
_FLUSH_ROWS = 1 << 12


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


@dataclass(frozen=True)
class _Gathered:
    """Rows in components, as they are compared."""

    #: All columns but the shingles.
    rows: pa.Table
    shingles: Hashes
    #: Where each row's begin: int64, shape (rows + 1,).
    starts: Ints


def gather_unit(plan: Plan, unit: Unit) -> None:
    """Write ``sets``, by part: what the unit's rows in components are compared by. Texts are read a second time."""
    components = reading(plan.spill.at("components", 0)).read_all()
    parts = parts_of(plan)
    begin, end = np.searchsorted(numbers(components, "row"), [unit.first, unit.first + unit.rows])
    chosen = components.slice(begin, end - begin)
    places = numbers(chosen, "row") - unit.first
    sketches = reading(plan.spill.at("texts", unit.number)).read_all().select(SKETCHES)
    with writing(plan.spill.at("sets", unit.number), _schema(_identity_type(plan, unit))) as writer:
        pending: list[_Gathered] = []
        first = 0
        for batch in read(unit, plan.columns.all()) if len(places) else ():
            low, high = np.searchsorted(places, [first, first + len(batch)])
            own = batch.take(pa.array(places[low:high] - first))
            pending.append(
                _gathered(plan, own, chosen.slice(low, high - low), sketches.take(pa.array(places[low:high])))
            )
            first += len(batch)
            if sum(len(some.rows) for some in pending) >= _FLUSH_ROWS:
                _flush(writer, pending, parts)
                pending = []
        if pending:
            _flush(writer, pending, parts)


def _identity_type(plan: Plan, unit: Unit) -> pa.DataType:
    for batch in read(unit, [plan.columns.id]):
        return batch.schema.field(0).type
    return pa.large_string()


def _gathered(plan: Plan, batch: pa.RecordBatch, components: pa.Table, sketches: pa.Table) -> _Gathered:
    """Return the rows of a batch, all of them in components, as they are compared."""
    sets = shingle_sets(batch.column(plan.columns.text), plan.params)
    if plan.columns.priority is None:
        priority = pa.array(np.zeros(len(batch), np.int64))
    else:
        priority = batch.column(plan.columns.priority).cast(pa.int64())
    identity = batch.column(plan.columns.id)
    columns = [
        components.column("part"),
        components.column("component"),
        priority,
        identity,
        *(pa.array(sets.digests[:, word]) for word in range(len(DIGESTS))),
        *sketches.columns,
    ]
    return _Gathered(pa.table(columns, schema=pa.schema(list(_schema(identity.type))[:-1])), sets.shingles, sets.starts)


def _flush(writer: pa.RecordBatchFileWriter, pending: list[_Gathered], parts: int) -> None:
    """Write one batch for each part."""
    table = pa.concat_tables([some.rows for some in pending])
    part = numbers(table, "part")
    order = np.argsort(part, kind="stable")
    edges = np.searchsorted(part[order], np.arange(parts + 1))
    shingles, starts = take_sets(*_joined([(some.shingles, some.starts) for some in pending]), order)
    columns = [column.combine_chunks() for column in table.take(pa.array(order)).columns]
    lists = pa.LargeListArray.from_arrays(pa.array(starts), pa.array(shingles))
    whole = pa.RecordBatch.from_arrays([*columns, lists], schema=_schema(table.schema.field("id").type))
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        writer.write_batch(whole.slice(begin, end - begin))


def _joined(parts: Sequence[tuple[Hashes, Ints]]) -> tuple[Hashes, Ints]:
    """Return sets given in several pieces as one piece; a piece's sets need not begin at 0."""
    values = [np.empty(0, np.uint64)]
    sizes = [np.empty(0, np.int64)]
    for shingles, starts in parts:
        values.append(shingles[starts[0] : starts[-1]])
        sizes.append(np.diff(starts))
    return np.concatenate(values), np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(sizes))])


def settle_part(plan: Plan, part: int) -> None:
    """Write ``removed``: id, winner and similarity of every row of this part that is a duplicate."""
    parts = parts_of(plan)
    batches: list[pa.RecordBatch] = []
    for unit in plan.units:
        reader = reading(plan.spill.at("sets", unit.number))
        batches += batches_of(reader, part, parts)
        schema = reader.schema
    table = pa.Table.from_batches(batches, schema=schema)
    order = pc.sort_indices(table, sort_keys=_ORDER)
    lists = table.column("shingles").chunks
    pieces = _joined([(some.values.to_numpy(), some.offsets.to_numpy()) for some in lists])
    table = table.drop_columns("shingles").take(order)
    rows = Rows(words(table, DIGESTS), words(table, SKETCHES), *take_sets(*pieces, order.to_numpy().astype(np.int64)))
    component = numbers(table, "component")
    edges = np.flatnonzero(np.concatenate([[True], component[1:] != component[:-1], [True]])) if len(table) else [0]
    rule = Rule(plan.params.threshold, least_agreeing(plan.params.threshold))
    winners, similarities = settle(rows, np.asarray(edges, np.int64), rule)
    lost = np.flatnonzero(winners >= 0)
    ids = table.column("id")
    columns = [ids.take(pa.array(lost)), ids.take(pa.array(winners[lost])), pa.array(similarities[lost])]
    removed = pa.table(columns, names=["id", "winner", "similarity"])
    write_table(plan.spill.at("removed", part), removed, {})
