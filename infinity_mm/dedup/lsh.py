"""Candidate pairs of near-duplicate texts by locality-sensitive hashing of MinHash signatures.

Bands only propose: every pair is checked by its true Jaccard similarity afterwards. Banding: A.
Gionis, P. Indyk, R. Motwani, "Similarity Search in High Dimensions via Hashing", VLDB 1999.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def choose_bands(num_perm: int, threshold: float, recall: float) -> tuple[int, int]:
    """Return (bands, rows per band): the longest rows whose recall at the threshold is reached.

    A pair of similarity s is proposed with probability 1 - (1 - s^rows)^bands, which grows with s, so the
    recall above the threshold is at least that at it. Longer rows propose fewer false pairs.
    """
    for rows in range(num_perm, 1, -1):
        bands = num_perm // rows
        if 1 - (1 - threshold**rows) ** bands >= recall:
            return bands, rows
    return num_perm, 1


def candidate_pairs(signatures: NDArray[np.uint32], bands: int, rows: int) -> NDArray[np.int64]:
    """Return the distinct pairs (i < j), int64 of shape (pairs, 2), sorted, of rows that share a band.

    `signatures` is uint32 of shape (n, at least bands * rows).
    """
    found: list[NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
    for band in range(bands):
        block = np.ascontiguousarray(signatures[:, band * rows : (band + 1) * rows])
        keys = block.view([("", np.uint32)] * rows).reshape(-1)
        found.append(pairs_of_equal(np.unique(keys, return_inverse=True)[1].reshape(-1).astype(np.int64)))
    return np.unique(np.concatenate(found), axis=0)


def pairs_of_equal(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return all pairs (i < j), int64 of shape (pairs, 2), of positions with equal labels."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    found: list[NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
    distance = 1
    while distance < len(ordered):
        starts = np.flatnonzero(ordered[distance:] == ordered[:-distance])
        if not len(starts):
            break
        # A stable sort keeps positions ascending inside a label, so i < j.
        found.append(np.stack([order[starts], order[starts + distance]], axis=1))
        distance += 1
    return np.concatenate(found)
