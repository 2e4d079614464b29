from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from infinity_mm.synth.agreement import normalised, number, same_answer


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Red", "red."),
        ("a red car", "The red car"),
        ("three", "3"),
        ("3", "3.0"),
        ("1,250", "1250"),
        ("45%", "45"),
        ("$ 12", "12 $"),
        ("\u22125", "-5"),
        ("two dogs", "2 dogs"),
        ("It\u2019s open", "it's open"),
        ("A", "a."),
    ],
)
def test_the_same_said_otherwise(one: str, other: str) -> None:
    assert same_answer(one, other)
    assert same_answer(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("red", "blue"),
        ("+5", "-5"),
        ("3", "4"),
        ("a", "the"),
        ("A", "B"),
        ("", ""),
        ("1,250", "1.25"),
        ("3 cars", "3"),
        ("12", "1 2"),
    ],
)
def test_what_differs(one: str, other: str) -> None:
    assert not same_answer(one, other)
    assert not same_answer(other, one)


def test_numbers_agree_within_the_tolerance() -> None:
    assert same_answer("100", "104", 0.05)
    assert not same_answer("100", "106", 0.05)
    assert not same_answer("100", "100.1")
    assert same_answer("0", "0", 0.05)


def test_numbers_are_read_whole_or_not_at_all() -> None:
    assert [number(text) for text in ("seven", " 7. ", "-1.5e3", "12 %", "1,2", "e3", ".5")] == [
        7.0, 7.0, -1500.0, 12.0, None, None, 0.5,
    ]  # fmt: skip
    assert [number(text) for text in ("7 cars", "", "-", "07/2021", "1 2")] == [None] * 5


@given(text=st.text())
def test_normalising_is_idempotent_and_answers_agree_with_themselves(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
    assume(once)
    assert same_answer(text, text)


@given(one=st.text(max_size=6), other=st.text(max_size=6), tolerance=st.floats(0, 0.5))
def test_agreement_is_symmetric(one: str, other: str, tolerance: float) -> None:
    assert same_answer(one, other, tolerance) == same_answer(other, one, tolerance)


@given(value=st.integers(-(10**9), 10**9))
def test_written_numbers_agree_with_and_without_thousands(value: int) -> None:
    assert same_answer(f"{value:,}", str(value))
