"""Near hashes of one side, found exactly, as edges between rows; never all pairs.

Sides are compared each by itself. Most are small, and there all pairs are looked at; in a large one, as of captions,
which have no prompt that must agree, pairs are found by bands (`infinity_mm.dedup.hamming`), and only united.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.blocking.keys import Cells
from infinity_mm.dedup.hamming import SMALL, plan
from infinity_mm.dedup.kernels.forest import find, join, roots, unite_pairs
from infinity_mm.dedup.kernels.jit import compiled, ones
from infinity_mm.dedup.kernels.near import all_pairs, pairs_in_band
from infinity_mm.dedup.ragged import Ints


def near_rows(cells: Cells, radius: int) -> tuple[Ints, Ints]:
    """Return edges (row, row), int64, that connect the rows of cells of one side within `radius` bits.

    At most one edge a cell. Memory is some 40 bytes a cell, and a table of 2^24 places where a side is large.
    """
    parents = np.arange(len(cells), dtype=np.int64)
    edges = np.flatnonzero(np.append(True, cells.side[1:] != cells.side[:-1])[: len(cells)])
    starts = np.append(edges, len(cells))
    _unite_small(parents, cells.phash, starts, radius, SMALL)
    for side in np.flatnonzero(np.diff(starts) > SMALL).tolist():
        begin, end = int(starts[side]), int(starts[side + 1])
        _unite_large(parents[begin:end], begin, cells.phash[begin:end], radius)
    root = roots(parents)
    linked = np.flatnonzero(root != np.arange(len(cells)))
    return cells.row[linked], cells.row[root[linked]]


def _unite_large(parents: Ints, first: int, hashes: NDArray[np.uint64], radius: int) -> None:
    """Unite near hashes of one side, whose parents, numbered from `first` on, are each its own."""
    bands = plan(len(hashes), radius) if radius else ()
    parents -= first
    if bands is None:
        for pairs in all_pairs(hashes, radius):
            unite_pairs(parents, pairs[:, 0], pairs[:, 1])
    for number, band in enumerate(bands or ()):
        earlier = [[one.low, one.width, one.reach] for one in (bands or ())[:number]]
        known = np.array(earlier, np.int64).reshape(-1, 3)
        for pairs in pairs_in_band(hashes, radius, band.low, band.width, band.reach, known):
            unite_pairs(parents, pairs[:, 0], pairs[:, 1])
    parents += first


@compiled
def _unite_small(parents: Ints, hashes: NDArray[np.uint64], starts: Ints, radius: int, most: int) -> None:
    for side in range(len(starts) - 1):
        begin, end = starts[side], starts[side + 1]
        if end - begin > most:
            continue
        for one in range(begin, end):
            for other in range(one + 1, end):
                if ones(hashes[one] ^ hashes[other]) <= radius:
                    join(parents, find(parents, one), find(parents, other))
