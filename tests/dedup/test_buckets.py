"""The walk over buckets: every pair once, in bounded blocks, none with a row that is lost."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.dedup.buckets import bucket_by, merge, walk

COLUMNS = st.integers(0, 25).flatmap(
    lambda rows: st.lists(st.lists(st.integers(0, 5), min_size=rows, max_size=rows), min_size=1, max_size=3)
)


@settings(max_examples=200, deadline=None)
@given(COLUMNS, st.integers(1, 30), st.sets(st.integers(0, 24)))
def test_every_pair_that_shares_a_key_is_met_once_unless_a_row_is_lost(columns, budget, losing):
    rows = len(columns[0])
    lost = np.zeros(rows, bool)
    met: list[tuple[int, int]] = []
    one, *others = (bucket_by([np.array(keys, np.int64)]) for keys in columns)
    for other in others:
        one = merge(one, other)
    for earlier, later in walk(one, lost, budget):
        keys = later * rows + earlier
        assert (np.diff(keys) > 0).all()  # distinct and sorted
        assert len(keys) <= budget or len(set(later.tolist())) == 1
        assert not lost[earlier].any()
        assert not lost[later].any()
        met += list(zip(earlier.tolist(), later.tolist(), strict=True))
        lost[[row for row in later.tolist() if row in losing]] = True
    shares = {(i, j) for j in range(rows) for i in range(j) if any(keys[i] == keys[j] for keys in columns)}
    assert len(met) == len(set(met))
    assert set(met) <= shares
    assert {(i, j) for i, j in shares if i not in losing and j not in losing} <= set(met)
    assert {j for _, j in met} >= {j for i, j in shares if i not in losing}


def test_a_bucket_of_duplicates_costs_about_as_many_pairs_as_rows():
    count = 200_000
    lost = np.zeros(count, bool)
    pairs = 0
    for earlier, later in walk(bucket_by([np.zeros(count, np.int64)]), lost, 1 << 16):
        pairs += len(earlier)
        lost[later] = True
    assert lost.sum() == count - 1
    assert pairs < 2 * count
