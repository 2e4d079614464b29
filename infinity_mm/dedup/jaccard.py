"""True Jaccard similarity of shingle sets, for pairs that a cheaper method proposed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.ragged import Ints, Ragged, blocks, expand, starts

#: Items looked up at a time: some tens of MB.
BUDGET = 1 << 20


def similarities(sets: Ragged, left: Ints, right: Ints) -> NDArray[np.float64]:
    """Return |A and B| / |A or B|, float64 of shape (pairs,), of the sets numbered `left` and `right`.

    `sets` holds sorted distinct uint64. Exact (no sketch). Two empty sets have similarity 0: nothing was compared.
    """
    shared = intersections(sets, left, right)
    union = sets.size[left] + sets.size[right] - shared
    similarity: NDArray[np.float64] = shared / np.maximum(union, 1)
    return similarity


def intersections(sets: Ragged, left: Ints, right: Ints) -> Ints:
    """Return |A and B|, int64 of shape (pairs,): each item of the smaller set is looked up in the larger one."""
    swap = sets.size[left] > sets.size[right]
    small, large = np.where(swap, right, left), np.where(swap, left, right)
    shared = np.zeros(len(left), np.int64)
    for part in blocks(sets.size[small], BUDGET):
        owner, places = expand(sets.first[small[part]], sets.size[small[part]])
        rows = large[part]
        hits = _found(sets, sets.values[places], sets.first[rows][owner], sets.size[rows][owner])
        shared[part] = np.bincount(owner[hits], minlength=len(rows))
    return shared


def _found(sets: Ragged, needles: NDArray[np.uint64], first: Ints, size: Ints) -> NDArray[np.bool_]:
    """Look each needle up in ``values[first : first + size]`` by bisection, all needles one step at a time."""
    low, high = first.copy(), first + size
    for _ in range(int(size.max(initial=0)).bit_length()):
        middle = (low + high) >> 1
        open_ = low < high
        below = open_ & (sets.values[np.where(open_, middle, 0)] < needles)
        low = np.where(below, middle + 1, low)
        high = np.where(open_ & ~below, middle, high)
    inside = low < first + size
    found: NDArray[np.bool_] = inside & (sets.values[np.where(inside, low, 0)] == needles)
    return found


def unions(one: Ragged, other: Ragged, rows: Ints) -> Ragged:
    """Return, for each of `rows`, the union of its two sets, again sorted and distinct."""
    owners, values = zip(one.take(rows).flat(), other.take(rows).flat(), strict=True)
    owner, value = np.concatenate(owners), np.concatenate(values)
    order = np.lexsort((value, owner))
    owner, value = owner[order], value[order]
    fresh = np.ones(len(owner), bool)
    fresh[1:] = (owner[1:] != owner[:-1]) | (value[1:] != value[:-1])
    size = np.bincount(owner[fresh], minlength=len(rows)).astype(np.int64)
    return Ragged(starts(size)[:-1], size, value[fresh])
