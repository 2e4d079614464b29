from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from infinity_mm.keyed import keyed_unit
from infinity_mm.synth import alter
from infinity_mm.synth.chat import Request
from infinity_mm.synth.judge_quality import ALL, ALTERED, rates_of, warnings_of
from infinity_mm.synth.probe import AS_WRITTEN, Scored, draw, measure, probes
from infinity_mm.synth.rows import Judged

SEED = 5
#: An answer in sentences.
SAID = "Two birds sit on a roof. So it is a barn."
ANSWERS = ("red", "blue", "7", "left of the door", "a bench", "two dogs", "Yes", "No", "a house", "a bridge", SAID)


def rows(kit: Any, score: int = 9) -> list[Judged]:
    """Judged rows, each on a picture of its own; one is multiple choice, one in sentences."""
    made: list[Judged] = []
    for n, answer in enumerate(ANSWERS):
        typed = kit.typed(name=f"picture {n}")
        row = replace(kit.generated("What is seen in the middle?", answer), typed=typed)
        if answer == "a bridge":
            row = replace(row, typed=replace(typed, format="multiple_choice"), options=("a bus", "a bridge", "x", "y"))
        if answer == SAID:
            row = replace(row, typed=replace(typed, format="brief"))
        made.append(Judged(row, score, "seen"))
    return made


def judging(score: Callable[[Request], int]) -> Callable[[Request], str]:
    return lambda request: json.dumps({"reason": "As seen.", "score": score(request)})


def perfect(judged: list[Judged]) -> Callable[[Request], int]:
    """A judge that knows the true answer of every picture."""
    truth = {row.generated.typed.attempt.parent.data: row.generated for row in judged}

    def score(request: Request) -> int:
        row = truth[request.images[0]]
        said = f"{row.letter}. {row.answer}" if row.letter else row.answer
        return 10 if request.prompt.endswith(f"Proposed answer: {said}") else 2

    return score


def test_every_row_is_altered_in_what_it_says_and_in_what_it_shows(kit: Any) -> None:
    judged = rows(kit)
    found = probes(judged, judged, kit.params, SEED)
    assert {probe.kind for probe in found} == set(alter.KINDS)
    assert [probe.kind for probe in found].count("swapped_image") == len(judged)
    pool = judged[::-1]
    assert probes(judged, pool, kit.params, SEED) == found, "the order of the pool does not matter"
    keys = [probe.request.key for probe in found]
    assert len(set(keys)) == len(keys)
    assert len({probe.request.seed for probe in found}) == len(keys)


def test_a_picture_is_swapped_for_another_one(kit: Any) -> None:
    judged = rows(kit)
    for probe, row in zip(
        [one for one in probes(judged, judged, kit.params, SEED) if one.kind == "swapped_image"], judged, strict=True
    ):
        assert probe.request.images != (row.generated.typed.attempt.parent.data,)
        assert probe.row.answer == row.generated.answer
    alone = judged[:1]
    assert "swapped_image" not in {probe.kind for probe in probes(alone, alone, kit.params, SEED)}


def test_the_draw_depends_on_no_order_and_a_smaller_one_is_its_beginning(kit: Any) -> None:
    judged = rows(kit)
    assert draw(judged, 4, SEED) == draw(judged[::-1], 4, SEED) == draw(judged, 9, SEED)[:4]
    assert draw(judged, 4, SEED) != draw(judged, 4, SEED + 1)


def test_a_judge_that_knows_is_told_from_chance(kit: Any) -> None:
    judged = rows(kit)
    found, cost = measure(kit.chat(judging(perfect(judged))), judged, judged, kit.params, SEED)
    rates = {(one.kind, one.format): one for one in rates_of(found, 8)}
    assert rates[AS_WRITTEN, ALL].passed.rate == 1.0
    assert rates[ALTERED, ALL].passed.rate == 0.0
    assert rates[ALTERED, ALL].separation == 1.0
    assert rates["wrong_option", "multiple_choice"].asked == 1
    assert rates[ALTERED, ALL].asked == cost["calls"] == len(found) - len(judged)
    assert warnings_of(tuple(rates.values()), False) == (False, ())
    assert any("synth.judge" in line for line in warnings_of(tuple(rates.values()), True)[1])


def test_a_judge_that_passes_everything_is_chance(kit: Any) -> None:
    judged = rows(kit)
    found, _ = measure(kit.chat(judging(lambda request: 9)), judged, judged, kit.params, SEED)
    chance, said = warnings_of(rates_of(found, 8), False)
    assert chance
    assert "cannot be told from chance" in said[0]
    assert "100% (11 of 11)" in said[0]


def test_dice_are_chance_although_kept_rows_all_passed(kit: Any) -> None:
    """The rows are drawn before the verdict: else dice would pass all of the unaltered rows and half of the others."""

    def dice(request: Request) -> int:
        return 9 if keyed_unit(request.seed, "dice", request.key) < 0.5 else 3

    judged = [replace(row, score=dice_of(row)) for row in rows(kit)]
    found, _ = measure(kit.chat(judging(dice)), judged, judged, kit.params, SEED)
    assert warnings_of(rates_of(found, 8), False)[0]


def dice_of(row: Judged) -> int:
    return 9 if keyed_unit(1, "dice", row.generated.typed.attempt.key) < 0.5 else 3


def test_a_failed_call_is_asked_but_not_scored(kit: Any) -> None:
    judged = rows(kit)
    params = kit.with_params(max_retries=0)
    found, _ = measure(kit.chat(lambda request: None), judged, judged, params, SEED)
    rates = {(one.kind, one.format): one for one in rates_of(found, 8)}
    assert rates[ALTERED, ALL].asked > 0
    assert rates[ALTERED, ALL].passed.of == 0
    chance, said = warnings_of(tuple(rates.values()), False)
    assert chance
    assert "could not be measured" in said[0]


def test_a_kind_that_the_judge_misses_is_named() -> None:
    def some(kind: str, score: int, count: int, form: Any = "brief") -> list[Scored]:
        return [Scored(kind, f"{kind}/{k}", form, score, "q", "a", "r") for k in range(count)]

    scored = some(AS_WRITTEN, 9, 20) + some("swapped_image", 2, 40) + some("wrong_number", 9, 10)
    chance, said = warnings_of(rates_of(scored, 8), False)
    assert not chance
    assert len(said) == 1
    assert "wrong_number" in said[0]
    few = some(AS_WRITTEN, 9, 20) + some("swapped_image", 2, 40) + some("wrong_number", 9, 3)
    assert warnings_of(rates_of(few, 8), False) == (False, ())
    other = some(AS_WRITTEN, 9, 9, "detailed") + some("other_answer", 9, 9, "detailed")
    assert any("answer format detailed" in line for line in warnings_of(rates_of(scored + other, 8), False)[1])


def test_without_any_row_nothing_is_claimed() -> None:
    assert rates_of((), 8) == ()
    assert warnings_of((), False)[0]
