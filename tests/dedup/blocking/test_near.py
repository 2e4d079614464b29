"""Near hashes of one side, against comparing all pairs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.dedup.blocking.keys import Cells, distinct
from infinity_mm.dedup.blocking.near import near_rows
from infinity_mm.dedup.kernels.forest import roots, unite_pairs


def components(count: int, one: np.ndarray, other: np.ndarray) -> list[int]:
    parents = np.arange(count, dtype=np.int64)
    unite_pairs(parents, one, other)
    return roots(parents).tolist()


def all_near(cells: Cells, radius: int) -> tuple[np.ndarray, np.ndarray]:
    apart = np.bitwise_count(cells.phash[:, None] ^ cells.phash[None, :])
    one, other = np.nonzero((apart <= radius) & (cells.side[:, None] == cells.side[None, :]))
    return cells.row[one], cells.row[other]


@given(st.integers(0, 2**32), st.integers(0, 12), st.integers(1, 5))
def test_edges_connect_what_is_near_and_nothing_else(seed, radius, sides):
    rng = np.random.default_rng(seed)
    hashes = (np.uint64(1) << rng.integers(0, 30, 40, dtype=np.uint64)) - np.uint64(1)
    cells = distinct(rng.integers(0, sides, 40).astype(np.uint64), hashes, np.arange(40))
    one, other = near_rows(cells, radius)
    assert len(one) < max(1, len(cells))
    assert components(40, one, other) == components(40, *all_near(cells, radius))


def test_a_large_side_between_small_ones_is_searched_by_bands():
    rng = np.random.default_rng(5)
    base = rng.integers(0, 1 << 63, 1_500, dtype=np.uint64)
    large = np.concatenate([base, base ^ (np.uint64(1) << rng.integers(0, 63, 1_500, dtype=np.uint64))])
    small = base[:20] ^ np.uint64(3)
    side = np.repeat(np.array([1, 5, 9], np.uint64), [20, 3_000, 20])
    cells = distinct(side, np.concatenate([small, large, small ^ np.uint64(1)]), np.arange(3_040))
    for radius in (1, 8):
        found = components(3_040, *near_rows(cells, radius))
        assert found == components(3_040, *all_near(cells, radius))


def test_no_cells():
    nothing = np.empty(0, np.uint64)
    one, other = near_rows(Cells(nothing, nothing, np.empty(0, np.int64)), 8)
    assert len(one) == len(other) == 0
