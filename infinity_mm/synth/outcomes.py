"""What became of every attempt, and the yields per step and type that follow from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from infinity_mm.synth import checks, step1_tag, step2_classify, step3_generate, step4_filter
from infinity_mm.synth.chat import EngineInfo
from infinity_mm.synth.params import CallName, StepName, SynthParams
from infinity_mm.synth.rows import Format

#: The stages in order, each with the step whose calls it makes.
STAGES: tuple[tuple[str, StepName], ...] = (
    (step1_tag.STAGE, "tag"),
    (step2_classify.STAGE, "classify"),
    (step3_generate.STAGE, "generate"),
    (step4_filter.STAGE, "judge"),
)
#: What is counted of a step beside the reasons by which attempts ended in it.
COUNTS = ("in", "out", "dropped", "quarantined", "tries", "prompt_tokens", "completion_tokens")
#: Where a question that became a turn of another record is booked; see `infinity_mm.synth.merge`.
MERGE_STAGE = "synth.merge"
#: Reason of an attempt whose type was not asked for this time, by `infinity-mm synth --only`.
NOT_ASKED = "type_not_asked_for"
#: From this share of attempts without a suitable type on, a run without a mapping is told of mappings.
UNSUITED = 1 / 3
#: Every reason an attempt may end with, by stage.
REASONS: dict[str, tuple[str, ...]] = {
    step1_tag.STAGE: step1_tag.REASONS,
    step2_classify.STAGE: (*step2_classify.REASONS, NOT_ASKED),
    step3_generate.STAGE: step3_generate.REASONS,
    step4_filter.STAGE: (*step4_filter.REASONS, *checks.REASONS),
}


#: The stages that an attempt with a type goes through.
_TYPED_STAGES = (step3_generate.STAGE, step4_filter.STAGE)


@dataclass(frozen=True)
class StepCall:
    """What one call of one attempt cost."""

    step: CallName
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
    #: Source of the picture.
    source: str = ""
    #: Id of the record that holds this question as one of its turns; None for all but those.
    winner: str | None = None


def yields(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Return counts, ready for JSON: ``steps`` by stage, ``types`` by leaf, ``comparisons`` by check.

    Per stage: attempts in, out, dropped, quarantined, reasons, tries, prompt_tokens, completion_tokens. Per leaf, of
    the attempts that got this type: kept, dropped, quarantined, their reasons as ``stage.reason``, the tokens of all
    their calls but the tags, and ``steps``: how many came into each later stage and went on. Counts of parts add up
    to the counts of the whole, see `add_yields`. Questions are counted, not records: a turn of a merged one is kept.
    Comparisons are as in `infinity_mm.manifest.SynthesisReport`.
    """
    # A turn of another record has come through every step.
    gathered = [
        replace(one, outcome="kept", stage=None, reason=None) if one.stage == MERGE_STAGE else one for one in outcomes
    ]
    leaves = sorted({one.leaf for one in gathered if one.leaf is not None})
    return {
        "steps": _steps(gathered),
        "types": {leaf: _type([one for one in gathered if one.leaf == leaf]) for leaf in leaves},
        "comparisons": _comparisons(gathered),
    }


def _comparisons(outcomes: Iterable[Outcome]) -> dict[str, dict[str, int]]:
    """Count by which comparison the answers of each check were found to say the same as the written ones, or not."""
    counts: dict[str, Counter[str]] = {}
    for one in outcomes:
        found = (one.generation or {}).get("checks") or {}
        for check, field in (("blind", "blind_comparisons"), ("agreement", "comparisons")):
            for made in found.get(field, ()):
                kind = "unknown" if made["same"] is None else f"{made['by']}_{'same' if made['same'] else 'other'}"
                counts.setdefault(check, Counter())[kind] += 1
    return {check: dict(sorted(kinds.items())) for check, kinds in sorted(counts.items())}


def _steps(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    steps: dict[str, Counter[str]] = {stage: Counter() for stage, _ in STAGES}
    reasons: dict[str, Counter[str]] = {stage: Counter() for stage, _ in STAGES}
    stage_of: dict[str, str] = {step: stage for stage, step in STAGES}
    for one in outcomes:
        for stage, _ in STAGES:
            steps[stage]["in"] += 1
            if stage == one.stage:
                steps[stage][one.outcome] += 1
                reasons[stage][str(one.reason)] += 1
                break
            steps[stage]["out"] += 1
        for made in one.calls:
            # Checks of what was written are part of the filter.
            steps[stage_of.get(made.step, step4_filter.STAGE)].update(
                tries=made.attempts, prompt_tokens=made.prompt_tokens, completion_tokens=made.completion_tokens
            )
    return {stage: {f: steps[stage][f] for f in COUNTS} | _reasons(reasons[stage]) for stage, _ in STAGES}


def _type(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Count the attempts of one type."""
    ends = Counter(one.outcome for one in outcomes)
    why = Counter(f"{one.stage}.{one.reason}" for one in outcomes if one.stage is not None)
    calls = [made for one in outcomes for made in one.calls if made.step != "tag"]
    steps: dict[str, dict[str, int]] = {}
    left = [one for one in outcomes if one.stage != step2_classify.STAGE]
    for stage in _TYPED_STAGES:
        on = [one for one in left if one.stage != stage]
        steps[stage] = {"came": len(left), "went_on": len(on)}
        left = on
    return {
        **{end: ends[end] for end in ("kept", "dropped", "quarantined")},
        "prompt_tokens": sum(made.prompt_tokens for made in calls),
        "completion_tokens": sum(made.completion_tokens for made in calls),
        "steps": steps,
        **_reasons(why),
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


def flows(steps: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Return the ``steps`` of `yields` with each reason beside the counts of its stage."""
    return {
        stage: {name: value for name, value in counts.items() if name != "reasons"} | dict(counts.get("reasons", {}))
        for stage, counts in steps.items()
    }


def dry_step(found: Mapping[str, Mapping[str, int]]) -> str | None:
    """Say which step let no attempt through, and why, from the `flows` of a run; None where every step let some."""
    for stage, step in STAGES:
        flow = found.get(stage, {})
        if flow.get("in") and not flow.get("out"):
            why = ", ".join(f"{reason} {count}" for reason, count in flow.items() if reason not in COUNTS)
            return f"none of {flow['in']:,} attempts came out of the step {step}: {why}"
    return None


def unsuited(found: Mapping[str, Mapping[str, int]], params: SynthParams) -> str | None:
    """Say that many attempts found no type among those offered, where a mapping would have chosen what to offer.

    `found` are the `flows` of a run. None where a mapping was given, or fewer than `UNSUITED` of the attempts that were
    offered types ended so.
    """
    flow = found.get(step2_classify.STAGE, {})
    ended = flow.get(step2_classify.UNSUITABLE, 0)
    if params.offer.mapping is not None or not ended or ended < UNSUITED * flow["in"]:
        return None
    return (
        f"{ended:,} of {flow['in']:,} attempts ended as {step2_classify.UNSUITABLE}: without synth.offer.mapping "
        "types are offered in turn, whatever a picture shows. Set `offer: {mapping: package}` under synth, or make a "
        "mapping from your own seed rows with `infinity-mm mapping`"
    )
