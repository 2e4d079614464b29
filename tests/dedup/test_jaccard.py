"""Exact similarities of many pairs against Python sets."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.dedup import jaccard
from infinity_mm.dedup.jaccard import similarities, unions
from infinity_mm.dedup.ragged import Ragged, starts

# Few values, so that sets meet, and the ends of the range.
ITEM = st.integers(0, 12) | st.integers(2**64 - 3, 2**64 - 1)
SETS = st.lists(st.frozensets(ITEM, max_size=15), min_size=1, max_size=8)


def ragged_of(sets):
    size = np.array([len(each) for each in sets], np.int64)
    return Ragged(starts(size)[:-1], size, np.array([item for each in sets for item in sorted(each)], np.uint64))


@settings(deadline=None)
@given(SETS, st.integers(1, 40))
def test_similarities_are_those_of_sets(sets, budget):
    left, right = (side.ravel() for side in np.indices((len(sets), len(sets))))
    whole, jaccard.BUDGET = jaccard.BUDGET, budget  # blocks of any size give the same
    try:
        found = similarities(ragged_of(sets), left, right)
    finally:
        jaccard.BUDGET = whole
    expected = [len(sets[a] & sets[b]) / max(len(sets[a] | sets[b]), 1) for a, b in zip(left, right, strict=True)]
    assert found.tolist() == expected


@settings(deadline=None)
@given(SETS, st.randoms())
def test_unions_are_those_of_sets(sets, dice):
    others = dice.sample(sets, len(sets))
    rows = np.array(dice.choices(range(len(sets)), k=4))
    joined = unions(ragged_of(sets), ragged_of(others), rows)
    assert [joined[n].tolist() for n in range(4)] == [sorted(sets[row] | others[row]) for row in rows]
