"""Keys to groups of rows that share one, and groups to connected components; compiled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.forest import find, join
from infinity_mm.dedup.kernels.hashing import Hashes, Ints
from infinity_mm.dedup.kernels.jit import compiled, ones
from infinity_mm.dedup.kernels.keys import SKETCHED

#: Rows up to which every pair of a group is looked at; the rows of a larger group are united unseen. Looking at some of
#: the pairs of a large group would make the components depend on the order of the rows.
PAIRED = 32

_NIBBLES = np.uint64(0x1111111111111111)
_1 = np.uint64(1)
_2 = np.uint64(2)
_32 = np.uint64(32)
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Keys(NamedTuple):
    """Keys of rows that are numbered from `first` on."""

    #: uint64, and uint32 rows, of shape (keys,).
    keys: Hashes
    rows: NDArray[np.uint32]
    first: int


def groups_of(parts: Sequence[Keys]) -> tuple[Ints, Ints]:
    """Return the rows of each key that occurs more than once in all parts together, and where each group begins.

    int64 of shapes (rows in groups,) and (groups + 1,).
    """
    total = sum(len(part.keys) for part in parts)
    # Four slots a key or more: of the keys that occur once, one in six passes for nothing.
    slots = np.zeros(1 << max(10, (4 * total).bit_length()), np.uint8)
    for part in parts:
        _mark(part.keys, slots)
    keys, rows = np.empty(total, np.uint64), np.empty(total, np.int64)
    count = 0
    for part in parts:
        count = _select(part.keys, part.rows, part.first, slots, keys, rows, count)
    return _grouped(keys[:count], rows[:count])


def least_agreeing(threshold: float) -> int:
    """Return how many of 64 four-bit minima agree, but for a chance of 1e-6, at a similarity of `threshold` or more."""
    chance = threshold + (1.0 - threshold) / 16.0
    missed = 0.0
    for agreeing in range(SKETCHED + 1):
        missed += math.comb(SKETCHED, agreeing) * chance**agreeing * (1.0 - chance) ** (SKETCHED - agreeing)
        if missed > 1e-6:
            return agreeing
    return SKETCHED


def unite(parents: Ints, rows: Ints, starts: Ints, sketches: Hashes, least: int, paired: int = PAIRED) -> None:
    """Unite the rows of each group whose sketches agree in at least `least` places, in the forest `parents`.

    The rows of a group of more than `paired` are united unseen. The components do not depend on the order of groups or
    of the rows in them.
    """
    _unite(parents, rows, starts, sketches, least, paired)


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
def _slot(key: np.uint64, size: int) -> Any:
    """Return a place below `size`, a power of two; keys of one partition share their highest bits."""
    return np.int64((key * _MIX) >> _32) & (size - 1)


@compiled
def _mark(keys: Hashes, slots: NDArray[np.uint8]) -> None:
    for key in keys:
        slot = _slot(key, len(slots))
        slots[slot] = min(slots[slot] + 1, 2)


@compiled
def _select(
    keys: Hashes,
    rows: NDArray[np.uint32],
    first: int,
    slots: NDArray[np.uint8],
    chosen: Hashes,
    owners: Ints,
    count: int,
) -> int:
    """Copy what may occur twice behind the first `count`; returns how many there are then."""
    for place in range(len(keys)):
        if slots[_slot(keys[place], len(slots))] > 1:
            chosen[count] = keys[place]
            owners[count] = first + np.int64(rows[place])
            count += 1
    return count


@compiled
def _grouped(keys: Hashes, rows: Ints) -> tuple[Ints, Ints]:
    size = 2
    while size < len(keys) and size < 1 << 22:
        size *= 2
    ends = np.zeros(size + 1, np.int64)
    for key in keys:
        ends[_slot(key, size) + 1] += 1
    ends = np.cumsum(ends)
    order = np.empty(len(keys), np.int64)
    for place in range(len(keys)):
        slot = _slot(keys[place], size)
        order[ends[slot]] = place
        ends[slot] += 1
    found = np.empty(len(keys), np.int64)
    starts = np.zeros(len(keys) // 2 + 1, np.int64)
    groups = 0
    count = 0
    begin = 0
    for slot in range(size):
        if ends[slot] - begin > 1:
            count, groups = _take_groups(keys, rows, order[begin : ends[slot]], found, count, starts, groups)
        begin = ends[slot]
    return found[:count], starts[: groups + 1]


@compiled
def _take_groups(
    keys: Hashes, rows: Ints, places: Ints, found: Ints, count: int, starts: Ints, groups: int
) -> tuple[int, int]:
    """Bring the entries of a slot together key by key, and append those that are not alone."""
    begin = 0
    while begin < len(places):
        key = keys[places[begin]]
        end = begin + 1
        for later in range(end, len(places)):
            if keys[places[later]] == key:
                places[later], places[end] = places[end], places[later]
                end += 1
        if end - begin > 1:
            for place in range(begin, end):
                found[count] = rows[places[place]]
                count += 1
            groups += 1
            starts[groups] = count
        begin = end
    return count, groups


@compiled
def _unite(parents: Ints, rows: Ints, starts: Ints, sketches: Hashes, least: int, paired: int) -> None:
    for group in range(len(starts) - 1):
        begin, end = starts[group], starts[group + 1]
        all_pairs = end - begin <= paired
        for later in range(begin + 1, end):
            for earlier in range(begin, later if all_pairs else begin + 1):
                one, other = find(parents, rows[earlier]), find(parents, rows[later])
                if one == other:
                    continue
                if not all_pairs or agreeing(sketches, rows[earlier], rows[later]) >= least:
                    join(parents, one, other)
