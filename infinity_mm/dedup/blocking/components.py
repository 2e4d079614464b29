"""Groups of equal keys to forests, forests to components, components to units of work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.forest import roots, unite_groups, unite_pairs
from infinity_mm.dedup.kernels.groups import Keys, groups_of, unite
from infinity_mm.dedup.kernels.jit import compiled
from infinity_mm.dedup.kernels.keys import SKETCH_WORDS
from infinity_mm.dedup.ragged import Ints
from infinity_mm.dedup.sketch import Sketches


class Edges(NamedTuple):
    """Pairs of rows, numbered through the whole input, that belong together: int64, shapes (edges,)."""

    one: Ints
    other: Ints


#: Rows up to which all pairs of a group with an equal band are looked at.
PAIRED = 4096


@dataclass(frozen=True)
class Members:
    """The rows of all components of two or more, ascending, and the work that each belongs to."""

    #: int64, shape (rows,).
    row: Ints
    #: The file in which the component's first row lies, and a number of the unit there: int32, shape (rows,).
    home: NDArray[np.int32]
    unit: NDArray[np.int32]


def forest_of(parts: Sequence[Keys], sketches: Callable[[Ints], Sketches], least: int) -> Edges:
    """Return edges that connect all rows that meet by a key; at most one edge a row, however many keys it shares.

    Rows with an odd key in common, that of a band, meet if their sketches agree in `least` places; `sketches` returns
    those of rows, ascending. In a group of more than `PAIRED`, they meet unseen.
    """
    exact, exact_starts = groups_of([_kept(part, False) for part in parts])
    banded, banded_starts = groups_of([_kept(part, True) for part in parts])
    nodes = np.unique(np.concatenate([exact, banded]))
    parents = np.arange(len(nodes), dtype=np.int64)
    unite_groups(parents, np.searchsorted(nodes, exact), exact_starts)
    similar = np.unique(banded)
    found = np.zeros((len(nodes), SKETCH_WORDS), np.uint64)
    found[np.searchsorted(nodes, similar)] = sketches(similar)
    unite(parents, np.searchsorted(nodes, banded), banded_starts, found, least, PAIRED)
    root = roots(parents)
    linked = np.flatnonzero(root != np.arange(len(nodes)))
    return Edges(nodes[linked], nodes[root[linked]])


def _kept(part: Keys, odd: bool) -> Keys:
    own = (part.keys & np.uint64(1)).astype(np.bool_) == odd
    return Keys(part.keys[own], part.rows[own], part.first)


def members_of(
    edges: Callable[[], Iterable[Edges]], firsts: Ints, row_bytes: Sequence[int], unit_bytes: int
) -> Members:
    """Return the components of all edges, which are gone through twice, cut into units.

    `firsts`, int64 of shape (files + 1,), says where the rows of each file begin, and where the last ends;
    `row_bytes` what a row of each file takes. A unit holds components whose first rows lie in one file, as many as
    reach `unit_bytes`: so rows that are added elsewhere change only the units of components that they belong to.
    Memory is one bit a row, and about 40 bytes for each row with an edge; the edges are never all in memory.
    """
    seen = np.zeros(int(firsts[-1]) // 8 + 1, np.uint8)
    for some in edges():
        _mark(seen, some.one)
        _mark(seen, some.other)
    rows = np.empty(int(np.bitwise_count(seen).sum()), np.int64)
    _positions(seen, rows)
    parents = np.arange(len(rows), dtype=np.int32 if len(rows) < 1 << 31 else np.int64)
    for some in edges():
        unite_pairs(parents, np.searchsorted(rows, some.one), np.searchsorted(rows, some.other))
    root = roots(parents)
    file = (np.searchsorted(firsts, rows, side="right") - 1).astype(np.int32)
    weight = np.bincount(root, np.asarray(row_bytes, np.float64)[file], minlength=len(rows))
    # Components in the order of their first rows: a unit ends where it has enough.
    before = np.cumsum(weight) - weight
    home = file[root]
    begins = before[np.searchsorted(file, home)]
    return Members(rows, home, ((before[root] - begins) // unit_bytes).astype(np.int32))


@compiled
def _mark(seen: NDArray[np.uint8], rows: Ints) -> None:
    for row in rows:
        seen[row >> 3] |= np.uint8(1 << (row & 7))


@compiled
def _positions(seen: NDArray[np.uint8], rows: Ints) -> None:
    count = 0
    for place in range(len(seen)):
        if seen[place]:
            for bit in range(8):
                if seen[place] >> bit & 1:
                    rows[count] = place * 8 + bit
                    count += 1
