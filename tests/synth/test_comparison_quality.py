"""A model that compares well is told from one of chance, by pairs that only it can decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from infinity_mm.synth.chat import Request
from infinity_mm.synth.comparison_quality import (
    REWORDED,
    Compared,
    drawn,
    measure,
    mistaken,
    pairs,
    rates_of,
    warnings_of,
)
from infinity_mm.synth.judge_quality import ALL, ALTERED
from infinity_mm.synth.params import SemanticParams, SynthParams
from infinity_mm.synth.reword import REWORDINGS
from infinity_mm.synth.rows import Judged
from infinity_mm.synth.semantic import pair_text
from tests.synth.conftest import ScriptedChat

SEED = 5
SAID = "Two birds sit on a roof. So it is a red barn."
ANSWERS = (
    "red",
    "blue",
    "7",
    "left of the door",
    "a bench",
    "a green dog",
    "Yes",
    "No",
    "a house",
    "5 cm",
    "12 km/h",
    SAID,
)
SEMANTIC = {"by": "model"}


def rows(kit: Any, times: int = 1) -> list[Judged]:
    made = []
    for n, answer in enumerate(ANSWERS * times):
        row = replace(kit.generated("What is seen in the middle?", answer), typed=kit.typed(name=f"picture {n}"))
        if answer == SAID:
            row = replace(row, typed=replace(row.typed, format="brief"))
        made.append(Judged(row, 9, "seen"))
    return made


def params_of(kit: Any, semantic: Any = SEMANTIC, **more: Any) -> SynthParams:
    found: SynthParams = kit.with_params(checks={"blind": "mark", "semantic": semantic}, **more)
    return found


def measured(
    kit: Any, say: Callable[[str, str], str], semantic: Any = SEMANTIC
) -> tuple[list[Compared], Any, list[Request]]:
    params, judged = params_of(kit, semantic), rows(kit, 4)
    made = list(pairs(judged, judged, SEED))
    by_key = {f"{one.row.typed.attempt.key}/{one.kind}/same": one for one in made}
    asked: list[Request] = []

    def reply(request: Request) -> str:
        asked.append(request)
        return say(by_key[request.key].kind, request.prompt)

    semantics = params.checks.semantic
    assert isinstance(semantics, SemanticParams)
    found, cost = measure(ScriptedChat(reply), made, params, semantics, SEED)
    return found, cost, asked


def knows(kind: str, prompt: str) -> str:
    return "yes" if kind in REWORDINGS else "no"


def test_a_model_that_compares_well(kit: Any) -> None:
    found, cost, asked = measured(kit, knows)
    rates = rates_of(found)
    chance, warnings = warnings_of(rates)
    assert (chance, warnings) == (False, ())
    right, wrong = (next(one for one in rates if (one.kind, one.format) == (side, ALL)) for side in (REWORDED, ALTERED))
    assert (right.same.rate, wrong.same.rate) == (1.0, 0.0)
    assert right.same.of + wrong.same.of == len(asked) == cost["calls"]
    assert right.pairs + wrong.pairs == len(found)
    assert mistaken(found, 9) == ()


def test_the_model_is_asked_only_what_text_and_numbers_leave_open(kit: Any) -> None:
    found, _, asked = measured(kit, knows)
    plain = {(one.kind, one.same) for one in found if one.by in ("exact", "numeric")}
    assert plain >= {("other_case", True), ("other_numbers", True), ("wrong_number", False), ("flipped_yes_no", False)}
    assert all(same is (kind in REWORDINGS) for kind, same in plain), "and that is decided rightly"
    assert {one.kind for one in found if one.by == "semantic"} >= {
        "units_in_words", "in_a_sentence", "led_in", "wrong_color", "wrong_direction", "other_answer",
    }  # fmt: skip
    assert all(not request.images and request.choices == ("yes", "no") for request in asked)
    assert len({request.key for request in asked}) == len(asked)
    cells = {one.kind: one for one in rates_of(found) if one.format == ALL}
    assert cells["other_case"].plain == cells["other_case"].pairs > 0 == cells["other_case"].same.of


@pytest.mark.parametrize("word", ["yes", "no"])
def test_a_model_that_always_says_the_same_is_chance(kit: Any, word: str) -> None:
    found, _, _ = measured(kit, lambda kind, prompt: word)
    chance, (warning,) = warnings_of(rates_of(found))
    assert chance
    assert "cannot be told from chance" in warning
    wrong = mistaken(found, 100)
    assert {one.kind in REWORDINGS for one in wrong} == {word == "no"}
    assert len(mistaken(found, 2)) == 2


def test_one_kind_that_is_confused_is_named(kit: Any) -> None:
    found, _, _ = measured(kit, lambda kind, prompt: "yes" if kind == "in_a_sentence" else knows(kind, prompt))
    assert warnings_of(rates_of(found)) == (False, ())
    found, _, _ = measured(kit, lambda kind, prompt: "yes" if kind == "other_answer" else knows(kind, prompt))
    assert any("alterations other_answer the same" in line for line in warnings_of(rates_of(found))[1])
    found, _, _ = measured(kit, lambda kind, prompt: "no" if kind == "in_a_sentence" else knows(kind, prompt))
    assert any("rewordings in_a_sentence the same" in line for line in warnings_of(rates_of(found))[1])


def test_a_call_that_failed_is_no_result(kit: Any) -> None:
    found, _, _ = measured(kit, lambda kind, prompt: "maybe")
    assert {one.same for one in found if one.by is None} == {None}
    chance, (warning,) = warnings_of(rates_of(found))
    assert chance
    assert "could not be measured" in warning


def test_embeddings_are_measured_by_their_threshold(kit: Any) -> None:
    semantic = {"by": "embedding", "embedding": {"name": "e"}, "threshold": 0.5}
    found, _, asked = measured(kit, lambda kind, prompt: "0.9" if kind in REWORDINGS else "0.1", semantic)
    assert not warnings_of(rates_of(found))[0]
    assert asked[0].prompt == pair_text("red", "It is red.")


def test_rows_are_those_that_the_checks_compare_as_texts(kit: Any) -> None:
    judged = rows(kit)
    options = replace(judged[0].generated, options=("red", "a", "b", "c"))
    detailed = replace(judged[1].generated, typed=replace(judged[1].generated.typed, format="detailed"))
    pool = [Judged(options, 9, ""), Judged(detailed, 9, ""), *judged[2:]]
    found = drawn(pool, params_of(kit), SEED)
    assert sorted(one.generated.answer for one in found) == sorted(ANSWERS[2:])
    with_detailed = drawn(pool, params_of(kit, SEMANTIC | {"detailed": True}), SEED)
    assert len(with_detailed) == len(ANSWERS) - 1
    assert drawn(pool[::-1], params_of(kit), SEED) == found, "the order of the pool does not matter"
    few = drawn(pool, params_of(kit, judge_probe={"rows": 3}), SEED)
    assert few == found[:3]
