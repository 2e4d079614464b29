"""Which texts may be duplicates: keys of every text, groups with equal keys, components of groups.

Each function makes one file from files that are there, and may be repeated or run anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.kernels import forest, groups
from infinity_mm.dedup.kernels.hashing import Ints
from infinity_mm.dedup.kernels.keys import SKETCH_WORDS, by_partition
from infinity_mm.dedup.kernels.normal import SPARE
from infinity_mm.dedup.kernels.words import Dictionary, empty_dictionary
from infinity_mm.dedup.text.identity import identity_hashes
from infinity_mm.dedup.text.inputs import Unit, read
from infinity_mm.dedup.text.plan import Plan
from infinity_mm.dedup.text.sign import Signed, sign
from infinity_mm.dedup.text.spill import (
    batches_of,
    column,
    flat,
    notes_of,
    numbers,
    reading,
    valid,
    words,
    write_table,
    writing,
)
from infinity_mm.errors import StageError

KEYS = pa.schema([pa.field("key", pa.uint64()), pa.field("row", pa.uint32())])
IDENTITIES = pa.schema([pa.field("identity", pa.uint64())])
SKETCHES = [f"sketch{word}" for word in range(SKETCH_WORDS)]
WORDS = pa.schema([pa.field("word", pa.large_binary())])
GROUPS = pa.schema([pa.field("rows", pa.large_list(pa.int64()))])
#: Rows of one batch of ``texts``.
TEXT_ROWS = 1 << 15


def texts_schema(identity: pa.DataType) -> pa.Schema:
    """Return the schema of ``texts``: one row per text of the input, in its order, coded by the unit's ``words``."""
    return pa.schema(
        [
            *(pa.field(name, pa.uint64()) for name in SKETCHES),
            pa.field("id", identity),
            pa.field("priority", pa.int64()),
            # Two bytes a code: bytes are taken row by row at a fraction of what lists cost.
            pa.field("codes", pa.large_binary()),
            pa.field("rest", pa.large_binary()),
        ]
    )


@dataclass(frozen=True)
class _Part:
    """What is kept of a batch of rows."""

    signed: Signed
    ids: pa.Array
    priorities: pa.Array
    nulls: int


def sign_unit(plan: Plan, unit: Unit) -> None:
    """Write ``keys`` and ``identities``, partitioned, ``words``, and last ``texts`` of a unit.

    Rows are numbered within the unit.
    """
    dictionary = empty_dictionary()
    nulls = shingles = rows = 0
    with (
        writing(plan.spill.at("texts", unit.number), texts_schema(unit.ids)) as texts,
        writing(plan.spill.at("keys", unit.number), KEYS) as keys,
        writing(plan.spill.at("identities", unit.number), IDENTITIES) as identities,
    ):
        for parts in _runs(_signed(plan, unit, dictionary)):
            texts.write_batch(_texts(parts, texts_schema(unit.ids)))
            _write_keys(plan, keys, parts, rows)
            _write_identities(plan, identities, parts)
            nulls += sum(part.nulls for part in parts)
            shingles += sum(part.signed.shingles for part in parts)
            rows += sum(len(part.ids) for part in parts)
        notes = {"nulls": nulls, "shingles": shingles}
        write_table(plan.spill.at("words", unit.number), pa.table([_words(dictionary)], schema=WORDS), notes)


def _words(dictionary: Dictionary) -> pa.Array:
    """Return the words by number, and behind them one of eight bytes: see `infinity_mm.dedup.kernels.words.Words`."""
    size = int(dictionary.size[0])
    ends = np.append(dictionary.ends[: size + 1], dictionary.ends[size] + SPARE)
    return _bytes([ends], [dictionary.data[: ends[-1]]])


def _signed(plan: Plan, unit: Unit, dictionary: Dictionary) -> Iterator[_Part]:
    first = 0
    for batch in read(unit, plan.columns.all()):
        texts, ids = batch.columns[:2]
        if ids.null_count:
            file = unit.file_of(first + int(np.flatnonzero(~valid(ids))[0]))
            raise StageError(f"{file} has rows without {plan.columns.id!r}: every row needs an id")
        first += len(batch)
        zeros = column(np.zeros(len(batch), np.int64))
        priorities = zeros if plan.columns.priority is None else batch.column(2).cast(pa.int64())
        yield _Part(sign(texts, plan.params, dictionary), ids, priorities, texts.null_count)


def _runs(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """Yield parts together that have `TEXT_ROWS` rows or more."""
    run: list[_Part] = []
    for part in parts:
        run.append(part)
        if sum(len(some.ids) for some in run) >= TEXT_ROWS:
            yield run
            run = []
    if run:
        yield run


def _texts(parts: Sequence[_Part], schema: pa.Schema) -> pa.RecordBatch:
    coded = [part.signed.coded for part in parts]
    sketches = np.concatenate([part.signed.sketches for part in parts])
    columns = [
        *(column(sketches[:, word]) for word in range(SKETCH_WORDS)),
        pa.concat_arrays([part.ids for part in parts]),
        pa.concat_arrays([part.priorities for part in parts]),
        _bytes([2 * some.first for some in coded], [some.codes.view(np.uint8) for some in coded]),
        _bytes([some.rest_starts for some in coded], [some.rest for some in coded]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _bytes(starts: Sequence[Ints], data: Sequence[NDArray[np.uint8]]) -> pa.Array:
    """Return byte strings, given in parts with where each begins and the last of a part ends, as one column."""
    sizes = np.concatenate([np.diff(own) for own in starts])
    edges = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    buffers = [None, pa.py_buffer(edges), pa.py_buffer(np.concatenate(data))]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(sizes), buffers)


def _write_keys(plan: Plan, writer: pa.RecordBatchFileWriter, parts: Sequence[_Part], first: int) -> None:
    """Write one batch for each partition; rows are numbered from `first` on."""
    begins = first + np.cumsum([0, *(len(part.ids) for part in parts)])
    keys = np.concatenate([part.signed.keys for part in parts])
    rows = np.concatenate(
        [part.signed.rows + np.uint32(begin) for part, begin in zip(parts, begins.tolist(), strict=False)]
    )
    keys, rows, starts = by_partition(keys, rows, plan.partitions)
    whole = pa.RecordBatch.from_arrays([column(keys), column(rows)], schema=KEYS)
    for begin, end in pairwise(starts.tolist()):
        writer.write_batch(whole.slice(begin, end - begin))


def _write_identities(plan: Plan, writer: pa.RecordBatchFileWriter, parts: Sequence[_Part]) -> None:
    """Write one batch for each partition of ids."""
    hashes = np.concatenate([identity_hashes(part.ids) for part in parts])
    hashes, _, starts = by_partition(hashes, np.zeros(len(hashes), np.uint32), plan.id_partitions)
    whole = pa.RecordBatch.from_arrays([column(hashes)], schema=IDENTITIES)
    for begin, end in pairwise(starts.tolist()):
        writer.write_batch(whole.slice(begin, end - begin))


def group_run(plan: Plan, run: int) -> None:
    """Write ``groups``: the rows, numbered through the whole input, of each key that more than one row has.

    One batch for each of a few partitions: what the units left is opened once for all of them.
    """
    partitions = plan.runs()[run]
    parts: dict[int, list[groups.Keys]] = {partition: [] for partition in partitions}
    for unit in plan.units:
        keys = reading(plan.spill.at("keys", unit.number))
        for partition, own in parts.items():
            for batch in batches_of(keys, partition, plan.partitions):
                own.append(groups.Keys(numbers(batch, "key"), numbers(batch, "row"), unit.first))
    with writing(plan.spill.at("groups", run), GROUPS) as writer:
        for partition in partitions:
            found, starts = groups.groups_of(parts.pop(partition))
            lists = pa.LargeListArray.from_arrays(column(starts), column(found))
            writer.write_batch(pa.RecordBatch.from_arrays([lists], schema=GROUPS))


def unite(plan: Plan) -> None:
    """Write ``components``: row, component and part of every row in a component of two or more.

    A component's number is that of its first row. Sorted by row.
    """
    candidates = np.zeros(plan.rows, bool)
    for members, _ in _groups(plan):
        candidates[members] = True
    rows = np.flatnonzero(candidates)
    sketches = _sketches(plan, rows)
    place = np.cumsum(candidates, dtype=np.int32) - np.int32(1)
    parents = np.arange(len(rows), dtype=np.int64)
    least = groups.least_agreeing(plan.params.threshold)
    for members, starts in _groups(plan):
        groups.unite(parents, place[members].astype(np.int64), starts, sketches, least)
    root = forest.roots(parents)
    joined = np.flatnonzero(np.bincount(root, minlength=len(rows))[root] > 1)
    notes = [notes_of(plan.spill.at("words", unit.number)) for unit in plan.units]
    per_row = sum(note["shingles"] for note in notes) / max(1, plan.rows)
    parts = max(1, int(np.ceil(len(joined) * per_row * 8 / plan.set_bytes)))
    columns = [column(values) for values in (rows[joined], rows[root[joined]], _part(root[joined], parts))]
    table = pa.table(columns, names=["row", "component", "part"])
    write_table(plan.spill.at("components", 0), table, {"candidates": len(rows), "parts": parts})


def _part(component: Ints, parts: int) -> NDArray[np.int32]:
    mixed = component.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed >> np.uint64(32)) % np.uint64(parts)).astype(np.int32)


def _groups(plan: Plan) -> Iterator[tuple[Ints, Ints]]:
    for run in range(len(plan.runs())):
        found = reading(plan.spill.at("groups", run))
        for number in range(found.num_record_batches):
            lists = found.get_batch(number).column("rows")
            yield flat(lists.values), flat(lists.offsets)


def _sketches(plan: Plan, rows: Ints) -> NDArray[np.uint64]:
    """Return the sketches of some rows, numbered through the whole input, ascending."""
    parts = [np.empty((0, SKETCH_WORDS), np.uint64)]
    for unit in plan.units:
        begin, end = np.searchsorted(rows, [unit.first, unit.first + unit.rows])
        if begin < end:
            texts = reading(plan.spill.at("texts", unit.number)).read_all()
            parts.append(words(texts, SKETCHES)[rows[begin:end] - unit.first])
    return np.concatenate(parts)
