"""Keys to groups of rows that share one, and groups to connected components; compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.hashing import Hashes, Ints
from infinity_mm.dedup.kernels.jit import compiled, ones
from infinity_mm.dedup.kernels.keys import SKETCHED

#: Rows up to which every pair of a group is looked at; the rows of a larger group are united unseen. Looking at some of
#: the pairs of a large group would make the components depend on the order of the rows.
PAIRED = 32

_NIBBLES = np.uint64(0x1111111111111111)
_1 = np.uint64(1)
_2 = np.uint64(2)
_3 = np.uint64(3)
_MIX = np.uint64(0x9E3779B97F4A7C15)


def groups_of(keys: Hashes, rows: Ints) -> tuple[Ints, Ints]:
    """Return the rows of each key that occurs more than once, and where each group begins.

    `keys`, uint64, and `rows`, int64, have one entry each per key of a row; groups come by ascending key.
    """
    keep = np.zeros(len(keys), bool)
    # Four slots a key: of keys that occur once, one in nine passes for nothing.
    slots = np.zeros(1 << max(10, (4 * len(keys)).bit_length()), np.uint8)
    _repeated(keys, slots, keep)
    keys, rows = keys[keep], rows[keep]
    order = np.argsort(keys)
    keys, rows = keys[order], rows[order]
    fresh = np.ones(len(keys) + 1, bool)
    fresh[1:-1] = keys[1:] != keys[:-1]
    edges = np.flatnonzero(fresh)
    size = np.diff(edges)
    shared = size > 1
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(size[shared])])
    return rows[np.repeat(shared, size)], starts


def least_agreeing(threshold: float) -> int:
    """Return how many of 64 four-bit minima agree, but for a chance of 1e-6, at a similarity of `threshold` or more."""
    chance = threshold + (1.0 - threshold) / 16.0
    missed = 0.0
    for agreeing in range(SKETCHED + 1):
        missed += math.comb(SKETCHED, agreeing) * chance**agreeing * (1.0 - chance) ** (SKETCHED - agreeing)
        if missed > 1e-6:
            return agreeing
    return SKETCHED


def unite(parents: Ints, rows: Ints, starts: Ints, sketches: Hashes, least: int) -> None:
    """Unite the rows of each group whose sketches agree in at least `least` places, in the forest `parents`.

    The components do not depend on the order of groups or of the rows in them.
    """
    _unite(parents, rows, starts, sketches, least)


def roots(parents: Ints) -> Ints:
    """Return each row's representative: the smallest row of its component."""
    found = np.empty_like(parents)
    _roots(parents, found)
    return found


@compiled
def agreeing(sketches: Hashes, one: int, other: int) -> int:
    """Return how many of the 64 four-bit values of two sketches are equal."""
    unequal = 0
    for word in range(4):
        different = sketches[one, word] ^ sketches[other, word]
        different |= different >> _2
        different |= different >> _1
        unequal += ones(different & _NIBBLES)
    return SKETCHED - unequal


@compiled
def _repeated(keys: Hashes, slots: NDArray[np.uint8], keep: NDArray[np.bool_]) -> None:
    shift = np.uint64(64)
    size = len(slots)
    while size > 1:
        size >>= 1
        shift -= _1
    for key in keys:
        slot = np.int64((key * _MIX) >> shift)
        slots[slot] = min(slots[slot] + 1, 2)
    for place in range(len(keys)):
        keep[place] = slots[np.int64((keys[place] * _MIX) >> shift)] > 1


@compiled
def _find(parents: Ints, row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


@compiled
def _join(parents: Ints, one: int, other: int) -> None:
    if one < other:
        parents[other] = one
    else:
        parents[one] = other


@compiled
def _unite(parents: Ints, rows: Ints, starts: Ints, sketches: Hashes, least: int) -> None:
    for group in range(len(starts) - 1):
        begin, end = starts[group], starts[group + 1]
        all_pairs = end - begin <= PAIRED
        for later in range(begin + 1, end):
            for earlier in range(begin, later if all_pairs else begin + 1):
                one, other = _find(parents, rows[earlier]), _find(parents, rows[later])
                if one == other:
                    continue
                if not all_pairs or agreeing(sketches, rows[earlier], rows[later]) >= least:
                    _join(parents, one, other)


@compiled
def _roots(parents: Ints, found: Ints) -> None:
    for row in range(len(parents)):
        found[row] = _find(parents, row)
