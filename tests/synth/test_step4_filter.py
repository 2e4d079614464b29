from __future__ import annotations

from typing import Any

import pytest

from infinity_mm.synth import rules
from infinity_mm.synth.rows import Drop, Failed, Judged
from infinity_mm.synth.step4_filter import REASONS, read, request, verdict
from infinity_mm.synth.structured import CALL_REASONS

OPTIONS = ("blue", "red", "green", "white")


def test_the_judge_sees_what_the_trained_model_will_see(kit: Any) -> None:
    row = kit.generated("What colour is the car?", "red", "multiple_choice", OPTIONS)
    made = request(row, kit.params, 1)
    assert "What colour is the car?\nA. blue\nB. red\nC. green\nD. white\nProposed answer: B. red" in made.prompt
    assert made.images == (row.typed.attempt.parent.data,)
    assert made.json_schema is not None
    assert list(made.json_schema["properties"]) == ["reason", "score"]


def test_a_dollar_in_the_question_stays_a_dollar(kit: Any) -> None:
    made = request(kit.generated("What costs $answer here?", "the $5 cake"), kit.params, 1)
    assert "Question: What costs $answer here?\nProposed answer: the $5 cake" in made.prompt


@pytest.mark.parametrize(("score", "kept"), [(1, False), (7, False), (8, True), (10, True)])
def test_the_cut_keeps_what_reaches_it(kit: Any, score: int, kept: bool) -> None:
    row = kit.generated("Where is the car?", "in a garage")
    judged = read(row, kit.reply(f'{{"reason": "so", "score": {score}}}'), kit.params, 1)
    assert judged == Judged(row, score, "so")
    drop = verdict(judged, kit.params.min_score)
    assert drop == (None if kept else Drop("low_score", f"score={score} < min_score=8: so"))


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        (None, "engine_error", "model_call_failed"),
        ('{"reason": "so", "score": null}', None, "unparsable_reply"),
        ('{"reason": "so", "score": 0}', None, "unparsable_reply"),
        ('{"reason": "so"}', None, "unparsable_reply"),
        ("9", None, "unparsable_reply"),
    ],
)
def test_no_score_is_never_a_score(kit: Any, text: str | None, error: str | None, reason: str) -> None:
    result = read(kit.generated("Where is the car?", "in a garage"), kit.reply(text, error), kit.params, 1)
    assert isinstance(result, Failed)
    assert result.reason == reason


def test_reasons_hold_rules_score_and_calls() -> None:
    assert set(REASONS) == {*rules.REASONS, "low_score", *CALL_REASONS}
    assert len(set(REASONS)) == len(REASONS)
