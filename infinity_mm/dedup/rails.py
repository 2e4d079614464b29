"""Stops a run that is about to remove what looks like a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from infinity_mm.dedup.params import DedupParams
from infinity_mm.errors import StageError
from infinity_mm.frozen import Frozen

#: Members that a message shows.
SHOWN = 5


class Example(Frozen):
    """A removed row, and the line that shows it."""

    id: str
    line: str


class Lost(Frozen):
    """Rows that are removed together, and those of them with the smallest ids."""

    rows: int = 0
    examples: tuple[Example, ...] = ()

    def show(self) -> str:
        """Return the examples as lines."""
        return "\n".join(example.line for example in self.examples)


class Tally(Frozen):
    """What the rails look at: sums of removed rows, which can be added."""

    #: The winner that most rows lost to (of several, that with the smallest id), and those; None without any.
    winner: str | None = None
    cluster: Lost = Lost()
    #: By source.
    sources: dict[str, Lost] = Field(default_factory=dict)


def tally_of(removed: pa.Table, sources: pa.ChunkedArray) -> Tally:
    """Sum up removed rows, sorted by id and with all losers of each winner; `sources` names the source of each."""
    clusters = removed.group_by("winner").aggregate([("id", "count")])
    clusters = clusters.sort_by([("id_count", "descending"), ("winner", "ascending")]).slice(0, 1).to_pylist()
    by_source = {
        item["values"]: _lost(removed.filter(pc.equal(sources, item["values"])))
        for item in pc.value_counts(sources).to_pylist()
    }
    if not clusters:
        return Tally(sources=by_source)
    winner = clusters[0]["winner"]
    members = removed.filter(pc.equal(removed.column("winner"), winner))
    return Tally(winner=winner, cluster=_lost(members), sources=by_source)


def add_tallies(tallies: Iterable[Tally]) -> Tally:
    """Return the tally of all; no two of them may have losers of one winner."""
    found = list(tallies)
    largest = min(found, key=lambda tally: (-tally.cluster.rows, tally.winner or ""), default=Tally())
    sources: dict[str, Lost] = {}
    for tally in found:
        for source, lost in tally.sources.items():
            both = sources.get(source, Lost())
            examples = sorted((*both.examples, *lost.examples), key=lambda example: example.id)[:SHOWN]
            sources[source] = Lost(rows=both.rows + lost.rows, examples=tuple(examples))
    return Tally(winner=largest.winner, cluster=largest.cluster, sources=sources)


def check_tally(tally: Tally, totals: Mapping[str, int], params: DedupParams) -> None:
    """Check what would be removed of the rows of each source, of which there are `totals`.

    Raises `StageError` where one kept row stands for more than `max_cluster` removed ones, or a source
    loses more than the share `max_drop`, naming it, the key to change, and five of the rows.
    """
    if tally.cluster.rows > params.max_cluster:
        raise StageError(
            f"dedup: {tally.cluster.rows} rows would be removed for {tally.winner}, more than "
            f"dedup.max_cluster={params.max_cluster}. Five of them:\n{tally.cluster.show()}\n"
            "Look whether they are one template, then raise that key or dedup.threshold"
        )
    for source, lost in sorted(tally.sources.items()):
        if lost.rows > params.max_drop * totals[source]:
            raise StageError(
                f"dedup: source {source!r} would lose {lost.rows} of {totals[source]} rows, more than dedup.max_drop="
                f"{params.max_drop}. Five of them:\n{lost.show()}\nMend the thresholds or raise that key"
            )


def check_rails(table: pa.Table, removed: pa.Table, params: DedupParams) -> None:
    """Check rows (columns `id`, `source`) and what `find_duplicates` would remove of them, as `check_tally` does."""
    places = pc.index_in(removed.column("id"), value_set=table.column("id"))
    totals = {item["values"]: item["counts"] for item in pc.value_counts(table.column("source")).to_pylist()}
    check_tally(tally_of(removed, table.column("source").take(places)), totals, params)


def _lost(members: pa.Table) -> Lost:
    first = members.slice(0, SHOWN).to_pylist()
    return Lost(
        rows=len(members),
        examples=tuple(
            Example(id=row["id"], line=f"  {row['id']}  {row['reason']}  {row['detail']}  lost to {row['winner']}")
            for row in first
        ),
    )
