"""Which rows have a key in common."""

import numpy as np
import pyarrow as pa
import pytest

from infinity_mm.dedup.blocking.keys import Blocks, blocks_of, distinct, joined
from infinity_mm.dedup.params import DedupParams
from tests.dedup.rows import WORDS, Line, Pic, table_of

LONG = " ".join(WORDS[:60])


def meeting(one: Line, other: Line, **params: object) -> bool:
    """Whether the rows, each in a part of its own, have a key in common."""
    left, right = (blocks_of(table_of(line), DedupParams(**params), salt) for salt, line in enumerate((one, other)))
    return bool(np.isin(left.keys, right.keys).any())


def cells(line: Line, **params: object) -> int:
    return len(blocks_of(table_of(line), DedupParams(**params), 1).cells)


def test_keys_are_the_same_in_every_part_and_however_the_table_is_cut():
    lines = [Line("a", "Q", LONG), Line("b", "Q", "short"), Line("c", "Q", "x", [Pic("p")], "caption")]
    whole = table_of(*lines)
    blocks = blocks_of(whole, DedupParams(), 7)
    again = blocks_of(pa.concat_tables([whole.slice(0, 1), whole.slice(1)]), DedupParams(), 7)
    for name in ("keys", "rows", "sketched", "sketches"):
        assert np.array_equal(getattr(blocks, name), getattr(again, name))
    alone = [blocks_of(whole.slice(n, 1), DedupParams(), 9) for n in range(3)]
    assert sorted(blocks.keys.tolist()) == sorted(key for found in alone for key in found.keys.tolist())


@pytest.mark.parametrize("mode", ["pair", "text", "image"])
def test_rows_without_anything_in_common_do_not_meet(mode):
    lines = [
        Line("a", "Q", "x"), Line("b", "Q", "y"), Line("c", "Q", "x", [Pic("p")]), Line("d", "R", "x", [Pic("q", 7)]),
        Line("e", "", ""), Line("f", "Q", LONG), Line("g", "Q", " ".join(WORDS[100:160])),
    ]  # fmt: skip
    met = {
        one.id + other.id for one in lines for other in lines if one.id < other.id and meeting(one, other, mode=mode)
    }
    assert met == ({"ac"} if mode == "text" else set())


def test_an_answer_that_repeats_its_prompt_is_no_common_key():
    assert not meeting(Line("a", "x", "x", [Pic("p")]), Line("b", "y", "y", [Pic("p")]))


def test_a_caption_has_a_side_with_its_prompt_and_one_without():
    assert cells(Line("a", "Q", "x", [Pic("p")], "caption")) == 2
    assert cells(Line("a", "Q", "x", [Pic("p")])) == 1
    assert cells(Line("a", "Q", "x", [Pic("p")], "caption"), mode="image") == 1
    drawn = Line("a", "Q", "x", [Pic("p", flat=0.9)])
    assert cells(drawn) == 0
    assert meeting(drawn, Line("b", "Q", "x", [Pic("p", flat=0.9), Pic("q")])) is False
    assert meeting(
        Line("a", "Q", "x", [Pic("p", 5, flat=0.9), Pic("q", 1)]),
        Line("b", "Q", "x", [Pic("p", 5, flat=0.9), Pic("r", 2)]),
    )
    for line in (Line("a"), Line("a", pictures=[Pic("p", std=0.0)]), Line("a", "Q", "x", [Pic("p")], "general_ocr")):
        assert cells(line) == 0


def test_copies_make_two_entries_each_and_one_of_them_the_keys():
    table = table_of(Line("", "Q", LONG)).take([0] * 1_000)
    table = table.set_column(0, table.schema.field("id"), pa.array([f"{n:04d}" for n in range(1_000)]))
    found: Blocks = blocks_of(table, DedupParams(), 1)
    single = blocks_of(table.slice(0, 1), DedupParams(), 1)
    assert len(found.keys) == 2 * 1_000 + len(single.keys) - 1
    assert found.sketched.tolist() == [0]


def test_an_id_is_a_key_in_every_mode():
    for mode in ("pair", "text", "image"):
        assert meeting(Line("a", "Q", "x"), Line("a", "R", "y", [Pic("p")]), mode=mode)


def test_of_a_side_and_hash_the_smallest_row_stands_for_all():
    side, phash, row = (np.array(values, np.uint64) for values in ([2, 1, 1, 1], [5, 5, 4, 5], [0, 3, 2, 1]))
    found = distinct(side, phash, row.astype(np.int64))
    assert list(zip(found.side.tolist(), found.phash.tolist(), found.row.tolist(), strict=True)) == [
        (1, 4, 2), (1, 5, 1), (2, 5, 0)
    ]  # fmt: skip


def test_joined_words_depend_on_their_order_and_do_not_cancel():
    one, other = np.uint64(3), np.uint64(9)
    assert joined(one, other) != joined(other, one)
    assert joined(one, one) != joined(other, other)
