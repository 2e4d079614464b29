"""Bands find what is similar; their choice keeps its promise."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from infinity_mm.dedup.banding import choose_bands, recall_at
from infinity_mm.dedup.kernels.hashing import permutations, shingles, signatures
from infinity_mm.dedup.kernels.normal import from_token_texts
from infinity_mm.dedup.lsh import band_keys, candidate_pairs
from infinity_mm.dedup.params import DedupParams

from .rows import WORDS


@given(st.floats(0.3, 1.0), st.floats(0.5, 0.999), st.sampled_from([64, 128, 256]))
def test_the_chosen_bands_reach_the_recall_with_the_longest_rows(threshold, recall, num_perm):
    bands, rows = choose_bands(num_perm, threshold, recall)
    assert bands * rows <= num_perm
    if rows > 1 or recall_at(threshold, bands, rows) >= recall:
        assert recall_at(threshold, bands, rows) >= recall
    if rows < num_perm:
        assert recall_at(threshold, num_perm // (rows + 1), rows + 1) < recall


def test_the_documented_choices():
    assert choose_bands(128, 0.7, 0.999) == (32, 4)
    assert choose_bands(128, 0.7, 0.98) == (25, 5)


def test_a_recall_out_of_reach_is_refused_with_what_to_do():
    with pytest.raises(ValidationError, match=r"chance of 0\.72.*raise threshold or signature\.num_perm"):
        DedupParams(threshold=0.01)


def test_planted_pairs_at_the_threshold_are_proposed():
    rng = random.Random(1)
    near: list[bytes] = []
    while len(near) < 300:
        base = [rng.choice(WORDS) for _ in range(150)]
        other = list(base)
        for place in rng.sample(range(150), 5):
            other[place] = rng.choice(WORDS)
        one, two = ({tuple(words[start : start + 5]) for start in range(146)} for words in (base, other))
        if 0.7 <= len(one & two) / len(one | two) <= 0.75:
            near += [" ".join(words).encode() for words in (base, other)]
    found = signatures(*shingles(from_token_texts(near), 5), *permutations(128, 1))
    pairs = {tuple(pair) for pair in candidate_pairs(found, *choose_bands(128, 0.7, 0.999)).tolist()}
    proposed = sum((2 * n, 2 * n + 1) in pairs for n in range(len(near) // 2))
    assert proposed / (len(near) / 2) >= 0.99


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_candidates_are_the_pairs_that_share_a_band(seed, count):
    drawn = np.random.default_rng(seed).integers(0, 3, (count, 6), dtype=np.uint32)
    expected = [
        [i, j]
        for i in range(count)
        for j in range(i + 1, count)
        if any((drawn[i, b : b + 2] == drawn[j, b : b + 2]).all() for b in (0, 2, 4))
    ]
    assert candidate_pairs(drawn, 3, 2).tolist() == expected


def test_band_keys_do_not_depend_on_the_other_rows():
    signatures = np.random.default_rng(0).integers(0, 2**32, (50, 128), dtype=np.uint32)
    keys = band_keys(signatures, 32, 4)
    assert keys.shape == (50, 32)
    assert (band_keys(signatures[7:9], 32, 4) == keys[7:9]).all()
    assert len(np.unique(keys)) == keys.size
