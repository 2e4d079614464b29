"""Settling equals its definition by brute force, whichever way a component is walked."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.dedup.kernels.sets import Rows, Rule, similarity, sorted_sets
from infinity_mm.dedup.kernels.settle import settle


def spread(values) -> np.ndarray:
    """Return different well mixed hashes for small numbers."""
    mixed = np.asarray(values, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)


def rows_of(sets: list[list[int]]) -> Rows:
    """Return rows with sketches that let everything pass: what is exact is tested."""
    starts = np.cumsum([0, *map(len, sets)])
    shingles, starts = sorted_sets(spread([value for one in sets for value in one]), starts)
    digests = np.array([[hash(frozenset(one)) & 0xFFFF, len(set(one))] for one in sets], np.uint64).reshape(-1, 2)
    return Rows(digests, np.zeros((len(sets), 4), np.uint64), shingles, starts)


def jaccard(one: list[int], other: list[int]) -> float:
    union = len({*one, *other})
    return len({*one} & {*other}) / union if union else 1.0


def by_definition(sets: list[list[int]], threshold: float) -> list[tuple[int, float]]:
    found, kept = [], []
    for row, own in enumerate(sets):
        for other in kept:
            similar = jaccard(sets[other], own)
            if similar >= threshold:
                found.append((other, similar))
                break
        else:
            kept.append(row)
            found.append((-1, 0.0))
    return found


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 25), max_size=25), min_size=1, max_size=40),
    st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]),
    st.sampled_from([1, 64]),
)
def test_one_component(sets, threshold, large):
    winners, similarities = settle(rows_of(sets), np.array([0, len(sets)]), Rule(threshold, 0), large)
    assert list(zip(winners.tolist(), similarities.tolist(), strict=True)) == by_definition(sets, threshold)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([1, 64]))
def test_templates_filled_in(data, large):
    """Rows share a template and differ in a few values, around the threshold: where prefixes are hardest."""
    template = list(range(100, 100 + data.draw(st.integers(10, 30))))
    value = st.lists(st.integers(0, 60), min_size=2, max_size=9)
    sets = [template + extra for extra in data.draw(st.lists(value, min_size=2, max_size=60))]
    winners, _ = settle(rows_of(sets), np.array([0, len(sets)]), Rule(0.7, 0), large)
    assert winners.tolist() == [winner for winner, _ in by_definition(sets, 0.7)]


def test_components_do_not_meet():
    sets = [[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]]
    winners, similarities = settle(rows_of(sets), np.array([0, 2, 4]), Rule(0.7, 0))
    assert winners.tolist() == [-1, 0, -1, 2]
    assert similarities.tolist() == [0.0, 1.0, 0.0, 1.0]


def test_a_chain_is_not_followed():
    """0 ~ 1 ~ 2 ~ 3, each 80 % like the next: 1 loses to 0, 2 is no duplicate of 0, 3 loses to 2."""
    sets = [list(range(step, 90 + step)) for step in range(0, 40, 10)]
    winners, similarities = settle(rows_of(sets), np.array([0, 4]), Rule(0.7, 0))
    assert winners.tolist() == [-1, 0, -1, 2]
    assert similarities.tolist() == [0.0, 0.8, 0.0, 0.8]


def test_the_sketch_decides_before_the_sets():
    rows = rows_of([[1, 2, 3, 4], [1, 2, 3, 4, 5]])
    rows.sketches[1] = 0xFFFFFFFFFFFFFFFF
    assert settle(rows, np.array([0, 2]), Rule(0.7, 1))[0].tolist() == [-1, -1]
    assert settle(rows, np.array([0, 2]), Rule(0.7, 0))[0].tolist() == [-1, 0]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=60), max_size=5))
def test_sets_are_sorted_and_distinct(lists):
    starts = np.cumsum([0, *map(len, lists)])
    values, begins = sorted_sets(np.array([value for one in lists for value in one], np.uint64), starts)
    found = [values[begins[index] : begins[index + 1]].tolist() for index in range(len(lists))]
    assert found == [sorted(set(one)) for one in lists]


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)), st.sampled_from([0.1, 0.5, 0.7, 1.0]))
def test_similarity(one, other, threshold):
    values = np.array([*sorted(one), *sorted(other)], np.uint64)
    found = similarity(values, 0, len(one), len(one), len(values), threshold)
    exact = len(one & other) / len(one | other) if one | other else 0.0
    assert found == exact if exact >= threshold else found < threshold


@pytest.mark.parametrize("own", [60, 51, 38, 30])
def test_a_template_costs_little_more_than_its_rows(own):
    """150 shingles in common, `own` different ones: similarities of 0.56 to 0.71 on either side of the threshold."""

    def cost(count: int) -> tuple[float, int]:
        rng = np.random.default_rng(1)
        drawn = np.concatenate(
            [np.broadcast_to(np.arange(150), (count, 150)), rng.integers(1_000, 10**9, (count, own))], axis=1
        )
        shingles, starts = sorted_sets(spread(drawn.ravel()), np.arange(count + 1) * (150 + own))
        digests = np.stack([np.arange(count), np.arange(count)], axis=1).astype(np.uint64)
        rows = Rows(digests, np.zeros((count, 4), np.uint64), shingles, starts)
        began = time.process_time()
        winners, _ = settle(rows, np.array([0, count]), Rule(0.7, 0))
        return time.process_time() - began, int((winners < 0).sum())

    cost(100)
    short, kept = cost(2_000)
    long, more = cost(16_000)
    assert (kept, more) == ((1, 1) if own == 30 else (2_000, 16_000))
    assert long < 24 * short + 0.2
