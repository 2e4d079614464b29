from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth.wilson import rate, separation


def test_known_intervals() -> None:
    half = rate(5, 10)
    assert (half.rate, half.low, half.high) == (0.5, 0.2366, 0.7634)
    none = rate(0, 20)
    assert (none.rate, none.low, none.high) == (0.0, 0.0, 0.1611)
    unknown = rate(0, 0)
    assert (unknown.rate, unknown.low, unknown.high) == (None, 0.0, 1.0)
    with pytest.raises(ValueError, match="passed=3"):
        rate(3, 2)


@given(of=st.integers(1, 10_000), data=st.data())
def test_the_interval_holds_the_share_and_shrinks(of: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, of))
    one, more = rate(passed, of), rate(passed * 4, of * 4)
    assert one.rate is not None
    assert 0 <= one.low <= one.rate <= one.high <= 1
    assert more.high - more.low <= one.high - one.low + 1e-4


def test_separation_needs_no_threshold() -> None:
    assert separation({9: 3, 10: 1}, {1: 2, 8: 5}) == 1.0
    assert separation({9: 3}, {9: 7}) == 0.5
    assert separation({2: 1}, {9: 7}) == 0.0
    assert separation({}, {9: 7}) is None
    assert separation({9: 1, 2: 1}, {5: 2}) == 0.5


scores = st.lists(st.integers(1, 10), min_size=1, max_size=12).map(Counter)


@given(left=scores, right=scores)
def test_separation_is_antisymmetric(left: Counter[int], right: Counter[int]) -> None:
    one, other = separation(left, right), separation(right, left)
    assert one is not None
    assert other is not None
    assert abs(one + other - 1) < 1e-3
