from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from infinity_mm.synth.agreement import compare, normalised
from infinity_mm.synth.reword import _CHANGES, REWORDINGS, rewordings

#: What text and numbers see through; the others are left to a model.
PLAIN = {"other_case", "no_articles", "other_stop", "other_numbers"}


def reworded(kit: Any, answer: str, form: str = "word_or_phrase") -> dict[str, str]:
    row = kit.generated("What is it?", answer)
    return dict(rewordings(replace(row, typed=replace(row.typed, format=form))))


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        ("a red car", "other_case", "A red car"),
        ("The red car", "no_articles", "red car"),
        ("a red car", "other_stop", "a red car."),
        ("It is red.", "other_stop", "It is red"),
        ("7", "other_numbers", "seven"),
        ("Two gray cars", "other_numbers", "2 gray cars"),
        ("12 cars and 3 dogs", "other_numbers", "twelve cars and three dogs"),
        ("5 cm", "units_in_words", "5 centimeters"),
        ("1 cm", "units_in_words", "1 centimeter"),
        ("1 km/h", "units_in_words", "1 kilometer per hour"),
        ("11 kg", "units_in_words", "11 kilograms"),
        ("50%", "units_in_words", "50 percent"),
        ("from 3 m to 4 m", "units_in_words", "from 3 meters to 4 meters"),
        ("20 °C", "units_in_words", "20 degrees Celsius"),
        ("a red car.", "in_a_sentence", "It is a red car."),
    ],
)
def test_each_kind(kit: Any, answer: str, kind: str, text: str) -> None:
    assert reworded(kit, answer)[kind] == text


@pytest.mark.parametrize(
    ("answer", "absent"),
    [
        ("Yes", "in_a_sentence"),
        ("a", "no_articles"),
        ("Vitamin A", "no_articles"),
        ("7:30", "other_numbers"),
        ("3.5", "other_numbers"),
        ("page A4", "other_numbers"),
        ("2-3", "other_numbers"),
        ("3%", "other_numbers"),
        ("1", "other_numbers"),
        ("this one", "other_numbers"),
        ("$5 m", "units_in_words"),
        ("20 m²", "units_in_words"),
        ("5G", "units_in_words"),
        ("Really?", "other_stop"),
    ],
)
def test_what_would_change_the_meaning_is_left_out(kit: Any, answer: str, absent: str) -> None:
    assert absent not in reworded(kit, answer)


def test_sentences_are_led_in_and_options_left_alone(kit: Any) -> None:
    found = reworded(kit, "The door is open.", "brief")
    assert found["led_in"] == "As far as one can tell: The door is open."
    assert "in_a_sentence" not in found
    assert list(rewordings(replace(kit.generated("What?", "x"), options=("x", "y", "z", "w")))) == []
    assert list(found) == [kind for kind in REWORDINGS if kind in found]


WORDS = st.sampled_from(
    [
        "a",
        "the",
        "An",
        "red",
        "car",
        "two",
        "Seven",
        "7",
        "0",
        "12",
        "1",
        "3.5",
        "1,200",
        "5 cm",
        "50%",
        "left",
        "A4",
        "no",
    ]
)


@given(st.lists(WORDS, min_size=1, max_size=6).map(" ".join), st.sampled_from(["", "."]))
def test_text_and_numbers_never_take_a_rewording_for_another_answer(words: str, stop: str) -> None:
    answer = words + stop
    assume(normalised(answer))
    for kind, change in _CHANGES.items():
        text = change(answer)
        if not text.strip():
            continue
        found = compare(answer, text)
        assert found.same is not False, (kind, text)
        if kind in PLAIN:
            assert found.same is True, (kind, text)
