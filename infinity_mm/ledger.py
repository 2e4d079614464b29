"""The ledger: one row per input row, and the books drawn from it.

Every input row ends in exactly one of kept, dropped and quarantined. The books are re-read from disk
and compared with what the readers counted when they planned the files: a row that vanished, or was
counted twice, fails the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from infinity_mm.errors import StageError
from infinity_mm.frozen import Frozen

LEDGER = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_ref", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("stage", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("winner", pa.string()),
    ]
)

#: Reason of a raw row that is a turn of the conversation that its winner holds: nothing of it is lost.
JOINED_ELSEWHERE = "joined_conversation"

#: Raw rows that could not become records, beside the parts they came from.
QUARANTINE = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("source_ref", pa.string(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        # The raw row as text, cut at 4,096 characters; the whole is at `source_ref`.
        pa.field("raw", pa.string(), nullable=False),
    ]
)


class LedgerRow(Frozen):
    """What became of one input row."""

    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    source: str
    source_ref: str
    outcome: str = Field(pattern=r"^(kept|dropped|quarantined)$")
    #: Null for a kept row.
    stage: str | None = None
    #: snake_case, without numbers; null for a kept row.
    reason: str | None = Field(default=None, pattern=r"^[a-z]+(_[a-z]+)*$")
    #: The value that decided; for a kept row, the optional pictures that it does without.
    detail: str | None = None
    #: For a duplicate, the row that was kept instead; for a joined row, the one whose record holds it.
    winner: str | None = None


class SourceBooks(Frozen):
    """One source's line in the books; `rows` = `kept` + all drops + all quarantined."""

    rows: int
    kept: int
    #: ``stage.reason`` -> rows.
    dropped: dict[str, int] = Field(default_factory=dict)
    #: ``stage.reason`` -> rows.
    quarantined: dict[str, int] = Field(default_factory=dict)
    #: What was mended in rows that became records, e.g. ``suffix_mismatch`` -> rows.
    notes: dict[str, int] = Field(default_factory=dict)
    #: Bytes of the original pictures of kept rows.
    image_bytes: int = 0
    #: Optional pictures that kept rows do without.
    images_lost: int = 0


@dataclass
class _Tally:
    rows: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)


def draw_books(ledger: pa.Table) -> dict[str, SourceBooks]:
    """Count the ledger per source; sources in alphabetical order."""
    counts = ledger.group_by(["source", "outcome", "stage", "reason"]).aggregate([([], "count_all")]).to_pylist()
    tallies: dict[str, _Tally] = {}
    for line in counts:
        tally = tallies.setdefault(line["source"], _Tally())
        number = int(line["count_all"])
        tally.rows += number
        name = f"{line['stage']}.{line['reason']}"
        if line["outcome"] == "kept":
            tally.kept += number
        elif line["outcome"] == "dropped":
            tally.dropped[name] += number
        else:
            tally.quarantined[name] += number
    return {
        source: SourceBooks(
            rows=tally.rows,
            kept=tally.kept,
            dropped=dict(sorted(tally.dropped.items())),
            quarantined=dict(sorted(tally.quarantined.items())),
        )
        for source, tally in sorted(tallies.items())
    }


def balance(ledger: pa.Table, expected: Mapping[str, int]) -> None:
    """Check the ledger against the rows that the readers planned, per source.

    Raises `StageError` naming the source and both counts, or the first id that occurs twice, the
    first row with an impossible outcome, or the first winner that is absent from this ledger or lost to another row
    itself. Only the conversation to which a row was joined may have lost afterwards, as a whole.
    """
    counted = Counter(ledger.column("source").to_pylist())
    for source in sorted(set(expected) | set(counted)):
        if expected.get(source, 0) != counted.get(source, 0):
            raise StageError(
                f"the books of {source!r} do not balance: {expected.get(source, 0)} rows were read, "
                f"{counted.get(source, 0)} are in the ledger. This is a bug: please report it with the work folder's "
                "manifest.json"
            )
    ids = ledger.column("id")
    if pc.count_distinct(ids).as_py() != len(ids):
        twice = next(identity for identity, number in Counter(ids.to_pylist()).items() if number > 1)
        raise StageError(f"the ledger names the row {twice} twice; this is a bug, please report it")
    _check_outcomes(ledger)


def _check_outcomes(ledger: pa.Table) -> None:
    outcome = ledger.column("outcome")
    kept = pc.equal(outcome, "kept")
    legal = pc.is_in(outcome, value_set=pa.array(["kept", "dropped", "quarantined"]))
    consistent = pc.equal(kept, pc.is_null(ledger.column("reason")))
    if not pc.all(pc.and_(legal, consistent), min_count=0).as_py():
        wrong = ledger.filter(pc.invert(pc.and_(legal, consistent))).slice(0, 1).to_pylist()[0]
        raise StageError(f"a ledger row must be kept without a reason or not kept with one, got {wrong}")
    beaten = ledger.filter(pc.is_valid(ledger.column("winner")))
    if len(beaten):
        winners, joined = beaten.column("winner"), pc.equal(beaten.column("reason"), JOINED_ELSEWHERE)
        stray = pc.invert(pc.is_in(winners, value_set=ledger.column("id").combine_chunks()))
        lost = pc.is_in(winners, value_set=beaten.filter(pc.invert(joined)).column("id").combine_chunks())
        chained = pc.is_in(winners, value_set=beaten.filter(joined).column("id").combine_chunks())
        bad = winners.filter(pc.or_(pc.or_(stray, chained), pc.and_not(lost, joined)))
        if len(bad):
            raise StageError(f"the winner {bad[0].as_py()} is absent from the ledger or lost to another row itself")
