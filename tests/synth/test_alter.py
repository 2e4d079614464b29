from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth import alter

QUESTION = "What can be seen beside the wall?"


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        ("7", ["wrong_number"]),
        ("3.50 euros", ["wrong_number"]),
        ("twelve", ["wrong_number"]),
        ("red", ["wrong_color"]),
        ("Two gray cars", ["wrong_number", "wrong_color"]),
        ("to the left of the door", ["wrong_direction"]),
        ("No", ["flipped_yes_no"]),
        ("Yes, a red one stands there.", ["wrong_color", "flipped_yes_no"]),
        ("a wooden bench", []),
        ("this one", []),
        ("Route A4", []),
    ],
)
def test_what_is_in_an_answer_can_be_altered(kit: Any, answer: str, kinds: list[str]) -> None:
    row = kit.generated(QUESTION, answer)
    assert [kind for kind, _ in alter.alterations(row, (), 3)] == kinds


def test_only_the_altered_thing_changes() -> None:
    assert alter.wrong_number("There are 3 cars, so the answer is 3.", 3) == "There are 4 cars, so the answer is 4."
    assert alter.wrong_number("0", 5) in {"1", "2", "3"}
    assert alter.wrong_number("$1,250.75 in 07/2021", 3) == "$1,250.75 in 07/2022"
    assert alter.wrong_number("1.09", 2) == "1.08"
    assert alter.wrong_number("Two dogs and two cats", 4) == "Five dogs and five cats"
    assert alter.wrong_color("A RED car beside a red wall", 1) == "A BLUE car beside a blue wall"
    assert alter.wrong_direction("Left of the larger box", 0) == "Right of the smaller box"
    assert alter.flipped_yes_no("Yes, there is.", 0) == "No, there is."
    assert alter.flipped_yes_no("nothing", 0) is None


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("The word has 4 letters. It says BANK.", {"wrong_detail": "The word has 5 letters. It says BANK."}),
        ("There are 3 red cars. The number is 3.", {"wrong_number": None, "wrong_detail": None}),
        (
            "It stands left of a wall. It is red.",
            {"wrong_color": None, "wrong_detail": "It stands right of a wall. It is red."},
        ),
        ("It is a bank. So people go there.", {}),
    ],
)
def test_the_last_sentence_states_the_answer_and_the_others_are_details(kit: Any, answer: str, found: Any) -> None:
    altered = dict(alter.alterations(kit.generated(QUESTION, answer, "brief"), (), 3))
    assert list(altered) == list(found)
    for kind, text in altered.items():
        assert found[kind] in (None, text)
        assert (text.split(". ")[-1] == answer.split(". ")[-1]) == (kind == "wrong_detail")
    if "wrong_number" in altered:
        assert "3" not in altered["wrong_number"], "the answer changes wherever it occurs"


def test_a_choice_becomes_another_option(kit: Any) -> None:
    options = ("in a garage", "on a bridge", "3 fields", "under a red tree")
    row = kit.generated("Where is the car?", "3 fields", "multiple_choice", options)
    found = list(alter.alterations(row, ("elsewhere",), 3))
    assert [kind for kind, _ in found] == ["wrong_option"]
    assert found[0][1] in options
    assert found[0][1] != "3 fields"


def test_another_rows_answer_says_something_else(kit: Any) -> None:
    row = kit.generated(QUESTION, "a bench")
    for seed in range(5):
        others = ("A bench.", "a wooden bench", "bench", "a tree")
        assert list(alter.alterations(row, others, seed)) == [("other_answer", "a tree")]
    assert list(alter.alterations(row, ("A bench", "bench"), 0)) == []


words = st.sampled_from(
    [
        *alter.COLORS,
        *alter.NUMBER_WORDS,
        *alter.OPPOSITE,
        "Yes",
        "NO",
        "the",
        "cat",
        "7",
        "09",
        "1,200",
        "2.50",
        "-4",
        ".",
    ]
)


@given(
    parts=st.lists(words, min_size=1, max_size=8), others=st.lists(st.text(max_size=8), max_size=4), seed=st.integers()
)
def test_altered_answers_are_always_other_answers(kit: Any, parts: list[str], others: list[str], seed: int) -> None:
    row = kit.generated(QUESTION, " ".join(parts))
    found = list(alter.alterations(row, others, seed))
    assert found == list(alter.alterations(row, others, seed))
    assert all(kind in alter.KINDS for kind, _ in found)
    assert len({kind for kind, _ in found}) == len(found)
    for _, answer in found:
        assert alter.folded(answer) != alter.folded(row.answer)


@given(text=st.text(), draw=st.integers(min_value=0))
def test_any_text_is_altered_or_left(text: str, draw: int) -> None:
    for change in (alter.wrong_number, alter.wrong_color, alter.wrong_direction, alter.flipped_yes_no):
        altered = change(text, draw)
        assert altered is None or altered != text
