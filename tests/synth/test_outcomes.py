from __future__ import annotations

from typing import Any

import pytest

from infinity_mm.synth.outcomes import Outcome, StepCall, add_yields, flows, unsuited, yields
from infinity_mm.synth.params import SynthParams


def outcome(
    stage: str | None, reason: str | None, end: Any, leaf: str | None, calls: tuple[StepCall, ...] = ()
) -> Outcome:
    return Outcome(
        id="i", parent="p", n=0, outcome=end, stage=stage, reason=reason, detail="", leaf=leaf, format=None,
        record=None, generation=None, calls=calls,
    )  # fmt: skip


ONE = [
    outcome(None, None, "kept", "Count people", (StepCall("tag", 1, 5, 2), StepCall("judge", 2, 7, 3))),
    outcome("synth.filter", "low_score", "dropped", "Count people", (StepCall("judge", 1, 7, 3),)),
]
TWO = [
    outcome("synth.tag", "model_call_failed", "quarantined", None, (StepCall("tag", 3, 15, 0),)),
    outcome("synth.generate", "unparsable_reply", "quarantined", "Parse charts"),
]


def test_steps_and_types_are_counted() -> None:
    counted = yields(ONE + TWO)
    steps = counted["steps"]
    assert [(stage, steps[stage]["in"], steps[stage]["out"]) for stage in steps] == [
        ("synth.tag", 4, 3),
        ("synth.classify", 3, 3),
        ("synth.generate", 3, 2),
        ("synth.filter", 2, 1),
    ]
    assert steps["synth.tag"] == {
        "in": 4, "out": 3, "dropped": 0, "quarantined": 1, "tries": 4, "prompt_tokens": 20, "completion_tokens": 2,
        "reasons": {"model_call_failed": 1},
    }  # fmt: skip
    assert steps["synth.filter"]["prompt_tokens"] == 14
    assert counted["types"] == {
        "Count people": {
            "kept": 1, "dropped": 1, "quarantined": 0, "prompt_tokens": 14, "completion_tokens": 6,
            "steps": {"synth.generate": {"came": 2, "went_on": 2}, "synth.filter": {"came": 2, "went_on": 1}},
            "reasons": {"synth.filter.low_score": 1},
        },
        "Parse charts": {
            "kept": 0, "dropped": 0, "quarantined": 1, "prompt_tokens": 0, "completion_tokens": 0,
            "steps": {"synth.generate": {"came": 1, "went_on": 0}, "synth.filter": {"came": 0, "went_on": 0}},
            "reasons": {"synth.generate.unparsable_reply": 1},
        },
    }  # fmt: skip


def test_parts_add_up() -> None:
    assert add_yields(yields(ONE), yields(TWO)) == yields(ONE + TWO)
    assert add_yields(yields([]), yields(ONE)) == yields(ONE)


@pytest.mark.parametrize(("ended", "others", "told"), [(0, 3, False), (1, 3, False), (1, 2, True), (3, 0, True)])
def test_attempts_without_a_suitable_type_hint_at_the_mapping_that_is_not_there(ended, others, told) -> None:
    none = outcome("synth.classify", "no_suitable_type", "dropped", None)
    found = flows(yields([none] * ended + [outcome(None, None, "kept", "Count people")] * others)["steps"])
    said = unsuited(found, SynthParams(images=1))
    assert (said is not None) is told
    if said is not None:
        assert said.startswith(f"{ended} of {ended + others} attempts ended as no_suitable_type: ")
        assert "offer: {mapping: package}" in said
        assert "infinity-mm mapping" in said
    mapped = SynthParams.model_validate({"images": 1, "offer": {"mapping": "package"}})
    assert unsuited(found, mapped) is None


def test_a_run_without_attempts_hints_at_nothing() -> None:
    assert unsuited({}, SynthParams(images=1)) is None
    assert unsuited(flows(yields([])["steps"]), SynthParams(images=1)) is None
