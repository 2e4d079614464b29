from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.errors import RecipeError, StageError
from infinity_mm.keyed import keyed_unit
from infinity_mm.record import IMAGE_TOKEN
from infinity_mm.schema import RECORDS, to_table, validate_records
from infinity_mm.synth.chat import Reply, Request
from infinity_mm.synth.outcomes import REASONS, STAGES, add_yields, yields
from infinity_mm.synth.provenance import Provenance
from infinity_mm.synth.run_step import check, identity, synthesise

SEED = 11
STAGE_OF = {step: stage for stage, step in STAGES}


def weak(kit: Any) -> Any:
    """A poor model: what it answers, and whether it answers, is a hash of the request."""

    def answer(request: Request) -> Any:
        draw = keyed_unit(request.seed, "weak", request.key)
        if draw < 0.1:
            return None
        if draw < 0.2:
            return "nonsense"
        if draw < 0.3 and request.key.endswith("/judge"):
            return json.dumps({"reason": "It is wrong.", "score": 2})
        if draw < 0.3 and request.key.endswith("/tag"):
            return '{"tags": []}'
        return kit.sound(request)

    return kit.chat(answer)


def failing_at(step: str, answer: Any, good: Callable[[Request], str]) -> Callable[[Request], Any]:
    return lambda request: answer if request.key.endswith("/" + step) else good(request)


def test_a_sound_model_gives_one_valid_record_per_attempt(kit: Any) -> None:
    chat = kit.chat(kit.sound)
    parents = [kit.parent(name) for name in "abc"]
    outcomes = synthesise(chat, chat, parents, kit.with_params(per_image=4), SEED)
    assert [(one.parent, one.n) for one in outcomes] == [(parent.id, n) for parent in parents for n in range(4)]
    assert {one.outcome for one in outcomes} == {"kept"}
    records = [one.record for one in outcomes if one.record]
    assert validate_records(to_table(records, RECORDS).to_pylist()) == [None] * 12
    assert [record["id"] for record in records] == [one.id for one in outcomes]
    assert len({one.id for one in outcomes}) == 12
    for record, parent in zip(records, [parent for parent in parents for _ in range(4)], strict=True):
        assert record["source"] == record["category"] == "synthetic"
        assert record["parent"] == parent.id
        assert record["license"] == "CC0-1.0"
        assert record["images"][0]["uri"] == f"record:{parent.id}#0"
        assert record["image_bytes"] == [None]
        assert [message["role"] for message in record["messages"]] == ["user", "assistant"]
        assert record["messages"][0]["content"].startswith(f"{IMAGE_TOKEN}\nWhere is the vehicle")
        assert record["messages"][0]["content"].count(IMAGE_TOKEN) == 1


def test_a_picture_is_tagged_once_for_all_its_attempts(kit: Any) -> None:
    chat = kit.chat(kit.sound)
    outcomes = synthesise(chat, chat, [kit.parent()], kit.with_params(per_image=3), SEED)
    assert [kit.step_of(request) for request in chat.asked] == ["tag"] + ["classify"] * 3 + ["generate"] * 3 + [
        "judge"
    ] * 3
    assert [[made.step for made in one.calls] for one in outcomes] == [
        ["tag", "classify", "generate", "judge"],
        ["classify", "generate", "judge"],
        ["classify", "generate", "judge"],
    ]


@pytest.mark.parametrize(("step", "calls"), [("tag", 1), ("classify", 3), ("generate", 5), ("judge", 7)])
@pytest.mark.parametrize(("answer", "reason"), [(None, "model_call_failed"), ("nonsense", "unparsable_reply")])
def test_a_failed_call_is_quarantined_at_its_step(kit: Any, step: str, calls: int, answer: Any, reason: str) -> None:
    chat = kit.chat(failing_at(step, answer, kit.sound))
    params = kit.with_params(per_image=2, max_retries=0)
    outcomes = synthesise(chat, chat, [kit.parent()], params, SEED)
    stage = STAGE_OF[step]  # type: ignore[index]
    assert [(one.outcome, one.stage, one.reason) for one in outcomes] == [("quarantined", stage, reason)] * 2
    assert all(one.record is None for one in outcomes)
    assert len(chat.asked) == calls
    assert reason in REASONS[stage]


def test_a_missing_score_is_null_and_never_kept(kit: Any) -> None:
    chat = kit.chat(failing_at("judge", None, kit.sound))
    (one,) = synthesise(chat, chat, [kit.parent()], kit.with_params(min_score=1), SEED)
    assert one.outcome == "quarantined"
    assert one.generation is not None
    assert one.generation["score"] is None
    assert one.generation["question"]


def test_a_low_score_is_dropped_with_what_was_written(kit: Any) -> None:
    chat = kit.chat(failing_at("judge", '{"reason": "It is wrong.", "score": 3}', kit.sound))
    (one,) = synthesise(chat, chat, [kit.parent()], kit.params, SEED)
    assert (one.outcome, one.stage, one.reason) == ("dropped", "synth.filter", "low_score")
    assert one.detail == "score=3 < min_score=8: It is wrong."
    assert one.generation is not None
    assert one.generation["score"] == 3
    assert one.record is None


def test_rules_spare_the_judge(kit: Any) -> None:
    refusal = json.dumps({"question": "Where is the car?", "answer": "I cannot tell"})
    chat = kit.chat(failing_at("generate", refusal, kit.sound))
    params = kit.with_params(formats={"brief": 0, "detailed": 0, "multiple_choice": 0}, types=("Recognize color",))
    (one,) = synthesise(chat, chat, [kit.parent()], params, SEED)
    assert (one.outcome, one.stage, one.reason) == ("dropped", "synth.filter", "refusal")
    assert [made.step for made in one.calls] == ["tag", "classify", "generate"]


def test_the_same_question_twice_on_a_picture_is_dropped_once(kit: Any) -> None:
    same = json.dumps({"question": "Where is the vehicle standing?", "answer": "beside a wall"})
    chat = kit.chat(failing_at("generate", same, kit.sound))
    params = kit.with_params(
        per_image=3, formats={"brief": 0, "detailed": 0, "multiple_choice": 0}, types=("Recognize color",)
    )
    outcomes = synthesise(chat, chat, [kit.parent("a"), kit.parent("b")], params, SEED)
    assert [one.reason for one in outcomes] == [None, "duplicate_question", "duplicate_question"] * 2


def test_an_unsuitable_picture_and_an_empty_one_are_dropped(kit: Any) -> None:
    for step, answer, reason in (("classify", "None of these", "no_suitable_type"), ("tag", '{"tags": []}', "no_tags")):
        chat = kit.chat(failing_at(step, answer, kit.sound))
        (one,) = synthesise(chat, chat, [kit.parent()], kit.params, SEED)
        assert (one.outcome, one.stage, one.reason) == ("dropped", STAGE_OF[step], reason)  # type: ignore[index]


def test_one_bad_picture_leaves_the_others_alone(kit: Any) -> None:
    bad = kit.parent("b")

    def answer(request: Request) -> Any:
        if bad.data in request.images:
            return Reply(key=request.key, text=None, error="undecodable_image", detail="truncated")
        return kit.sound(request)

    chat = kit.chat(answer)
    outcomes = synthesise(chat, chat, [kit.parent("a"), bad, kit.parent("c")], kit.params, SEED)
    assert [one.outcome for one in outcomes] == ["kept", "quarantined", "kept"]
    assert outcomes[1].detail == "undecodable_image: truncated"
    assert outcomes[1].calls[0].attempts == 1


def test_a_retry_is_recorded_with_its_seed_and_all_its_tokens(kit: Any) -> None:
    first: dict[str, int] = {}

    def answer(request: Request) -> Any:
        if request.key.endswith("/generate") and first.setdefault(request.key, request.seed) == request.seed:
            return "nonsense"
        return kit.sound(request)

    chat = kit.chat(answer)
    (one,) = synthesise(chat, chat, [kit.parent()], kit.params, SEED)
    assert one.record is not None
    origin = Provenance.model_validate_json(one.record["extra"])
    assert origin.calls["generate"].attempts == 2
    assert origin.calls["generate"].seed == next(iter(first.values())) + 1
    assert origin.calls["generate"].prompt_tokens == 20
    assert [made.attempts for made in one.calls] == [1, 1, 2, 1]


@settings(max_examples=40, deadline=None)
@given(names=st.lists(st.integers(0, 99), unique=True, max_size=8), cut=st.integers(0, 8), seed=st.integers(0, 99))
def test_partitions_do_not_matter(kit: Any, names: list[int], cut: int, seed: int) -> None:
    params = kit.with_params(per_image=3, max_retries=1)
    parents = [kit.parent(str(name)) for name in names]
    chat = weak(kit)
    whole = synthesise(chat, chat, parents, params, seed)
    parts = [synthesise(chat, chat, part, params, seed) for part in (parents[:cut], parents[cut:])]
    assert whole == parts[0] + parts[1]
    assert yields(whole) == add_yields(yields(parts[0]), yields(parts[1]))
    backwards = synthesise(chat, chat, parents[::-1], params, seed)
    assert sorted(whole, key=lambda one: one.id) == sorted(backwards, key=lambda one: one.id)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_every_attempt_has_one_outcome_with_a_declared_reason(kit: Any, seed: int) -> None:
    params = kit.with_params(per_image=4, max_retries=0)
    parents = [kit.parent(str(k)) for k in range(6)]
    outcomes = synthesise(weak(kit), weak(kit), parents, params, seed)
    assert len({one.id for one in outcomes}) == len(outcomes) == 24
    for one in outcomes:
        assert (one.record is not None) == (one.outcome == "kept") == (one.stage is None)
        if one.stage is not None:
            assert one.reason in REASONS[one.stage]
    steps = yields(outcomes)["steps"]
    assert steps["synth.tag"]["in"] == 24
    for stage, after in zip(list(steps), [*list(steps)[1:], None], strict=True):
        counts = steps[stage]
        assert counts["in"] == counts["out"] + counts["dropped"] + counts["quarantined"]
        assert sum(counts["reasons"].values()) == counts["dropped"] + counts["quarantined"]
        assert after is None or counts["out"] == steps[after]["in"]
    assert steps["synth.filter"]["out"] == sum(one.outcome == "kept" for one in outcomes)


def test_a_parent_given_twice_is_an_error(kit: Any) -> None:
    chat = kit.chat(kit.sound)
    with pytest.raises(StageError, match="2 parents with 1 distinct ids"):
        synthesise(chat, chat, [kit.parent(), kit.parent()], kit.params, SEED)


def test_nothing_asked_of_an_empty_partition(kit: Any) -> None:
    chat = kit.chat(kit.sound)
    assert synthesise(chat, chat, [], kit.params, SEED) == []
    assert chat.asked == []


def test_limits_that_cannot_fit_the_context_are_refused(kit: Any) -> None:
    check(kit.params)
    with pytest.raises(RecipeError, match=r"limits: a brief pair may need 2\d+ tokens.*embedded is 2048"):
        check(kit.with_params(charset="unicode"))
    check(kit.with_params(charset="unicode", model={"max_model_len": 8192}))
    check(kit.with_params(charset="unicode", formats={"brief": 0, "detailed": 0}))
    check(kit.with_params(model={"name": "Qwen/Qwen2.5-VL-3B-Instruct", "max_model_len": 4096}))
    with pytest.raises(RecipeError, match=r"1088 tokens and the picture up to 1024, .* is 2048"):
        check(kit.with_params(model={"name": "o/Qwen2.5-VL-3B", "max_model_len": 2048, "max_image_tokens": 1024}))
    with pytest.raises(RecipeError, match=r"a judge's reply may need \d+ tokens.*of small is 64"):
        check(kit.with_params(judge={"name": "small", "max_model_len": 64}))


def test_identity_names_what_changes_outcomes_and_nothing_else(kit: Any) -> None:
    base = identity(kit.params)
    for same in ({"images": 9}, {"sources": ("s",)}, {"model": {"timeout_s": 5, "concurrency": 2, "gpus": 1}}):
        assert identity(kit.with_params(**same)) == base
    for other in ({"min_score": 7}, {"per_image": 2}, {"types": ("OCR",)}, {"model": {"name": "m"}}, {"judge": {}}):
        assert identity(kit.with_params(**other)) != base
    assert json.loads(json.dumps(base)) == base
