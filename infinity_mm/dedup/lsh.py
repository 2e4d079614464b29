"""Candidate pairs of near-duplicate texts by locality-sensitive hashing of MinHash signatures.

Bands only propose: every pair is checked by its true Jaccard similarity afterwards. Banding: A. Gionis, P. Indyk,
R. Motwani, "Similarity Search in High Dimensions via Hashing", VLDB 1999.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.buckets import bucket_by, walk


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


def candidate_pairs(signatures: NDArray[np.uint32], bands: int, rows: int) -> NDArray[np.int64]:
    """Return the distinct pairs (i < j), int64 of shape (pairs, 2), sorted, of signatures that share a band.

    All pairs at once, for data known to be tame; `infinity_mm.dedup.settle` walks the same buckets in bounded memory.
    """
    keys = band_keys(signatures, bands, rows)
    buckets = bucket_by([keys[:, band] for band in range(bands)])
    found = [np.stack(pairs, axis=1) for pairs in walk(buckets, np.zeros(len(keys), bool))]
    pairs = np.concatenate([np.empty((0, 2), np.int64), *found])
    ordered: NDArray[np.int64] = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return ordered
