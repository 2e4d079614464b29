from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth import checks
from infinity_mm.synth.assemble import FORMAT_HINTS
from infinity_mm.synth.chat import Request
from infinity_mm.synth.outcomes import yields
from infinity_mm.synth.provenance import Provenance
from infinity_mm.synth.rows import Checks, Drop, Failed
from infinity_mm.synth.run_step import synthesise

SEED = 4
WHERE = "Where is the red car standing?"
OPTIONS = ("on a bridge", "in a garage", "in a field", "under a tree")
ALL = {"relevance": "mark", "blind": "mark", "agreement": "mark"}


def choice(kit: Any) -> Any:
    return kit.generated(WHERE, "in a garage", "multiple_choice", OPTIONS)


def test_nothing_is_asked_by_default(kit: Any) -> None:
    assert checks.requests(choice(kit), kit.params, SEED) == {}
    assert not kit.params.checks.any


def test_a_blind_question_is_the_users_without_the_picture(kit: Any) -> None:
    params = kit.with_params(checks=ALL)
    asked = checks.requests(kit.generated(WHERE, "in a garage"), params, SEED)
    assert list(asked) == ["relevance", "blind", "answer", "answer_again"]
    assert asked["blind"].images == ()
    assert asked["blind"].prompt == f"{WHERE}\n{FORMAT_HINTS['word_or_phrase']}"
    assert asked["answer"].prompt == asked["blind"].prompt
    assert asked["answer"].images == asked["relevance"].images != ()
    assert asked["answer"].seed != asked["answer_again"].seed
    assert asked["answer"].sampling.temperature > 0 == asked["blind"].sampling.temperature
    assert len({request.key for request in asked.values()}) == 4


def test_options_are_turned_round_for_the_second_blind_look(kit: Any) -> None:
    asked = checks.requests(choice(kit), kit.with_params(checks={"blind": "mark"}), SEED)
    assert list(asked) == ["blind", "blind_again"]
    assert "A. on a bridge" in asked["blind"].prompt
    assert "A. under a tree" in asked["blind_again"].prompt
    assert asked["blind"].choices == ("A", "B", "C", "D")


@pytest.mark.parametrize("form", ["brief", "detailed"])
def test_sentences_are_only_asked_for_relevance(kit: Any, form: str) -> None:
    row = kit.generated(WHERE, "It is under a roof, so it stands in a garage.", form)
    assert list(checks.requests(row, kit.with_params(checks=ALL), SEED)) == ["relevance"]


@pytest.mark.parametrize(
    ("first", "second", "correct"),
    [("B", "C", True), ("B", "B", False), ("A", "C", False), ("B", None, None), ("A", None, False), (None, None, None)],
)
def test_a_guess_must_be_right_both_ways(kit: Any, first: Any, second: Any, correct: Any) -> None:
    params = kit.with_params(checks={"blind": "mark"}).checks
    replies = {"blind": kit.reply(first), "blind_again": kit.reply(second)}
    assert checks.read(choice(kit), replies, params).blind_correct is correct


@pytest.mark.parametrize(
    ("answers", "agreement"),
    [(("7", "seven."), 1.0), (("7", "8"), 0.5), (("6", "8"), 0.0), ((None, "7"), 1.0), ((None, None), None)],
)
def test_independent_answers_are_compared_with_the_written_one(kit: Any, answers: Any, agreement: Any) -> None:
    row = kit.generated("How many cars are there?", "7")
    replies = dict(zip(("answer", "answer_again"), map(kit.reply, answers), strict=True))
    assert checks.read(row, replies, kit.params.checks).agreement == agreement


def test_tolerance_is_the_recipes(kit: Any) -> None:
    row = kit.generated("How high is the bar?", "100")
    replies = {"answer": kit.reply("103"), "answer_again": kit.reply("100")}
    assert checks.read(row, replies, kit.with_params(checks={"tolerance": 0.05}).checks).agreement == 1.0
    assert checks.read(row, replies, kit.params.checks).agreement == 0.5


found = st.builds(
    Checks,
    relevant=st.sampled_from([None, True, False]),
    blind_correct=st.sampled_from([None, True, False]),
    agreement=st.sampled_from([None, 0.0, 0.5, 1.0]),
)
use = st.sampled_from(["off", "mark", "drop"])


@given(results=found, uses=st.tuples(use, use, use), form=st.sampled_from(["brief", "word_or_phrase"]))
def test_an_unknown_result_never_passes_and_a_mark_never_drops(kit: Any, results: Checks, uses: Any, form: str) -> None:
    params = kit.with_params(checks=dict(zip(("relevance", "blind", "agreement"), uses, strict=True))).checks
    row = replace(kit.generated(WHERE, "in a garage", form), checks=results)
    broken = checks.verdict(row, params)
    decide = {
        name: value
        for name, value in zip(
            ("relevance", "blind", "agreement"),
            (results.relevant, results.blind_correct, results.agreement),
            strict=True,
        )
        if getattr(params, name) == "drop" and (form == "word_or_phrase" or name == "relevance")
    }
    if None in decide.values():
        assert broken is not None
    elif not decide:
        assert broken is None
    assert broken is None or isinstance(broken, Failed) or broken.reason in checks.REASONS


def answering(kit: Any, blind: str, seen: str, relevant: str = "yes") -> Any:
    def answer(request: Request) -> Any:
        step = kit.step_of(request)
        return {"blind": blind, "answer": seen, "answer_again": seen, "relevance": relevant}.get(step) or kit.sound(
            request
        )

    return kit.chat(answer)


@pytest.mark.parametrize(
    ("blind", "seen", "relevant", "reason"),
    [
        ("nothing", "beside a wall", "yes", None),
        ("beside the wall", "beside a wall", "yes", "answerable_without_image"),
        ("nothing", "on a bridge", "yes", "answers_disagree"),
        ("nothing", "beside a wall", "no", "not_relevant"),
    ],
)
def test_checks_decide_before_the_judge_is_asked(kit: Any, blind: str, seen: str, relevant: str, reason: Any) -> None:
    chat = answering(kit, blind, seen, relevant)
    only = {"brief": 0, "detailed": 0, "multiple_choice": 0}
    uses = dict.fromkeys(ALL, "drop")
    params = kit.with_params(formats=only, checks=uses)
    (one,) = synthesise(chat, chat, [kit.parent()], params, SEED)
    assert one.reason == reason
    assert one.generation is not None
    assert one.generation["checks"]["blind_answers"] == (blind,)
    steps = [made.step for made in one.calls]
    assert steps[3:7] == ["relevance", "blind", "answer", "answer_again"]
    assert ("judge" in steps) == (reason is None)
    counted = yields([one])["steps"]["synth.filter"]
    assert counted["tries"] == 4 + (reason is None)
    if one.record:
        origin = Provenance.model_validate_json(one.record["extra"])
        assert origin.checks is not None
        assert origin.checks.agreement == 1.0
        assert json.loads(one.record["extra"])["checks"]["blind_correct"] is False


def test_a_failed_check_that_should_decide_is_quarantined(kit: Any) -> None:
    def answer(request: Request) -> Any:
        return None if kit.step_of(request) == "relevance" else kit.sound(request)

    params = kit.with_params(checks={"relevance": "drop"}, max_retries=0)
    (one,) = synthesise(kit.chat(answer), kit.chat(answer), [kit.parent()], params, SEED)
    assert (one.outcome, one.reason) == ("quarantined", "model_call_failed")
    (marked,) = synthesise(
        kit.chat(answer),
        kit.chat(answer),
        [kit.parent()],
        kit.with_params(checks={"relevance": "mark"}, max_retries=0),
        SEED,
    )
    assert marked.outcome == "kept"
    assert isinstance(checks.verdict(choice(kit), params.checks), Drop | Failed)
