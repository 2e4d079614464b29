"""Step 4: rules first, then a judge's score from 1 to 10; the paper drops below 8.

A score that could not be had is no score: the attempt is quarantined and never kept.
"""

from __future__ import annotations

from typing import Any

from infinity_mm.synth import rules
from infinity_mm.synth.chat import Reply, Request
from infinity_mm.synth.params import SynthParams, call_seed
from infinity_mm.synth.rows import LETTERS, Drop, Failed, Generated, Judged
from infinity_mm.synth.structured import CALL_REASONS, integer, read_json, record, text, token_budget

STAGE = "synth.filter"
PROMPT = ("judge", 1)
REASONS = (*rules.REASONS, "low_score", *CALL_REASONS)


def schema(params: SynthParams) -> dict[str, Any]:
    """Return the JSON Schema of the reply; the reason comes first, so that the score can follow from it."""
    reason = text(params.limits.judge_reason_chars, params.charset)
    return record({"reason": reason, "score": integer(1, 10)})


def with_options(question: str, options: tuple[str, ...]) -> str:
    """Return the question followed by its options, one lettered line each."""
    lines = (f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    return "\n".join((question, *lines))


def request(row: Generated, params: SynthParams, seed: int) -> Request:
    """Return the call that scores the question and answer."""
    prompt = params.prompt("judge", PROMPT)
    form = schema(params)
    slots = {
        "leaf": row.typed.leaf.name,
        "asks": row.typed.leaf.asks,
        "form": prompt.text(f"form.{row.typed.format}"),
        "question": with_options(row.question, row.options),
        "answer": f"{row.letter}. {row.answer}" if row.letter else row.answer,
    }
    return Request(
        key=f"{row.typed.attempt.key}/judge",
        system=prompt.text("system"),
        prompt=prompt.fill("user", slots),
        images=(row.typed.attempt.parent.data,),
        json_schema=form,
        sampling=params.draws.judge.sampling(token_budget(form)),
        seed=call_seed(seed, "judge", row.typed.attempt.key),
    )


def read(row: Generated, reply: Reply, params: SynthParams, seed: int) -> Judged | Drop | Failed:
    """Return the row with its score, whatever the score is; `verdict` decides."""
    del seed
    value = read_json(reply, schema(params))
    return value if isinstance(value, Failed) else Judged(row, value["score"], value["reason"])


def verdict(row: Judged, min_score: int) -> Drop | None:
    """Return why the score does not pass, or None to keep; applies to a stored score as to a new one."""
    if row.score >= min_score:
        return None
    return Drop("low_score", f"score={row.score} < min_score={min_score}: {row.reason}")
