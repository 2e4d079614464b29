"""Keys meet where bands are equal; sketches count what agrees; groups and components are those of the definition."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.dedup.kernels import forest, groups, keys
from infinity_mm.dedup.kernels.normal import tokenise

U64 = np.uint64


def signatures(rows: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1 << 32, (rows, 64), dtype=np.uint32)


def test_rows_share_the_keys_of_the_bands_they_share():
    drawn = signatures(2)
    drawn[1, 3:9] = drawn[0, 3:9]  # bands 1 and 2 of 3 minima
    starts, live = np.array([0, 9, 18]), np.ones(2, bool)
    names, owners = keys.entries(drawn, starts, np.zeros(2, U64), live, 20, 3)
    assert owners.tolist() == [0] * 20 + [1] * 20
    assert np.flatnonzero(names[:20] == names[20:]).tolist() == [1, 2]
    assert len(np.unique(names)) == 38


def test_rows_without_shingles_have_one_key_and_dead_rows_none():
    starts, live = np.array([0, 0, 5, 5, 5]), np.array([True, True, False, True])
    whole = np.array([7, 8, 7, 7], U64)
    names, owners = keys.entries(signatures(4), starts, whole, live, 20, 3)
    assert owners.tolist() == [0, *[1] * 20, 3]
    assert names[0] == names[-1]


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=200), st.integers(1, 9))
def test_partitions_keep_every_entry(values, partitions):
    names, owners = np.array(values, U64), np.arange(len(values), dtype=np.uint32)
    found, rows, starts = keys.by_partition(names, owners, partitions)
    assert starts[0] == 0
    assert starts[-1] == len(values)
    assert [values[row] for row in rows] == found.tolist()
    assert sorted(rows.tolist()) == list(range(len(values)))
    for part in range(partitions):
        own = found[starts[part] : starts[part + 1]]
        assert ((own >> U64(32)) * U64(partitions) >> U64(32) == part).all()


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 64))
def test_sketches_count_the_minima_whose_low_bits_agree(seed, changed):
    drawn = signatures(2, seed)
    drawn[1] = drawn[0]
    drawn[1, :changed] ^= np.random.default_rng(seed).integers(1, 16, changed).astype(np.uint32)
    assert groups.agreeing(keys.sketches(drawn), 0, 1) == 64 - changed


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9, 1.0])
def test_sketches_pass_similar_rows_and_stop_strangers(threshold):
    least = groups.least_agreeing(threshold)
    rng = np.random.default_rng(1)
    chance = threshold + (1 - threshold) / 16
    assert (rng.binomial(64, chance, 100_000) >= least).all()
    assert (rng.binomial(64, 1 / 16, 100_000) < least).mean() > (0.5 if threshold == 0.3 else 0.9999)


def test_digests_are_of_the_bytes_wherever_they_lie():
    texts = ["a b", "a  b ", "a c", "", "x" * 17, "a b c d e f g h", "a b c d e f g h i"]
    found = keys.digests(tokenise(pa.array(texts)))
    assert found[0].tolist() == found[1].tolist()
    assert len({tuple(row) for row in found.tolist()}) == len(texts) - 1
    ids = pa.array(["skipped", "a b", "x" * 17], pa.large_string())
    assert keys.bytes_digests(ids.slice(1)).tolist() == [found[0].tolist(), found[4].tolist()]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=80), st.integers(0, 80))
def test_groups_are_the_rows_of_repeated_keys(values, cut):
    names, owners = np.array(values, U64) * U64(0x9E3779B97F4A7C15), np.arange(len(values), dtype=np.uint32)
    cut = min(cut, len(values))
    parts = [groups.Keys(names[:cut], owners[:cut], 0), groups.Keys(names[cut:], owners[: len(values) - cut], cut)]
    rows, starts = groups.groups_of(parts)
    found = sorted(sorted(rows[begin:end].tolist()) for begin, end in pairwise(starts))
    by_value = {value: [row for row, other in enumerate(values) if other == value] for value in values}
    assert found == sorted(group for group in by_value.values() if len(group) > 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 19), min_size=2, max_size=6), max_size=8), st.randoms())
def test_components_do_not_depend_on_order(members, random):
    """Rows of even and odd numbers have sketches that do not agree: they are never united directly."""
    sketches = np.zeros((20, 4), U64)
    sketches[1::2] = U64(0xFFFFFFFFFFFFFFFF)

    def roots() -> list[int]:
        parents = np.arange(20)
        rows = np.array([row for group in members for row in group], np.int64)
        groups.unite(parents, rows, np.cumsum([0, *map(len, members)]), sketches, 40)
        return forest.roots(parents).tolist()

    expected = roots()
    random.shuffle(members)
    for group in members:
        random.shuffle(group)
    assert roots() == expected
    assert all(root % 2 == row % 2 for row, root in enumerate(expected))


def test_large_groups_are_united_unseen():
    sketches = np.arange(400, dtype=U64).reshape(100, 4) * U64(0x9E3779B97F4A7C15)
    parents = np.arange(100)
    groups.unite(parents, np.arange(100), np.array([0, 40, 70, 100]), sketches, 64)
    assert forest.roots(parents).tolist() == [*[0] * 40, *range(40, 100)]
