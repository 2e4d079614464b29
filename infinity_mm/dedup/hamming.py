"""All pairs of 64-bit hashes within a Hamming radius: exact, without a cross join.

If two hashes differ in at most r bits, then cut into r + 1 bands they agree in one of them
(pigeonhole). So each band is sorted, equal bands are joined, and the pairs are checked by popcount.
M. Norouzi, A. Punjani, D. Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.lsh import pairs_of_equal

#: Below this many hashes all comparisons are cheaper than r + 1 sorts.
SMALL = 2_048


def near_pairs(hashes: NDArray[np.uint64], radius: int) -> NDArray[np.int64]:
    """Return all pairs (i < j), int64 of shape (pairs, 2), sorted, of distinct values within `radius` bits.

    `hashes` must be distinct: group equal ones first, or a thousand copies make half a million pairs.
    """
    if len(hashes) <= SMALL:
        return _compare_all(hashes, radius)
    found: list[NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
    for low, width in _bands(radius + 1):
        labels = (hashes >> np.uint64(low)) & np.uint64((1 << width) - 1)
        pairs = pairs_of_equal(labels.astype(np.int64))
        near = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]) <= radius
        found.append(pairs[near])
    return np.unique(np.concatenate(found), axis=0)


def _bands(count: int) -> list[tuple[int, int]]:
    """Return (lowest bit, bits) of `count` bands that cover 64 bits, as equal as possible."""
    edges = [64 * band // count for band in range(count + 1)]
    return [(low, high - low) for low, high in pairwise(edges)]


def _compare_all(hashes: NDArray[np.uint64], radius: int) -> NDArray[np.int64]:
    found: list[NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
    for start in range(0, len(hashes), 256):
        block = hashes[start : start + 256]
        near = np.bitwise_count(block[:, None] ^ hashes[None, :]) <= radius
        rows, columns = np.nonzero(near)
        ahead = columns > rows + start
        found.append(np.stack([rows[ahead] + start, columns[ahead]], axis=1).astype(np.int64))
    return np.concatenate(found)
