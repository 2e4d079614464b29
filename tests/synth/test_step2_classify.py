from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth.rows import Drop, Failed, Typed
from infinity_mm.synth.step2_classify import NONE, REASONS, answer_format, candidates, read, request
from infinity_mm.synth.taxonomy import Taxonomy

WEIGHTS = {"word_or_phrase": 1.0, "brief": 2.0, "detailed": 0.0, "multiple_choice": 1.0}


def test_candidates_are_a_function_of_seed_and_attempt(kit: Any) -> None:
    row = kit.attempt("a", 0)
    assert candidates(row, kit.params, 1) == candidates(row, kit.params, 1)
    assert candidates(row, kit.params, 1) != candidates(row, kit.params, 2)
    assert candidates(row, kit.params, 1) != candidates(kit.attempt("a", 1), kit.params, 1)


def test_every_group_is_offered_and_every_leaf_is_reachable(kit: Any) -> None:
    offered: Counter[str] = Counter()
    for n in range(400):
        leaves = candidates(kit.attempt("a", n), kit.params, 1)
        assert len({leaf.name for leaf in leaves}) == kit.params.candidates == 12
        assert set(Counter(leaf.level1 for leaf in leaves).values()) == {2}
        offered.update(leaf.name for leaf in leaves)
    assert set(offered) == {leaf.name for leaf in Taxonomy.load().leaves}


@given(n=st.integers(0, 50), seed=st.integers(0, 9), count=st.integers(1, 64))
def test_a_restricted_recipe_offers_nothing_else(kit: Any, n: int, seed: int, count: int) -> None:
    params = kit.with_params(types=("OCR", "Count people"), candidates=count)
    leaves = candidates(kit.attempt("a", n), params, seed)
    assert len(leaves) == min(count, 6)
    assert {leaf.level2 for leaf in leaves} <= {"OCR", "Object Localization"}


def test_the_model_chooses_among_the_candidates_or_none(kit: Any) -> None:
    row = kit.attempt()
    made = request(row, kit.params, 1)
    offered = candidates(row, kit.params, 1)
    assert made.choices == (*(leaf.name for leaf in offered), NONE)
    assert all(f"- {leaf.name}: {leaf.asks}" in made.prompt for leaf in offered)
    assert "red car, brick wall" in made.prompt
    assert made.sampling.max_tokens > max(len(choice) for choice in made.choices)
    result = read(row, kit.reply(offered[3].name), kit.params, 1)
    assert isinstance(result, Typed)
    assert result.leaf == offered[3]


def test_a_picture_that_suits_no_candidate_is_dropped(kit: Any) -> None:
    result = read(kit.attempt(), kit.reply(NONE), kit.params, 1)
    assert isinstance(result, Drop)
    assert result.reason == "no_suitable_type"
    assert result.reason in REASONS


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [(None, "timeout", "model_call_failed"), ("Bake bread", None, "unparsable_reply"), ("", None, "unparsable_reply")],
)
def test_what_could_not_be_asked_is_no_drop(kit: Any, text: str | None, error: str | None, reason: str) -> None:
    result = read(kit.attempt(), kit.reply(text, error), kit.params, 1)
    assert isinstance(result, Failed)
    assert result.reason == reason
    assert reason in REASONS


def test_a_leaf_that_was_not_offered_is_unparsable(kit: Any) -> None:
    row = kit.attempt()
    offered = {leaf.name for leaf in candidates(row, kit.params, 1)}
    other = next(leaf.name for leaf in Taxonomy.load().leaves if leaf.name not in offered)
    assert isinstance(read(row, kit.reply(other), kit.params, 1), Failed)


def test_formats_follow_their_weights(kit: Any) -> None:
    leaf = kit.typed().leaf
    counts = Counter(answer_format(kit.attempt("a", n), leaf, WEIGHTS, 1) for n in range(4000))
    assert set(counts) == {"word_or_phrase", "brief", "multiple_choice"}
    # Binomial: 4000 draws at 0.5 and 0.25 have standard deviations 31.6 and 27.4.
    assert abs(counts["brief"] - 2000) < 130
    assert abs(counts["word_or_phrase"] - 1000) < 115


def test_open_ended_types_take_sentences_where_they_may(kit: Any) -> None:
    leaf = kit.typed(leaf="Describe image").leaf
    assert leaf.open_ended
    assert {answer_format(kit.attempt("a", n), leaf, WEIGHTS, 1) for n in range(50)} == {"brief"}
    short = {"word_or_phrase": 1.0, "multiple_choice": 0.0}
    assert answer_format(kit.attempt(), leaf, short, 1) == "word_or_phrase"
