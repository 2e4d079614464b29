"""The ledger: one row per input row, and the books drawn from it.

Every input row ends in exactly one of kept, dropped and quarantined. The books are re-read from disk
and compared with what the readers counted when they planned the files: a row that vanished, or was
counted twice, fails the run. Each check looks at one part of the ledger, at small counts, or at a range
of ids, so that no process needs the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
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


def add_books(first: SourceBooks, second: SourceBooks) -> SourceBooks:
    """Return the books of two disjoint sets of rows of one source."""
    return SourceBooks(
        rows=first.rows + second.rows,
        kept=first.kept + second.kept,
        dropped=_added(first.dropped, second.dropped),
        quarantined=_added(first.quarantined, second.quarantined),
        notes=_added(first.notes, second.notes),
        image_bytes=first.image_bytes + second.image_bytes,
        images_lost=first.images_lost + second.images_lost,
    )


def _added(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(first) + Counter(second)).items()))


def check_counts(counted: Mapping[str, int], expected: Mapping[str, int]) -> None:
    """Compare the ledger's rows per source with those that the readers planned; raises `StageError` with both."""
    for source in sorted(set(expected) | set(counted)):
        if expected.get(source, 0) != counted.get(source, 0):
            raise StageError(
                f"the books of {source!r} do not balance: {expected.get(source, 0)} rows were read, "
                f"{counted.get(source, 0)} are in the ledger. This is a bug: please report it with the work folder's "
                "manifest.json"
            )


def check_outcomes(ledger: pa.Table) -> None:
    """Check that each row is kept without a reason, or not kept with one; raises `StageError` with the first other."""
    outcome = ledger.column("outcome")
    kept = pc.equal(outcome, "kept")
    legal = pc.is_in(outcome, value_set=pa.array(["kept", "dropped", "quarantined"]))
    consistent = pc.equal(kept, pc.is_null(ledger.column("reason")))
    if not pc.all(pc.and_(legal, consistent), min_count=0).as_py():
        wrong = ledger.filter(pc.invert(pc.and_(legal, consistent))).slice(0, 1).to_pylist()[0]
        raise StageError(f"a ledger row must be kept without a reason or not kept with one, got {wrong}")


#: What an id stands for in `IDENTITIES`: a row; one that lost to another; one that is a turn of another's conversation;
#: the one that such a row lost to; the one that holds such a turn.
ROW, REMOVED, JOINED, WINNER, HOLDER = range(5)

#: The ids of a ledger part, small enough that those of tens of millions of rows can be compared: sorted by prefix.
IDENTITIES = pa.schema(
    [
        # The first two bytes of the id, so that a range of ids can be read without the rest.
        pa.field("prefix", pa.uint16(), nullable=False),
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("role", pa.uint8(), nullable=False),
    ]
)


def identities(ledger: pa.Table) -> pa.Table:
    """Return `IDENTITIES`: one row per ledger row, and one per winner that a ledger row names."""
    beaten = pc.is_valid(ledger.column("winner")).to_numpy()
    joined = pc.fill_null(pc.equal(ledger.column("reason"), JOINED_ELSEWHERE), False).to_numpy()
    roles = np.where(beaten, np.where(joined, JOINED, REMOVED), ROW).astype(np.uint8)
    winners = ledger.column("winner").drop_null().to_pylist()
    raw = np.frombuffer(bytes.fromhex("".join([*ledger.column("id").to_pylist(), *winners])), np.uint8).reshape(-1, 16)
    prefix = raw[:, 0].astype(np.uint16) << 8 | raw[:, 1]
    order = np.argsort(prefix, kind="stable")
    ids = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(raw), [None, pa.py_buffer(raw[order].tobytes())])
    asked = np.where(joined[beaten], HOLDER, WINNER).astype(np.uint8)
    return pa.table([pa.array(prefix[order]), ids, pa.array(np.concatenate([roles, asked])[order])], schema=IDENTITIES)


def check_identities(table: pa.Table) -> None:
    """Check `IDENTITIES` of a range of ids, over the whole ledger.

    Raises `StageError` naming an id that occurs twice, or a winner that is not itself a row of the ledger that lost
    to no other. Only the conversation to which a row was joined may have lost afterwards, as a whole.
    """
    role = table.column("role")
    ids = table.filter(pc.less(role, WINNER)).column("id")
    if pc.count_distinct(ids).as_py() != len(ids):
        twice = next(identity for identity, number in Counter(ids.to_pylist()).items() if number > 1)
        raise StageError(f"the ledger names the row {twice.hex()} twice; this is a bug, please report it")
    for asked, allowed in ((WINNER, [ROW]), (HOLDER, [ROW, REMOVED])):
        fit = table.filter(pc.is_in(role, value_set=pa.array(allowed, pa.uint8()))).column("id").combine_chunks()
        winners = table.filter(pc.equal(role, asked)).column("id")
        stray = winners.filter(pc.invert(pc.is_in(winners, value_set=fit)))
        if len(stray):
            name = stray[0].as_py().hex()
            raise StageError(f"the winner {name} is absent from the ledger or lost to another row itself")
