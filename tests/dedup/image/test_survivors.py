"""Who stays, against the definition: rows in keep order lose to the first standing row that is the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.dedup.image.survivors import Field, survivors
from infinity_mm.dedup.settle import Agreement


def field_of(seed: int, count: int, radius: int, labels: int) -> Field:
    """Return rows of few families of near hashes, some equal; some of equal labels, whose hashes differ a little."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 1 << 64, max(count // 10, 1), dtype=np.uint64)
    label = rng.integers(0, labels, count)
    family = np.where(rng.random(count) < 0.5, label, rng.integers(0, len(centres), count)) % len(centres)
    hashes = centres[family]
    for _ in range(rng.integers(0, radius + 1)):
        flips = np.uint64(1) << rng.integers(0, 64, count, dtype=np.uint64)
        hashes = np.where(rng.random(count) < 0.4, hashes ^ flips, hashes)
    return Field(hashes, rng.random(count) < 0.9, label, radius)


def compare_with(field: Field, share: float):
    """Return a verdict that is a function of the pair: equal labels, or near and alike, which `share` of all are."""

    def compare(earlier: np.ndarray, later: np.ndarray) -> Agreement:
        apart = np.bitwise_count(field.hashes[earlier] ^ field.hashes[later]).astype(np.int32)
        mixed = (np.minimum(earlier, later) * 7919 + np.maximum(earlier, later) * 104_729) % 1_000
        equal = field.label[earlier] == field.label[later]
        alike = (mixed < share * 1_000) & (apart <= field.radius) & field.able[earlier] & field.able[later]
        return Agreement(equal | alike, np.full(len(earlier), np.nan), np.where(equal, 0, apart))

    return compare


def by_definition(field: Field, compare) -> dict[int, int]:
    found: dict[int, int] = {}
    for row in range(len(field.hashes)):
        standing = np.array([other for other in range(row) if other not in found], np.int64)
        linked = standing[compare(standing, np.full(len(standing), row)).linked]
        if len(linked):
            found[row] = int(linked[0])
    return found


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(0, 120),
    st.sampled_from([0, 3, 8]),
    st.sampled_from([2, 30, 10_000]),
    st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    st.sampled_from([1, 7, 100, 1 << 21]),
)
def test_survivors_are_those_of_the_definition(seed, count, radius, labels, share, budget):
    field = field_of(seed, count, radius, labels)
    compare = compare_with(field, share)
    losses = survivors(field, compare, budget)
    assert dict(zip(losses.loser.tolist(), losses.winner.tolist(), strict=True)) == by_definition(field, compare)
    assert losses.how.linked.all()
    assert losses.loser.tolist() == sorted(losses.loser.tolist())


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_no_more_pairs_are_held_than_the_budget_allows(share):
    """Three thousand equal hashes have four million pairs; a family of which the first stays costs one for each row."""
    count, budget = 3_000, 20_000
    field = Field(np.full(count, 5, np.uint64), np.ones(count, bool), np.arange(count), 8)
    verdict = compare_with(field, share)
    asked: list[int] = []

    def compare(earlier: np.ndarray, later: np.ndarray) -> Agreement:
        asked.append(len(earlier))
        return verdict(earlier, later)

    losses = survivors(field, compare, budget)
    assert max(asked) <= max(budget, count)
    assert len(losses.loser) == (count - 1 if share else 0)
    assert sum(asked) < (budget + 5 * count if share else count * count)
