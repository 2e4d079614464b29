"""What is decided together: all that must be, and little else."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.dedup.blocking.components import Edges, Members, forest_of, members_of
from infinity_mm.dedup.blocking.keys import blocks_of
from infinity_mm.dedup.kernels.groups import Keys
from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.sketch import least_of
from tests.dedup.rows import WORDS, Line, table_of


def united(*groups: list[int], firsts: list[int], row_bytes: int = 1, unit_bytes: int = 1_000) -> Members:
    pairs = [(group[0], other) for group in groups for other in group[1:]]
    edges = Edges(*np.array(pairs, np.int64).reshape(-1, 2).T)
    return members_of(lambda: [edges], np.array(firsts, np.int64), [row_bytes] * (len(firsts) - 1), unit_bytes)


def test_components_are_counted_in_the_file_of_their_first_row():
    found = united([1, 15], [2, 3], [15, 21], [12, 13], firsts=[0, 10, 10, 20, 30])
    assert found.row.tolist() == [1, 2, 3, 12, 13, 15, 21]
    assert found.home.tolist() == [0, 0, 0, 2, 2, 0, 0]
    assert set(found.unit.tolist()) == {0}


def test_units_hold_about_as_much_as_they_may_and_whole_components():
    found = united(*[[n, n + 50] for n in range(50)], firsts=[0, 100], row_bytes=10, unit_bytes=100)
    assert found.unit.tolist() == [n // 5 for n in range(50)] * 2
    assert set(united([*range(50)], firsts=[0, 100], row_bytes=10, unit_bytes=100).unit.tolist()) == {0}


def test_rows_added_elsewhere_leave_a_unit_as_it_is():
    alone = united([1, 2], [4, 5], firsts=[0, 10])
    more = united([101, 102], [104, 105], [7, 8], firsts=[0, 100, 110])
    assert alone.unit.tolist() == more.unit[more.home == 1].tolist()


def test_no_rows_and_no_edges():
    assert len(united(firsts=[0]).row) == len(united(firsts=[0, 10]).row) == 0


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=60))
def test_components_do_not_depend_on_the_order_of_edges(pairs):
    def found(edges: list[tuple[int, int]]) -> list[list[int]]:
        members = united(*map(list, edges), firsts=[0, 20, 40, 61], unit_bytes=1)
        return [members.row.tolist(), members.home.tolist(), members.unit.tolist()]

    assert found(pairs) == found([(other, one) for one, other in pairs[::-1]])


def largest(lines: list[Line], params: DedupParams) -> int:
    blocks = blocks_of(table_of(*lines), params, 1)
    keys = Keys(blocks.keys, blocks.rows.astype(np.uint32), 0)

    def sketches(rows: np.ndarray) -> np.ndarray:
        return blocks.sketches[np.searchsorted(blocks.sketched, rows)]

    edges = forest_of([keys], sketches, least_of(params))
    members = members_of(lambda: [edges], np.array([0, len(lines)]), [1], 1)  # each component is a unit
    return int(np.bincount(members.unit).max(initial=0))


def test_texts_with_a_common_preamble_do_not_hang_together():
    # Similarity 0.19: by bands alone, hundreds would.
    dice = random.Random(3)
    question = " ".join(WORDS[:60])
    lines = [
        Line(f"{n:04d}", question, " ".join(f"{dice.randrange(50_000)}" for _ in range(120))) for n in range(2_000)
    ]
    assert largest(lines, DedupParams()) <= 4
    # A chain of edits does.
    words = [f"{n}" for n in range(120)]
    chain = [Line(f"{n}", "Q", " ".join(["x"] * n * 4 + words[n * 4 :])) for n in range(8)]
    assert largest(chain, DedupParams()) == 8
