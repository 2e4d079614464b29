"""Answers and option letters as tables write them."""

import pytest

from infinity_mm.sources.answers import answer_texts, letter, vote
from infinity_mm.sources.base import Quarantine


@pytest.mark.parametrize("answers", ["['x', 'y', 'y']", '["x", "y", "y"]', ["x", " y", "y "]])
def test_a_list_written_as_text_is_that_list(answers):
    assert answer_texts(answers, "answer", ()) == ["x", "y", "y"]
    assert vote(answers) == "y"


@pytest.mark.parametrize("answer", ["[sic]", "['x', __import__('os')]", "['x'", "[1] 'a'", "['" + "x" * 20_000 + "']"])
def test_any_other_text_is_one_answer(answer):
    assert answer_texts(answer, "answer", ()) == [answer]


def test_numbers_are_texts_and_truth_values_are_none():
    assert answer_texts([3, {"answer": 1.5}, True, None, ""], "answer", ()) == ["3", "1.5"]


@pytest.mark.parametrize("index", [1, 1.0, "1", " 1"])
def test_the_index_of_a_choice_in_any_type(index):
    assert letter(["a", "b"], index) == "B"


@pytest.mark.parametrize("index", [True, 1.5, "B", -1, 2, None, float("nan")])
def test_what_is_no_index(index):
    assert isinstance(letter(["a", "b"], index), Quarantine)
