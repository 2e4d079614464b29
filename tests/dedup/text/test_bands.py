"""The banding is the cheapest that reaches the recall."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.dedup.banding import recall_at
from infinity_mm.dedup.text.bands import Banding, choose, cost_ns
from infinity_mm.dedup.text.params import TextParams, parse_params
from infinity_mm.errors import UsageError


@given(st.floats(0.3, 1.0), st.floats(0.5, 0.9999), st.integers(64, 512))
def test_what_is_chosen_reaches_the_recall_within_the_permutations(threshold, recall, permutations):
    try:
        chosen = choose(threshold, recall, permutations)
    except ValueError:
        assert recall_at(threshold, permutations, 1) < recall
        return
    assert chosen.bands * chosen.rows <= permutations
    assert recall_at(threshold, chosen.bands, chosen.rows) >= recall
    assert recall_at(threshold, chosen.bands - 1, chosen.rows) < recall


def test_the_default():
    assert choose(0.7, 0.999, 128) == Banding(17, 3)
    assert choose(0.7, 0.999, 128).minima == 64  # for the sketch


def test_fewer_rows_cost_pairs_and_more_rows_cost_keys():
    assert cost_ns(Banding(6, 1), 0.7) > cost_ns(Banding(17, 3), 0.7) < cost_ns(Banding(38, 5), 0.7)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": 1.5}, r"threshold: .*less than or equal to 1, not 1.5"),
        ({"ngram": 0, "recall": 1.0}, r"ngram: .*; recall: "),
        (
            {"threshold": 0.3, "recall": 0.999999999999999, "permutations": 64},
            "64 permutations find a pair at threshold=0.3",
        ),
    ],
)
def test_wrong_parameters_are_named(values, message):
    with pytest.raises(UsageError, match=message):
        parse_params(values)
    assert parse_params({}) == TextParams()
