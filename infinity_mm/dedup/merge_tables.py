"""Merging over tables: what is noted of each row, and the decisions over any range of kept rows.

A cluster is a kept row and all that lost to it. The facts of a row carry the id of the kept row of its cluster, so that
a range of these ids holds whole clusters and can be decided without the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.dedup.merge import (
    MERGED,
    TURNS,
    Decision,
    Limits,
    Round,
    Spoken,
    decide,
    describe,
    joint_language,
    joint_license,
)
from infinity_mm.errors import StageError

Row = dict[str, Any]

#: One row per kept row with pictures and per removed one.
FACTS = pa.schema(
    [
        # The first two bytes of `cluster`, so that a range of it can be read without the rest.
        pa.field("prefix", pa.uint16(), nullable=False),
        # Id of the row that is kept: the row itself, or the one it lost to.
        pa.field("cluster", pa.binary(16), nullable=False),
        pa.field("id", pa.binary(16), nullable=False),
        # Number of its part among all parts, and its row there.
        pa.field("part", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        # Where its text is: records, and attributes of the text filter.
        pa.field("records", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        # Keep order among removed rows, with the id.
        pa.field("priority", pa.int32(), nullable=False),
        pa.field("pixels", pa.int64(), nullable=False),
        pa.field("answer_chars", pa.int32(), nullable=False),
        # `infinity_mm.dedup.merge.Spoken`.
        pa.field("fault", pa.string()),
        pa.field("fixed", pa.string()),
        pa.field("caption", pa.bool_(), nullable=False),
        pa.field("system", pa.binary(), nullable=False),
        pa.field("chars", pa.int64(), nullable=False),
        pa.field("round_keys", pa.list_(pa.binary(16)), nullable=False),
        pa.field("questions", pa.list_(pa.binary(16)), nullable=False),
        pa.field("round_chars", pa.list_(pa.int32()), nullable=False),
        pa.field("license", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        # How near a removed row is to the kept one; null for a kept row.
        pa.field("detail", pa.string()),
    ]
)

#: One row per removed row.
VERDICTS = pa.schema(
    [
        pa.field("part", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        # Null for a row that stays what deduplication said.
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string(), nullable=False),
    ]
)

#: One row per merged row, in the order in which they are appended.
ADDITIONS = pa.schema(
    [
        # The kept row.
        pa.field("part", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("place", pa.int32(), nullable=False),
        # The merged row: where its text is, which of its rounds are appended, and the first turn of them.
        pa.field("id", pa.string(), nullable=False),
        pa.field("records", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("text_row", pa.int32(), nullable=False),
        pa.field("rounds", pa.list_(pa.int32()), nullable=False),
        pa.field("turn", pa.int32(), nullable=False),
        # Of the whole merged conversation.
        pa.field("license", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
    ]
)

#: Rows that are Python values at a time.
_BATCH = 4_096
_LOSES = pc.not_equal(pc.field("id"), pc.field("cluster"))


def facts_of(records: pa.Table, beside: pa.Table) -> pa.Table:
    """Return `FACTS`, sorted by cluster, of records (columns `messages`, `category`).

    `beside` has the other columns, but for those that the messages decide, one row per record.
    """
    spoken = describe(records)
    prefixes = [int.from_bytes(one[:2], "big") for one in beside.column("cluster").to_pylist()]
    columns = {name: beside.column(name) for name in beside.column_names} | {
        "prefix": pa.array(prefixes, pa.uint16()),
        "fault": pa.array([one.fault for one in spoken], pa.string()),
        "fixed": pa.array([one.fixed for one in spoken], pa.string()),
        "caption": pa.array([one.caption for one in spoken], pa.bool_()),
        "system": pa.array([one.system for one in spoken], pa.binary()),
        "chars": pa.array([one.chars for one in spoken], pa.int64()),
        "round_keys": _lists(spoken, "key", pa.binary(16)),
        "questions": _lists(spoken, "question", pa.binary(16)),
        "round_chars": _lists(spoken, "chars", pa.int32()),
    }
    table = pa.table([columns[name] for name in FACTS.names], schema=FACTS)
    return table.sort_by([("cluster", "ascending"), ("id", "ascending")])


def _lists(spoken: Sequence[Spoken], name: str, kind: pa.DataType) -> pa.Array:
    return pa.array([[getattr(one, name) for one in each.rounds] for each in spoken], pa.list_(kind))


def decide_range(facts: pa.Table, limits: Limits) -> tuple[pa.Table, pa.Table]:
    """Return `VERDICTS` and `ADDITIONS`, each sorted by part and row, for whole clusters in any order.

    Raises `StageError` where a removed row's winner is not among the facts.
    """
    verdicts, additions = [VERDICTS.empty_table()], [ADDITIONS.empty_table()]
    rows: tuple[list[Row], list[Row]] = ([], [])

    def flush() -> None:
        verdicts.append(pa.Table.from_pylist(rows[0], schema=VERDICTS))
        additions.append(pa.Table.from_pylist(rows[1], schema=ADDITIONS))
        rows[0].clear()
        rows[1].clear()

    for winner, losers in _clusters(facts):
        decisions = decide(_spoken(winner), [_spoken(row) for row in losers], limits)
        told = list(zip(losers, decisions, strict=True))
        rows[0].extend(_verdict(row, decision) for row, decision in told)
        rows[1].extend(_additions(winner, [each for each in told if each[1].refusal is None]))
        if len(rows[0]) >= _BATCH:
            flush()
    flush()
    places = [("part", "ascending"), ("row", "ascending")]
    return (
        pa.concat_tables(verdicts).sort_by(places),
        pa.concat_tables(additions).sort_by([*places, ("place", "ascending")]),
    )


def _clusters(facts: pa.Table) -> Iterator[tuple[Row, list[Row]]]:
    """Yield each kept row that others lost to, and those in keep order."""
    beaten = facts.filter(_LOSES).column("cluster").combine_chunks()
    rows = facts.filter(pc.is_in(facts.column("cluster"), value_set=beaten)).sort_by("cluster")
    each = (row for batch in rows.to_batches(_BATCH) for row in batch.to_pylist())
    for cluster, members in groupby(each, key=itemgetter("cluster")):
        kept: list[Row] = []
        losers: list[Row] = []
        for row in members:
            (kept if row["id"] == cluster else losers).append(row)
        if len(kept) != 1:
            raise StageError(
                f"{len(kept)} rows {cluster.hex()} were kept, to which {len(losers)} rows lost; expected 1"
            )
        yield kept[0], sorted(losers, key=_keep_order)


def _keep_order(row: Row) -> tuple[int, int, int, bytes]:
    return row["priority"], -row["pixels"], -row["answer_chars"], row["id"]


def _spoken(row: Row) -> Spoken:
    rounds = tuple(map(Round, row["round_keys"], row["questions"], row["round_chars"]))
    return Spoken(row["fault"], row["fixed"], row["caption"], row["system"], rounds, row["chars"])


def _verdict(row: Row, decision: Decision) -> Row:
    place = {"part": row["part"], "row": row["row"], "id": row["id"].hex()}
    near = f"{row['detail']}; " if row["detail"] else ""
    if decision.refusal is not None:
        return {**place, "reason": None, "detail": f"{near}not merged: {decision.refusal}"}
    last = decision.turn + TURNS * len(decision.rounds) - 1
    told = f"turns {decision.turn} to {last} of its conversation" if decision.rounds else "all is said there already"
    return {**place, "reason": MERGED, "detail": near + told}


def _additions(winner: Row, merged: Sequence[tuple[Row, Decision]]) -> list[Row]:
    heard = [winner, *(row for row, decision in merged if decision.rounds)]
    license = joint_license([row["license"] for row in heard])
    language = joint_language([row["language"] for row in heard])
    return [
        {
            "part": winner["part"],
            "row": winner["row"],
            "place": place,
            "id": row["id"].hex(),
            "records": row["records"],
            "text": row["text"],
            "text_row": row["row"],
            "rounds": decision.rounds,
            "turn": decision.turn,
            "license": license,
            "language": language,
        }
        for place, (row, decision) in enumerate(merged)
    ]
