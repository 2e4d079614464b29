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


def settle_part(plan: Plan, part: int) -> None:
    """Write ``removed``: id, winner and similarity of every row of this part that is a duplicate, and both rows."""
    components = reading(plan.spill.at("components", 0)).read_all()
    begin, end = np.searchsorted(numbers(components, "part"), [part, part + 1])
    members = components.slice(begin, end - begin)
    named: list[pa.RecordBatch] = []
    sets: list[Sets] = []
    for columns, compared in _texts(plan, numbers(members, "row")):
        named.append(columns)
        sets.append(compared)
    table = pa.Table.from_batches(named, schema=_schema(plan))
    table = table.append_column("row", members.column("row")).append_column("component", members.column("component"))
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
    sketches = (pa.field(name, pa.uint64()) for name in SKETCHES)
    return pa.schema([*sketches, pa.field("priority", pa.int64()), pa.field("id", plan.units[0].ids)])


def _texts(plan: Plan, rows: Ints) -> Iterator[tuple[pa.RecordBatch, Sets]]:
    """Yield rows, numbered through the whole input and ascending, a few thousand at a time."""
    for unit in plan.units:
        begin, end = np.searchsorted(rows, [unit.first, unit.first + unit.rows])
        if begin == end:
            continue
        # Files are mapped for as long as a reader lives, and what is mapped counts as memory: one unit at a time.
        dictionary = _dictionary(plan, unit.number)
        texts = reading(plan.spill.at("texts", unit.number))
        first = unit.first
        for number in range(texts.num_record_batches):
            batch = texts.get_batch(number)
            begin, end = np.searchsorted(rows, [first, first + len(batch)])
            for low in range(begin, end, _TOGETHER):
                places = rows[low : min(end, low + _TOGETHER)] - first
                sets = shingle_sets(*decode(_coded(batch), dictionary, places), plan.params)
                yield batch.select(_schema(plan).names).take(column(places)), sets
            first += len(batch)


def _dictionary(plan: Plan, unit: int) -> Words:
    found = reading(plan.spill.at("words", unit)).get_batch(0).column("word")
    ends = np.frombuffer(found.buffers()[1], np.int64)[: len(found) + 1]
    return Words(np.frombuffer(found.buffers()[2], np.uint8), ends)


def _coded(batch: pa.RecordBatch) -> Coded:
    codes, rest = batch.column("codes"), batch.column("rest")
    starts = np.frombuffer(rest.buffers()[1], np.int64)[: len(batch) + 1]
    kept = np.frombuffer(rest.buffers()[2] or b"", np.uint8)
    return Coded(flat(codes.values), flat(codes.offsets), kept, starts)


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
