"""What became of every attempt, and the yields per step and type that follow from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from infinity_mm.synth import step1_tag, step2_classify, step3_generate, step4_filter
from infinity_mm.synth.chat import EngineInfo
from infinity_mm.synth.params import StepName
from infinity_mm.synth.rows import Format

#: The stages in order, each with the step whose calls it makes.
STAGES: tuple[tuple[str, StepName], ...] = (
    (step1_tag.STAGE, "tag"),
    (step2_classify.STAGE, "classify"),
    (step3_generate.STAGE, "generate"),
    (step4_filter.STAGE, "judge"),
)
#: Reason of an attempt whose type was not asked for this time, by `infinity-mm synth --only`.
NOT_ASKED = "type_not_asked_for"
#: Every reason an attempt may end with, by stage.
REASONS: dict[str, tuple[str, ...]] = {
    step1_tag.STAGE: step1_tag.REASONS,
    step2_classify.STAGE: (*step2_classify.REASONS, NOT_ASKED),
    step3_generate.STAGE: step3_generate.REASONS,
    step4_filter.STAGE: step4_filter.REASONS,
}


@dataclass(frozen=True)
class StepCall:
    """What one step of one attempt cost."""

    step: StepName
    #: Tries.
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    #: Name of the generation, see `infinity_mm.synth.cache.key`; None where none was given.
    generation: str | None = None
    #: True where the answer was there before and no call was made.
    cached: bool = False
    #: Who answered.
    engine: EngineInfo | None = None


@dataclass(frozen=True)
class Outcome:
    """The end of one attempt to make one question for one picture."""

    #: The record's id where the attempt is kept; see `assemble.attempt_id`.
    id: str
    parent: str
    n: int
    outcome: Literal["kept", "dropped", "quarantined"]
    #: Where and why it ended; None for a kept one.
    stage: str | None
    reason: str | None
    detail: str
    #: Instruction type, None where the attempt ended before it had one.
    leaf: str | None
    format: Format | None
    #: Row of `records`; None unless kept.
    record: dict[str, Any] | None
    #: What was written, also for a dropped row: question, answer, options, score, score_reason; None
    #: where nothing was, and the score null where no judge has given one.
    generation: dict[str, Any] | None
    #: Calls made for this attempt. The tags of a picture are counted with its attempt 0.
    calls: tuple[StepCall, ...]


def yields(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Return counts, ready for JSON: ``steps`` by stage and ``types`` by leaf.

    Per stage: attempts in, out, dropped, quarantined, reasons, tries, prompt_tokens, completion_tokens.
    Per leaf: kept, dropped, quarantined of the attempts that got this type, and their reasons as
    ``stage.reason``. Counts of parts add up to the counts of the whole, see `add_yields`.
    """
    steps: dict[str, Counter[str]] = {stage: Counter() for stage, _ in STAGES}
    reasons: dict[str, Counter[str]] = {stage: Counter() for stage, _ in STAGES}
    types: dict[str, Counter[str]] = {}
    type_reasons: dict[str, Counter[str]] = {}
    stage_of = {step: stage for stage, step in STAGES}
    for one in outcomes:
        for stage, _ in STAGES:
            steps[stage]["in"] += 1
            if stage == one.stage:
                steps[stage][one.outcome] += 1
                reasons[stage][str(one.reason)] += 1
                break
            steps[stage]["out"] += 1
        for made in one.calls:
            steps[stage_of[made.step]].update(
                tries=made.attempts, prompt_tokens=made.prompt_tokens, completion_tokens=made.completion_tokens
            )
        if one.leaf is not None:
            types.setdefault(one.leaf, Counter())[one.outcome] += 1
            why = type_reasons.setdefault(one.leaf, Counter())
            if one.stage is not None:
                why[f"{one.stage}.{one.reason}"] += 1
    fields = ("in", "out", "dropped", "quarantined", "tries", "prompt_tokens", "completion_tokens")
    ends = ("kept", "dropped", "quarantined")
    return {
        "steps": {stage: {f: steps[stage][f] for f in fields} | _reasons(reasons[stage]) for stage, _ in STAGES},
        "types": {leaf: {e: types[leaf][e] for e in ends} | _reasons(type_reasons[leaf]) for leaf in sorted(types)},
    }


def _reasons(counts: Counter[str]) -> dict[str, dict[str, int]]:
    return {"reasons": dict(sorted(counts.items()))}


def add_yields(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """Return the sum of two results of `yields`, so that partitions can be counted one by one."""
    total = dict(left)
    for key, value in right.items():
        if isinstance(value, dict):
            total[key] = add_yields(total.get(key, {}), value)
        else:
            total[key] = total.get(key, 0) + value
    return total
