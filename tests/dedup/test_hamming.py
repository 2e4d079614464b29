"""All pairs within a radius, against brute force."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.dedup import hamming
from infinity_mm.dedup.hamming import SMALL, near_between, near_hashes, near_pairs
from infinity_mm.dedup.kernels import near


def clustered(seed: int, count: int, spread: int) -> np.ndarray:
    """Return about `count` distinct hashes around few centres, some of them up to `spread` bits away."""
    rng = random.Random(seed)
    centres = [rng.getrandbits(64) for _ in range(max(count // 8, 1))]
    values = set()
    for _ in range(count):
        flips = sum(1 << bit for bit in rng.sample(range(64), rng.randrange(spread + 1)))
        values.add(rng.choice(centres) ^ flips)
    return np.array(sorted(values), np.uint64)


def brute(hashes: np.ndarray, radius: int) -> list[list[int]]:
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    return np.argwhere(np.triu(apart <= radius, k=1)).tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(0, 16))
def test_pairs_as_by_brute_force(seed, count, radius):
    hashes = clustered(seed, count, radius + 3)
    assert near_pairs(hashes, radius).tolist() == brute(hashes, radius)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 10), st.integers(4, 11))
def test_any_cut_into_bands_finds_all(seed, radius, number):
    hashes = clustered(seed, 60, radius + 2)
    bands = hamming._bands(number, radius)
    found = [pair for part in hamming._banded(hashes, radius, bands) for pair in part.tolist()]
    assert sorted(found) == brute(hashes, radius)  # each once, whatever bands it is found by


@pytest.mark.parametrize("radius", [0, 1, 4, 8])
def test_the_plan_for_many_hashes_finds_all(radius):
    hashes = clustered(5, 6_000, 10)
    assert len(hashes) > SMALL
    assert hamming.plan(len(hashes), radius)
    assert near_pairs(hashes, radius).tolist() == brute(hashes, radius)


def test_more_pairs_than_fit_a_block_are_all_found(monkeypatch):
    monkeypatch.setattr(near, "_BLOCK", 7)
    hashes = np.arange(64, dtype=np.uint64)
    assert near_pairs(hashes, 6).tolist() == brute(hashes, 6)
    found = [pair for part in hamming._banded(hashes, 3, hamming._bands(4, 3)) for pair in part.tolist()]
    assert sorted(found) == brute(hashes, 3)


def test_equal_hashes_are_one_group():
    rng = np.random.default_rng(0)
    hashes = rng.permutation(np.repeat(np.array([7, 5, 2**63], np.uint64), [10_000, 10_000, 1]))
    found = near_hashes(hashes, 8)
    assert found.values.tolist() == [5, 7, 2**63]
    assert (found.values[found.group] == hashes).all()
    assert found.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]


def brute_between(queries: np.ndarray, hashes: np.ndarray, radius: int) -> list[list[int]]:
    return np.argwhere(np.bitwise_count(queries[:, None] ^ hashes[None, :]) <= radius).tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(0, 60), st.integers(0, 16))
def test_pairs_between_two_sets_as_by_brute_force(seed, count, others, radius):
    both = np.random.default_rng(seed).permutation(clustered(seed, count + others, radius + 3))
    queries, hashes = both[:count], both[count // 2 :]  # overlapping, in no order
    assert near_between(queries, hashes, radius).tolist() == brute_between(queries, hashes, radius)


@pytest.mark.parametrize("radius", [0, 1, 4, 8])
@pytest.mark.parametrize(("count", "others"), [(5_000, 900), (300, 6_000)])
def test_the_plan_between_many_hashes_finds_all(radius, count, others):
    both = np.random.default_rng(3).permutation(clustered(5, count + others, 10))
    queries, hashes = np.repeat(both[:count], 2), both[count:]
    assert radius == 8 or hamming.plan_between(len(queries), len(hashes), radius)
    assert near_between(queries, hashes, radius).tolist() == brute_between(queries, hashes, radius)


def test_more_matches_than_fit_a_block_are_all_found(monkeypatch):
    monkeypatch.setattr(near, "_BLOCK", 7)
    hashes = np.arange(64, dtype=np.uint64)
    assert near_between(hashes[::2], hashes, 6).tolist() == brute_between(hashes[::2], hashes, 6)
    monkeypatch.setattr(hamming, "_COMPARE_NS", 1e6)  # bands, however few they are
    assert hamming.plan_between(32, 64, 3)
    assert near_between(hashes[::2], hashes, 3).tolist() == brute_between(hashes[::2], hashes, 3)
