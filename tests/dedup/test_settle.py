"""The law of survivors, on random graphs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.dedup.buckets import bucket_by
from infinity_mm.dedup.settle import Agreement, settle

GRAPHS = st.integers(1, 25).flatmap(
    lambda rows: st.tuples(st.just(rows), st.sets(st.tuples(st.integers(0, rows - 1), st.integers(0, rows - 1))))
)


@settings(max_examples=200, deadline=None)
@given(GRAPHS, st.integers(1, 50))
def test_survivors(graph, budget):
    rows, edges = graph
    linked = np.zeros((rows, rows), bool)
    for a, b in edges:
        linked[a, b] = linked[b, a] = a != b

    def compare(earlier, later):
        assert (earlier < later).all()
        return Agreement(linked[earlier, later], later / 2, earlier.astype(np.int32))

    losses = settle(rows, bucket_by([np.zeros(rows, np.int64)]), compare, budget)
    lost = dict(zip(losses.loser.tolist(), losses.winner.tolist(), strict=True))
    kept = [row for row in range(rows) if row not in lost]
    assert len(lost) == len(losses.loser)
    for loser, winner in lost.items():
        assert winner in kept
        assert winner == min(row for row in kept if linked[row, loser])  # and it comes before the loser
        assert winner < loser
    assert not linked[np.ix_(kept, kept)].any()
    assert losses.how.similarity.tolist() == [loser / 2 for loser in losses.loser.tolist()]
    assert losses.how.hamming.tolist() == losses.winner.tolist()
    assert losses.how.linked.all()


def test_the_far_end_of_a_chain_stays():
    def neighbours(earlier, later):
        return Agreement(later - earlier == 1, np.ones(len(later)), np.zeros(len(later), np.int32))

    losses = settle(5, bucket_by([np.zeros(5)]), neighbours)
    assert dict(zip(losses.loser.tolist(), losses.winner.tolist(), strict=True)) == {1: 0, 3: 2}
