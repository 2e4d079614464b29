"""Stops a run that is about to remove what looks like a mistake."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.dedup.params import DedupParams
from infinity_mm.errors import StageError

#: Members that a message shows.
SHOWN = 5


def check_rails(table: pa.Table, removed: pa.Table, params: DedupParams) -> None:
    """Check the rows (columns `id`, `source`) and what `find_duplicates` would remove of them.

    Raises `StageError` where one kept row stands for more than `max_cluster` removed ones, or a source
    loses more than the share `max_drop`, naming it, the key to change, and five of the rows.
    """
    clusters = removed.group_by("winner").aggregate([("id", "count")])
    clusters = clusters.sort_by([("id_count", "descending"), ("winner", "ascending")])
    for cluster in clusters.slice(0, 1).to_pylist():
        if cluster["id_count"] > params.max_cluster:
            members = removed.filter(pc.equal(removed.column("winner"), cluster["winner"]))
            raise StageError(
                f"dedup: {cluster['id_count']} rows would be removed for {cluster['winner']}, more than "
                f"dedup.max_cluster={params.max_cluster}. Five of them:\n{_show(members)}\n"
                "Look whether they are one template, then raise that key or dedup.threshold"
            )
    totals = _count(table.column("source"))
    sources = table.column("source").filter(pc.is_in(table.column("id"), value_set=removed.column("id")))
    for source, lost in sorted(_count(sources).items()):
        if lost > params.max_drop * totals[source]:
            ids = table.column("id").filter(pc.equal(table.column("source"), source))
            members = removed.filter(pc.is_in(removed.column("id"), value_set=ids))
            raise StageError(
                f"dedup: source {source!r} would lose {lost} of {totals[source]} rows, more than dedup.max_drop="
                f"{params.max_drop}. Five of them:\n{_show(members)}\nMend the thresholds or raise that key"
            )


def _count(column: pa.ChunkedArray) -> dict[str, int]:
    return {item["values"]: item["counts"] for item in pc.value_counts(column).to_pylist()}


def _show(members: pa.Table) -> str:
    first = members.slice(0, SHOWN).to_pylist()
    return "\n".join(f"  {row['id']}  {row['reason']}  {row['detail']}  lost to {row['winner']}" for row in first)
