"""Reading back from a run folder what the synthesis works on: pictures, and what was written about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from infinity_mm.errors import StageError
from infinity_mm.store import Store
from infinity_mm.synth.rows import Attempt, Generated, Judged, Parent, Tagged, Typed
from infinity_mm.synth.taxonomy import Taxonomy

#: (records part, row inside it) of each picture of a partition.
Places = tuple[tuple[str, int], ...]


def read_parents(store: Store, places: Places) -> list[Parent]:
    """Return the records at several places, in order; raises `StageError` for one without a single picture's bytes."""
    rows: dict[str, list[int]] = {}
    for path, row in places:
        rows.setdefault(path, []).append(row)
    found = {(path, row): one for path, wanted in rows.items() for row, one in store.read_rows(path, wanted).items()}
    return [_parent(path, row, *found[path, row]) for path, row in places]


def _parent(path: str, row: int, record: dict[str, Any], data: Sequence[bytes | None]) -> Parent:
    if len(data) != 1 or data[0] is None:
        raise StageError(f"{path} row {row} was drawn for synthesis and has no single picture with bytes; run again")
    return Parent.of(record, data[0])


def read_judged(store: Store, attempts: str, parents: Sequence[Parent]) -> Iterator[Judged]:
    """Yield the attempts of a part that have a judge's score, as the judge saw them (without tags)."""
    by_id = {parent.id: parent for parent in parents}
    columns = ["source_ref", "parent", "instruction_type", "answer_format", "generation"]
    for line in store.read(attempts, columns).to_pylist():
        if line["generation"] is None:
            continue
        written = orjson.loads(line["generation"])
        if written["score"] is not None:
            row = _generated(line, written, by_id[line["parent"]])
            yield Judged(row, written["score"], written["score_reason"])


def _generated(line: Mapping[str, Any], written: Mapping[str, Any], parent: Parent) -> Generated:
    leaf = Taxonomy.load().canonical(line["instruction_type"])
    if leaf is None:
        raise StageError(f"no instruction type {line['instruction_type']!r} in the taxonomy of this version; run again")
    attempt = Attempt(Tagged(parent, ()), int(line["source_ref"].rpartition("/")[2]))
    typed = Typed(attempt, leaf, line["answer_format"])
    return Generated(typed, written["question"], written["answer"], tuple(written["options"]))
