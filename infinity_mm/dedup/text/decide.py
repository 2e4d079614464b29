"""Which texts are duplicates, and of whom: the shingle sets of texts that may be, compared exactly.

Each function makes one file from files that are there, and may be repeated or run anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.groups import least_agreeing
from infinity_mm.dedup.kernels.hashing import Hashes, Ints
from infinity_mm.dedup.kernels.sets import Rows, Rule, place_sets
from infinity_mm.dedup.kernels.settle import settle
from infinity_mm.dedup.kernels.words import Coded, Words, decode
from infinity_mm.dedup.text.inputs import Unit
from infinity_mm.dedup.text.meet import SKETCHES
from infinity_mm.dedup.text.plan import Plan
from infinity_mm.dedup.text.sign import Sets, shingle_sets
from infinity_mm.dedup.text.spill import column, flat, notes_of, numbers, reading, words, write_table

#: Keep order within a component: lower priority, then smaller id.
_ORDER = [("component", "ascending"), ("priority", "ascending"), ("id", "ascending")]
#: Texts that are decoded together at most.
_TOGETHER = 1 << 11


def parts_of(plan: Plan) -> int:
    """Return into how many parts the components are divided."""
    return notes_of(plan.spill.at("components", 0))["parts"]


def gather_unit(plan: Plan, unit: Unit) -> None:
    """Write ``members``: the unit's ``texts`` that are in components, by part, so that each part is read in one go."""
    components = reading(plan.spill.at("components", 0)).read_all()
    rows = numbers(components, "row")
    texts = reading(plan.spill.at("texts", unit.number))
    first = unit.first
    found: list[pa.RecordBatch] = []
    for number in range(texts.num_record_batches):
        batch = texts.get_batch(number)
        begin, end = np.searchsorted(rows, [first, first + len(batch)])
        chosen = components.slice(begin, end - begin)
        # Ordered here already: to take from several batches at once would copy all of each.
        order = np.argsort(numbers(chosen, "part"), kind="stable")
        own = batch.take(column(rows[begin:end][order] - first))
        for name, values in zip(chosen.column_names, chosen.take(column(order)).columns, strict=True):
            own = own.append_column(name, values.combine_chunks())
        found.append(own)
        first += len(batch)
    table = pa.Table.from_batches(found)
    if len(found) > 1:
        table = table.take(column(np.argsort(numbers(table, "part"), kind="stable")))
    write_table(plan.spill.at("members", unit.number), table, {})


def settle_part(plan: Plan, part: int) -> None:
    """Write ``removed``: id, winner and similarity of every row of this part that is a duplicate, and both rows."""
    named: list[pa.RecordBatch] = []
    sets: list[Sets] = []
    for batch, compared in _members(plan, part):
        named.append(batch)
        sets.append(compared)
    table = pa.Table.from_batches(named, schema=_schema(plan))
    order = pc.sort_indices(table, sort_keys=_ORDER)
    table = table.take(order)
    digests, shingles, starts = _ordered(sets, flat(order).astype(np.int64))
    component = numbers(table, "component")
    edges = np.flatnonzero(np.concatenate([[True], component[1:] != component[:-1], [True]])) if len(table) else [0]
    rule = Rule(plan.params.threshold, least_agreeing(plan.params.threshold))
    rows = Rows(digests, words(table, SKETCHES), shingles, starts)
    winners, similarities = settle(rows, np.asarray(edges, np.int64), rule)
    _write(plan, part, table.select(["id", "row"]), winners, similarities)


def _schema(plan: Plan) -> pa.Schema:
    fields = [pa.field(name, pa.uint64()) for name in SKETCHES]
    fields += [pa.field(name, pa.int64()) for name in ("row", "component", "priority")]
    return pa.schema([*fields, pa.field("id", plan.units[0].ids)])


def _members(plan: Plan, part: int) -> Iterator[tuple[pa.RecordBatch, Sets]]:
    """Yield the rows of a part, and what they are compared by, a few thousand at a time."""
    names = _schema(plan).names
    for unit in plan.units:
        # Files are mapped for as long as a reader lives, and what is mapped counts as memory: one unit at a time.
        members = reading(plan.spill.at("members", unit.number)).get_batch(0)
        begin, end = np.searchsorted(numbers(members, "part"), [part, part + 1])
        dictionary = _dictionary(plan, unit.number)
        for low in range(begin, end, _TOGETHER):
            some = members.slice(low, min(end - low, _TOGETHER))
            sets = shingle_sets(*decode(_coded(some), dictionary, np.arange(len(some))), plan.params)
            # Copied, for what is sliced stays mapped.
            yield some.select(names).take(column(np.arange(len(some)))), sets


def _dictionary(plan: Plan, unit: int) -> Words:
    found = reading(plan.spill.at("words", unit)).get_batch(0).column("word")
    ends = np.frombuffer(found.buffers()[1], np.int64)[: len(found) + 1]
    return Words(np.frombuffer(found.buffers()[2], np.uint8), ends)


def _coded(batch: pa.RecordBatch) -> Coded:
    codes, first = _parts(batch.column("codes"))
    return Coded(codes.view(np.uint16), first // 2, *_parts(batch.column("rest")))


def _parts(column: pa.Array) -> tuple[NDArray[np.uint8], Ints]:
    """Return the bytes of byte strings, and where each begins and the last ends."""
    starts = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(column.buffers()[2] or b"", np.uint8), starts


def _ordered(found: list[Sets], order: Ints) -> tuple[Hashes, Hashes, Ints]:
    """Return digests and shingle sets in the given order, and where each set begins; empties the list."""
    sizes = np.concatenate([np.zeros(0, np.int64), *(np.diff(some.starts) for some in found)])
    begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[order])])
    places = np.empty(len(order), np.int64)
    places[order] = begins[:-1]
    digests = np.concatenate([np.zeros((0, 2), np.uint64), *(some.digests for some in found)])[order]
    shingles = np.empty(int(begins[-1]), np.uint64)
    done = 0
    while found:
        some = found.pop(0)
        place_sets(some.shingles, some.starts, places[done : done + len(some.digests)], shingles)
        done += len(some.digests)
    return digests, shingles, begins


def _write(plan: Plan, part: int, table: pa.Table, winners: Ints, similarities: NDArray[np.float64]) -> None:
    lost = np.flatnonzero(winners >= 0)
    losers, winning = table.take(column(lost)), table.take(column(winners[lost]))
    named = {
        "id": losers.column("id"),
        "winner": winning.column("id"),
        "similarity": column(similarities[lost]),
        "row": losers.column("row"),
        "winner_row": winning.column("row"),
    }
    write_table(plan.spill.at("removed", part), pa.table(named), {})
