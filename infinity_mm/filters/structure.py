"""Conversations that no chat template can render, or whose pictures have no place.

A conversation is an optional system turn, then user and assistant in turn, ending with an answer.
Interleaved documents are no conversations and are judged by their placeholders alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.filters.base import FilterParams, Verdict
from infinity_mm.record import IMAGE_TOKEN
from infinity_mm.turns import flat_turns

NAME = "structure"
VERSION = 1
READS = ("id", "category", "images", "messages")
FROM = (NAME,)
ATTRIBUTES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        # Turns other than a leading system turn.
        pa.field("n_turns", pa.int32(), nullable=False),
        pa.field("n_images", pa.int32(), nullable=False),
        pa.field("n_placeholders", pa.int32(), nullable=False),
        # First turn, counted with the system turn from 0, that breaks user, assistant, user, ...; null if none does.
        pa.field("misplaced_turn", pa.int32()),
        # First turn without a visible character; a placeholder is one. Null if there is none.
        pa.field("empty_turn", pa.int32()),
        # Role of the last turn, null without turns.
        pa.field("last_role", pa.string()),
    ]
)
REASONS = ("no_turns", "empty_turn", "roles_not_alternating", "ends_without_answer", "placeholder_mismatch")


class Params(FilterParams):
    """What a conversation must be."""

    #: Categories whose turns are free: roles need not alternate and no answer need end them.
    free_form: tuple[str, ...] = ("interleaved",)


def measure(records: pa.Table, params: Params) -> pa.Table:
    """Return `ATTRIBUTES` for records with the columns `READS`."""
    n_turns: list[int] = []
    n_placeholders: list[int] = []
    misplaced: list[int | None] = []
    empty: list[int | None] = []
    last: list[str | None] = []
    for roles, contents in flat_turns(records):
        n_turns.append(len(roles) - _leading(roles))
        n_placeholders.append(sum(content.count(IMAGE_TOKEN) for content in contents))
        misplaced.append(_misplaced_turn(roles))
        empty.append(next((k for k, content in enumerate(contents) if not content.strip()), None))
        last.append(roles[-1] if roles else None)
    columns = [
        records.column("id"),
        records.column("category"),
        n_turns,
        pc.list_value_length(records.column("images")),
        n_placeholders,
        misplaced,
        empty,
        last,
    ]
    return pa.table(columns, schema=ATTRIBUTES)


def _leading(roles: Sequence[str]) -> int:
    """Return 1 where a system turn stands first, else 0."""
    return int(bool(roles) and roles[0] == "system")


def _misplaced_turn(roles: Sequence[str]) -> int | None:
    first = _leading(roles)
    for k in range(first, len(roles)):
        if roles[k] != ("assistant" if (k - first) % 2 else "user"):
            return k
    return None


def judge(attributes: pa.Table, params: Params) -> Sequence[Verdict | None]:
    """Return the first fault of each row in the order of `REASONS`."""
    free = frozenset(params.free_form)
    return [_fault(row, row["category"] in free) for row in attributes.to_pylist()]


def _fault(row: dict[str, object], free_form: bool) -> Verdict | None:
    if row["n_turns"] == 0:
        return Verdict("no_turns", "turns=0")
    if row["empty_turn"] is not None:
        return Verdict("empty_turn", f"turn={row['empty_turn']}")
    if not free_form and row["misplaced_turn"] is not None:
        return Verdict("roles_not_alternating", f"turn={row['misplaced_turn']}")
    if not free_form and row["last_role"] != "assistant":
        return Verdict("ends_without_answer", f"last_role={row['last_role']}")
    if row["n_placeholders"] != row["n_images"]:
        return Verdict("placeholder_mismatch", f"placeholders={row['n_placeholders']} images={row['n_images']}")
    return None
