"""The questions about one picture as one conversation, as Infinity-MM's release has them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from infinity_mm.fingerprint import canonical
from infinity_mm.ledger import JOINED_ELSEWHERE
from infinity_mm.record import IMAGE_TOKEN
from infinity_mm.synth.outcomes import MERGE_STAGE, Outcome


def merge_turns(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes with the kept ones of each picture in one record, that of the smallest n.

    The turns stand in the order of n; the picture's mark stays in the first. The others end as dropped in favour of
    that record, which carries their provenance too. Pictures with one kept outcome are left as they are.
    """
    kept: dict[str, list[Outcome]] = {}
    for one in sorted(outcomes, key=lambda one: one.n):
        if one.record is not None:
            kept.setdefault(one.parent, []).append(one)
    return [_merged(one, kept.get(one.parent, [])) for one in outcomes]


def _merged(one: Outcome, turns: Sequence[Outcome]) -> Outcome:
    if one.record is None or len(turns) < 2:
        return one
    first = turns[0]
    if one is first:
        return replace(one, record=_conversation([turn.record for turn in turns if turn.record is not None]))
    place = next(k for k, turn in enumerate(turns) if turn is one)
    return replace(
        one,
        outcome="dropped",
        stage=MERGE_STAGE,
        reason=JOINED_ELSEWHERE,
        detail=f"turn={place} of the conversation about the same picture",
        winner=first.id,
        record=None,
    )


def _conversation(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first, *others = records
    messages = list(first["messages"])
    for record in others:
        question, answer = record["messages"]
        messages += [{**question, "content": question["content"].removeprefix(f"{IMAGE_TOKEN}\n")}, answer]
    origin = json.loads(first["extra"])
    origin["further_turns"] = [json.loads(record["extra"]) for record in others]
    return {**first, "messages": messages, "extra": canonical(origin)}
