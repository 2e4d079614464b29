"""Comparisons by meaning: what is asked, what a reply means, and that nothing unknown passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infinity_mm.synth import checks, semantic
from infinity_mm.synth.agreement import compare
from infinity_mm.synth.chat import Reply, Request
from infinity_mm.synth.outcomes import yields
from infinity_mm.synth.params import SemanticParams
from infinity_mm.synth.provenance import Provenance
from infinity_mm.synth.rows import Comparison
from infinity_mm.synth.run_step import identity, synthesise

SEED = 4
QUESTION = "Why has the driver left the car?"
BRIEF = "Its door is open and nobody sits inside, so the driver has left."
EMBEDDING = {"by": "embedding", "embedding": {"name": "e"}}


def marked(kit: Any, semantic: Any, **more: Any) -> Any:
    return kit.with_params(checks={"blind": "mark", "agreement": "mark", "semantic": semantic} | more)


def only(kit: Any, form: str, params: Any) -> Any:
    """Return the parameters with one answer format."""
    weights = dict.fromkeys(params.formats.as_dict(), 0.0) | {form: 1.0}
    return params.model_copy(update={"formats": kit.with_params(formats=weights).formats})


@pytest.mark.parametrize(
    ("one", "other", "same", "by"),
    [
        ("Red.", "red", True, "exact"),
        ("7", "seven", True, "exact"),
        ("7", "7.0", True, "numeric"),
        ("7", "8", False, "numeric"),
        ("12 cm", "12.0 cm", True, "numeric"),
        ("12 cm", "13 cm", False, "numeric"),
        ("yes", "No.", False, "exact"),
        ("", "a car", False, "exact"),
        ("a car", "an automobile", None, None),
        ("12 apples", "a dozen apples", None, None),
    ],
)
def test_text_and_numbers_decide_what_they_can(one: str, other: str, same: bool | None, by: str | None) -> None:
    assert compare(one, other) == compare(other, one) == Comparison(same, by)  # type: ignore[arg-type]


def test_units_do_not_hide_the_tolerance() -> None:
    assert compare("about 100 km", "about 103 km", 0.05).same is True
    assert compare("about 100 km", "about 103 miles", 0.05).same is None


def test_only_what_is_open_is_asked(kit: Any) -> None:
    row = kit.generated("Where is the car?", "beside a wall")
    replies = {
        "blind": kit.reply("Beside the wall"),
        "answer": kit.reply("next to a wall"),
        "answer_again": kit.reply(None),
    }
    params = marked(kit, {}).checks
    asked = checks.comparisons(row, replies, params, SEED)
    assert list(asked) == ["same_answer"]
    request = asked["same_answer"]
    assert request.images == ()
    assert request.choices == ("yes", "no")
    assert request.sampling.temperature == 0
    assert request.prompt_file == "same.v1"
    assert all(text in request.prompt for text in ("Where is the car?", "beside a wall", "next to a wall"))
    assert checks.comparisons(row, replies, kit.with_params(checks={"agreement": "mark"}).checks, SEED) == {}


@pytest.mark.parametrize(
    ("detailed", "form", "asked"),
    [(False, "brief", True), (False, "detailed", False), (True, "detailed", True), (True, "word_or_phrase", True)],
)
def test_sentences_are_asked_again_where_meanings_are_compared(
    kit: Any, detailed: bool, form: str, asked: bool
) -> None:
    row = kit.generated(QUESTION, BRIEF, form)
    made = checks.requests(row, marked(kit, {"detailed": detailed}), SEED)
    assert list(made) == (["blind", "answer", "answer_again"] if asked else [])
    if asked and form != "word_or_phrase":
        assert made["answer"].sampling.max_tokens > kit.params.limits.brief_chars


def test_an_answer_in_sentences_is_compared_whole(kit: Any) -> None:
    row = kit.generated(QUESTION, BRIEF, "brief")
    replies = {"answer": kit.reply("Its door is open.\n\nSo the driver has left.")}
    asked = checks.comparisons(row, replies, marked(kit, EMBEDDING).checks, SEED)
    pair = semantic.read_pair(asked["same_answer"].prompt)
    assert pair == (BRIEF, "Its door is open. So the driver has left.")


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("yes", Comparison(True, "semantic")),
        (" no\n", Comparison(False, "semantic")),
        ("perhaps", Comparison(None)),
        (None, Comparison(None)),
    ],
)
def test_the_models_word_decides(kit: Any, said: str | None, found: Comparison) -> None:
    assert semantic.read(kit.reply(said), SemanticParams()) == found


@given(similarity=st.floats(-1, 1), threshold=st.floats(0.01, 1))
def test_the_threshold_decides_on_a_cosine(similarity: float, threshold: float) -> None:
    params = SemanticParams.model_validate(EMBEDDING | {"threshold": threshold})
    found = semantic.read(Reply(key="k", text=f"{similarity:.4f}"), params)
    assert found == Comparison(round(similarity, 4) >= threshold, "semantic", pytest.approx(similarity, abs=1e-4))


@pytest.mark.parametrize("text", [None, "", "nan", "inf", "same"])
def test_no_number_is_no_similarity(text: str | None) -> None:
    params = SemanticParams.model_validate(EMBEDDING)
    assert semantic.read(Reply(key="k", text=text), params) == Comparison(None)


answers = st.sampled_from([None, "beside a wall", "next to it", "on a bridge"])
verdicts = st.sampled_from([None, "yes", "no", "nonsense"])


@given(answers=st.tuples(answers, answers, answers), verdicts=st.tuples(verdicts, verdicts, verdicts))
def test_no_failed_call_ever_counts_as_the_same(kit: Any, answers: Any, verdicts: Any) -> None:
    row = kit.generated("Where is the car?", "beside a wall")
    params = marked(kit, {}).checks
    replies = dict(zip(("blind", "answer", "answer_again"), map(kit.reply, answers), strict=True))
    said = dict(zip(("same_blind", "same_answer", "same_answer_again"), map(kit.reply, verdicts), strict=True))
    asked = checks.comparisons(row, replies, params, SEED)
    found = checks.read(row, replies | {name: said[name] for name in asked}, params)

    def truth(answer: Any, verdict: Any) -> Any:
        if answer is None:
            return None
        return True if answer == row.answer else {"yes": True, "no": False}.get(verdict)

    blind, *seen = (truth(*pair) for pair in zip(answers, verdicts, strict=True))
    known = [one for one in seen if one is not None]
    assert found.blind_correct is blind
    assert found.agreement == (sum(known) / len(known) if known else None)
    assert len(found.comparisons) == len(found.answers) == sum(answer is not None for answer in answers[1:])


def test_an_embedding_model_is_named_where_it_is_used_and_only_there() -> None:
    with pytest.raises(ValidationError, match=r"semantic\.embedding names the model"):
        SemanticParams(by="embedding")
    with pytest.raises(ValidationError, match=r"semantic\.embedding names the model"):
        SemanticParams(by="model", embedding={"name": "e"})


def test_how_answers_are_compared_names_the_partition(kit: Any) -> None:
    one = identity(marked(kit, EMBEDDING))
    assert identity(marked(kit, EMBEDDING | {"threshold": 0.7})) != one
    assert identity(marked(kit, {}))["checks"][0][0] == "same.v1"  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    ("blind", "reason"), [("There was an accident.", None), ("He got out.", "answerable_without_image")]
)
def test_a_brief_question_that_needs_no_picture_is_found(kit: Any, blind: str, reason: str | None) -> None:
    def answer(request: Request) -> Any:
        step = kit.step_of(request)
        if step.startswith("same_"):
            return "no" if "accident" in request.prompt else "yes"
        if step == "blind":
            return blind
        return "The driver is gone." if step.startswith("answer") else kit.sound(request)

    chat = kit.chat(answer)
    params = only(kit, "brief", marked(kit, {}, blind="drop", agreement="drop"))
    (one,) = synthesise(chat, chat, [kit.parent()], params, SEED)
    assert one.reason == reason
    assert [made.step for made in one.calls if made.step.startswith("same_")] == [
        "same_blind", "same_answer", "same_answer_again",
    ]  # fmt: skip
    counted = yields([one])["comparisons"]
    assert counted == {"agreement": {"semantic_same": 2}, "blind": {f"semantic_{'same' if reason else 'other'}": 1}}
    if one.record:
        origin = Provenance.model_validate_json(one.record["extra"])
        assert origin.checks is not None
        assert origin.checks.compared_by == chat.info
        assert [found.by for found in origin.checks.comparisons] == ["semantic", "semantic"]


def test_another_model_compares_where_one_is_given(kit: Any) -> None:
    def answer(request: Request) -> Any:
        step = kit.step_of(request)
        return "next to a wall" if step in ("blind", "answer", "answer_again") else kit.sound(request)

    comparer = kit.chat(lambda request: "0.9000", model="embedder")
    writer = kit.chat(answer)
    params = only(kit, "word_or_phrase", marked(kit, EMBEDDING))
    (one,) = synthesise(writer, writer, [kit.parent()], params, SEED, None, comparer)
    assert [kit.step_of(request) for request in comparer.asked] == ["same_blind", "same_answer", "same_answer_again"]
    assert one.generation is not None
    assert one.generation["checks"]["blind_correct"] is True
    assert one.generation["checks"]["comparisons"] == ({"same": True, "by": "semantic", "similarity": 0.9},) * 2
    failing = replace(comparer, answer=lambda request: None, asked=[])
    dropping = only(kit, "word_or_phrase", marked(kit, EMBEDDING, blind="drop")).model_copy(update={"max_retries": 0})
    (lost,) = synthesise(writer, writer, [kit.parent()], dropping, SEED, None, failing)
    assert (lost.outcome, lost.reason) == ("quarantined", "model_call_failed")
