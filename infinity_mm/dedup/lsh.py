"""Candidate pairs of near-duplicate texts by locality-sensitive hashing of MinHash signatures.

Bands only propose: every pair is checked by its true Jaccard similarity afterwards. Banding: A. Gionis, P. Indyk,
R. Motwani, "Similarity Search in High Dimensions via Hashing", VLDB 1999.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.buckets import Buckets, bucket_by


def recall_at(threshold: float, bands: int, rows: int) -> float:
    """Return the chance that a pair of exactly this Jaccard similarity shares a band: 1 - (1 - s^rows)^bands."""
    return 1.0 - (1.0 - threshold**rows) ** bands


def choose_bands(num_perm: int, threshold: float, recall: float) -> tuple[int, int]:
    """Return (bands, rows per band): the longest rows whose recall at the threshold is reached.

    The chance to be proposed grows with the similarity, so `recall` holds for every pair at or above the
    threshold, and longer rows propose fewer pairs below it. With 128 permutations and 0.7: 32 x 4 for a
    recall of 0.999 (0.9998 reached), 25 x 5 for 0.98. Where no banding reaches it, the most sensitive one,
    one row per band, is returned; `recall_at` says what that gives.
    """
    for rows in range(num_perm, 1, -1):
        bands = num_perm // rows
        if recall_at(threshold, bands, rows) >= recall:
            return bands, rows
    return num_perm, 1


def band_keys(signatures: NDArray[np.uint32], bands: int, rows: int) -> NDArray[np.uint64]:
    """Return one 64-bit key per signature and band, uint64 of shape (n, bands).

    `signatures` is uint32 of shape (n, at least bands * rows). Equal bands have equal keys, unequal ones
    collide with a chance of 2^-64. A key does not depend on other signatures: keys of different parts
    and runs can be compared.
    """
    keys = np.empty((len(signatures), bands), np.uint64)
    for band in range(bands):
        key = np.full(len(signatures), band + 1, np.uint64)
        for row in range(rows):
            key = mix64(key ^ signatures[:, band * rows + row])
        keys[:, band] = key
    return keys


def mix64(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finaliser of SplitMix64 (G. Steele et al., OOPSLA 2014), a bijection, after adding its increment."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def lsh_buckets(keys: NDArray[np.uint64]) -> Buckets:
    """Return the buckets of `band_keys`: rows that share a key in a band meet in one."""
    return bucket_by([keys[:, band] for band in range(keys.shape[1])])


def candidate_pairs(signatures: NDArray[np.uint32], bands: int, rows: int) -> NDArray[np.int64]:
    """Return the distinct pairs (i < j), int64 of shape (pairs, 2), sorted, of signatures that share a band.

    All pairs at once, for data known to be tame; `infinity_mm.dedup.settle` walks the same buckets in bounded memory.
    """
    return lsh_buckets(band_keys(signatures, bands, rows)).all_pairs()
