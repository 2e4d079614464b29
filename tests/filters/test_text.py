"""Texts: loops and damage leave, short, regular and long ones stay."""

from __future__ import annotations

import pytest

from infinity_mm.filters import text
from infinity_mm.filters.text import Params, measure
from tests.filters.rows import SENTENCE, answer, reasons, record, table

TABLE = "| year | share |\n| --- | --- |\n" + "\n".join(f"| {1990 + k} | 0 |" for k in range(60))
HTML = "<table>\n" + "".join(f"<tr>\n<td>\n{k % 3}\n</td>\n</tr>\n" for k in range(40)) + "</table>"
BOXES = "[" + ", ".join(f'{{"bbox": [{k}, {k + 1}, {k}, 9], "label": "car"}}' for k in range(40)) + "]"
CODE = "".join(f"def f{k}(x):\n    if x is None:\n        return None\n    return x + {k}\n" for k in range(8))


@pytest.mark.parametrize(
    "good",
    [
        "no",
        "7",
        "a man riding a wave on top of a surfboard .",
        "Total      Amount\n\n\n   12.00       7.50",
        TABLE,
        HTML,
        BOXES,
        CODE,
        "0 0 0 0 0 " * 100,
        "你好，世界。",
    ],
)
def test_short_and_regular_answers_stay(good: str) -> None:
    assert reasons(text, table(answer(good))) == [None]


@pytest.mark.parametrize("loop", ["cat " * 60, (SENTENCE + ". ") * 9, "这是一只猫在草地上跑。" * 20, "ha ha, " * 99])
def test_loops_leave(loop: str) -> None:
    assert reasons(text, table(answer(loop))) == ["repeated_words"]


def test_the_same_words_in_other_turns_are_no_loop() -> None:
    turns = [
        turn
        for k in range(30)
        for turn in (("user", f"Is there object {k}? Answer the question using a single word."), ("assistant", "no"))
    ]
    assert reasons(text, table(record(*turns))) == [None]


def test_a_repetitive_question_is_not_judged() -> None:
    assert reasons(text, table(record(("user", "again " * 200), ("assistant", "Fine.")))) == [None]


def test_repaired_messages_are_beside_the_record_only_where_something_changed() -> None:
    given = table(answer("cafÃ© au lait\x00"), answer("café au lait"))
    rows = measure(given, Params()).to_pylist()
    assert [row["repaired"] for row in rows] == [True, False]
    assert rows[0]["messages_repaired"] == ["What is it?", "café au lait"]
    assert rows[1]["messages_repaired"] is None
    assert reasons(text, given) == [None, None]


def test_counts_leave_out_placeholders_and_outer_space() -> None:
    given = table(record(("user", "<image>\n"), ("assistant", " a red bus 红车 "), images=1))
    [row] = measure(given, Params()).to_pylist()
    assert (row["n_chars"], row["n_words"]) == (12, 5)


def test_damage_that_cannot_be_mended_leaves_unless_it_is_rare() -> None:
    assert reasons(text, table(answer("\ufffd\ufffd\ufffd\ufffd"))) == ["garbled"]
    assert reasons(text, table(answer("a long text " * 4 + SENTENCE + " \ufffd\ufffd"))) == [None]
