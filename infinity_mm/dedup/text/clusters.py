"""Clusters of removed rows: the largest ones, and the limit that stops a job about to remove a template."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.dedup.text.inputs import read
from infinity_mm.dedup.text.plan import Plan
from infinity_mm.errors import StageError

#: Clusters that the summary names, and members that a message shows.
SHOWN = 5
#: Characters of a text that a message shows.
_CUT = 100


def largest_clusters(removed: pa.Table) -> list[dict[str, Any]]:
    """Return the winners of most rows and how many, the larger first, then the smaller id; at most `SHOWN`."""
    counts = pc.value_counts(removed.column("winner"))
    table = pa.table([counts.field("values"), counts.field("counts")], names=["winner", "removed"])
    order = pc.sort_indices(table, sort_keys=[("removed", "descending"), ("winner", "ascending")])
    found: list[dict[str, Any]] = table.take(order.slice(0, SHOWN)).to_pylist()
    return found


def refuse_clusters(plan: Plan, removed: pa.Table, limit: int) -> None:
    """Raise `StageError` where one row would stand for more than `limit` others, showing it and five of them.

    `removed` has the columns id, winner, similarity, row and winner_row, and is sorted by id.
    """
    for cluster in largest_clusters(removed)[:1]:
        if cluster["removed"] > limit:
            winners = removed.column("winner")
            members = removed.filter(pc.equal(winners, pa.scalar(cluster["winner"], winners.type)))
            raise StageError(_message(plan, cluster["removed"], members.slice(0, SHOWN).to_pylist(), limit))


def _message(plan: Plan, removed: int, members: list[dict[str, Any]], limit: int) -> str:
    winner, row = members[0]["winner"], members[0]["winner_row"]
    lines = [f"  {winner}  kept  {_text(plan, row)}"]
    lines += [f"  {one['id']}  {one['similarity']:.3f}  {_text(plan, one['row'])}" for one in members]
    return (
        f"{removed:,} texts would be removed for {winner!r}, more than --max-cluster {limit}. That text, and the first "
        "of them with their similarity to it:\n" + "\n".join(lines) + "\n"
        "If they are one template and their values matter, raise --threshold; else raise --max-cluster, and the job "
        "goes on where it is"
    )


def _text(plan: Plan, row: int) -> str:
    """Return the beginning of a text of the input, by its number, as one line."""
    unit = next(unit for unit in plan.units if unit.first <= row < unit.first + unit.rows)
    place = row - unit.first
    for batch in read(unit, [plan.columns.text]):
        if place < len(batch):
            text = " ".join((batch.column(0)[place].as_py() or "").split())
            return text if len(text) <= _CUT else text[: _CUT - 3] + "..."
        place -= len(batch)
    raise AssertionError("a unit has fewer rows than were read of it")
