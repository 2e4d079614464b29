"""Shingle sets as sorted distinct 64-bit hashes, and their exact Jaccard similarity; compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from infinity_mm.dedup.kernels.groups import agreeing
from infinity_mm.dedup.kernels.hashing import Hashes, Ints
from infinity_mm.dedup.kernels.jit import compiled

_64 = np.uint64(64)


class Rows(NamedTuple):
    """Texts to compare; a named tuple, since compiled functions take those."""

    #: Of the whole text: uint64, shape (rows, 2).
    digests: Hashes
    #: uint64, shape (rows, 4).
    sketches: Hashes
    #: Sorted distinct shingle hashes, set after set: uint64.
    shingles: Hashes
    #: Where each set begins, and where the last ends: int64, shape (rows + 1,).
    starts: Ints


class Rule(NamedTuple):
    """When two texts with shingles are near-duplicates."""

    #: Jaccard similarity of their shingle sets.
    threshold: float
    #: Places, of 64, in which their sketches must agree before the sets are looked at.
    agreeing: int


def sorted_sets(hashes: Hashes, starts: Ints) -> tuple[Hashes, Ints]:
    """Return each list's distinct hashes in ascending order, and where each set begins; shapes as given."""
    found = np.empty(len(hashes), np.uint64)
    begins = np.zeros(len(starts), np.int64)
    _sort(hashes, starts, found, begins)
    return found[: begins[-1]], begins


def place_sets(values: Hashes, starts: Ints, places: Ints, found: Hashes) -> None:
    """Copy each set, in order, to its place in `found`; int64 `places` of shape (sets,), other shapes as above."""
    _place(values, starts, places, found)


@compiled
def _place(values: Hashes, starts: Ints, places: Ints, found: Hashes) -> None:
    for number in range(len(places)):
        size = starts[number + 1] - starts[number]
        found[places[number] : places[number] + size] = values[starts[number] : starts[number + 1]]


@compiled
def _sort(hashes: Hashes, starts: Ints, found: Hashes, begins: Ints) -> None:
    """Hashes are uniform, so one pass by their highest bits leaves next to nothing to sort."""
    longest = 0
    for index in range(len(starts) - 1):
        longest = max(longest, starts[index + 1] - starts[index])
    bits = 1
    while (1 << bits) < longest and bits < 20:
        bits += 1
    following = np.zeros((1 << bits) + 1, np.int32)
    ordered = np.empty(longest, np.uint64)
    end = 0
    for index in range(len(starts) - 1):
        size = starts[index + 1] - starts[index]
        bits = 1
        while (1 << bits) < size and bits < 20:
            bits += 1
        shift = _64 - np.uint64(bits)
        following[: (1 << bits) + 1] = 0
        for place in range(starts[index], starts[index + 1]):
            following[np.int64(hashes[place] >> shift) + 1] += 1
        for bucket in range(1 << bits):
            following[bucket + 1] += following[bucket]
        for place in range(starts[index], starts[index + 1]):
            slot = np.int64(hashes[place] >> shift)
            ordered[following[slot]] = hashes[place]
            following[slot] += 1
        end = _finish(ordered, size, found, end)
        begins[index + 1] = end


@compiled
def _finish(ordered: Hashes, size: int, found: Hashes, end: int) -> int:
    """Insert `size` nearly ordered hashes in order from `end` on, leaving out repeats; returns the new end."""
    first = end
    for place in range(size):
        value = ordered[place]
        slot = end
        while slot > first and found[slot - 1] > value:
            slot -= 1
        if slot > first and found[slot - 1] == value:
            continue
        for moved in range(end, slot, -1):
            found[moved] = found[moved - 1]
        found[slot] = value
        end += 1
    return end


@compiled
def least_shared(threshold: float, size: int, other: int) -> int:
    """Return a number that the hashes shared by sets of these sizes reach where their similarity does."""
    # Rounded down, so that an error in the last bit cannot exclude a pair: the similarity itself decides.
    return int(threshold / (1.0 + threshold) * (size + other) * (1.0 - 1e-12))


@compiled
def similarity(values: Hashes, one: int, one_end: int, other: int, other_end: int, threshold: float) -> float:
    """Return |A and B| / |A or B| of two ranges of `values`; 0 as soon as the threshold is out of reach."""
    size, other_size = one_end - one, other_end - other
    least = least_shared(threshold, size, other_size)
    shared = 0
    while one < one_end and other < other_end:
        # Asked every 16 steps only, so that the steps themselves are free of branches that cannot be foretold.
        if shared + min(one_end - one, other_end - other) < least:
            return 0.0
        for _ in range(16):
            if one == one_end or other == other_end:
                break
            left, right = values[one], values[other]
            shared += left == right
            one += left <= right
            other += right <= left
    union = size + other_size - shared
    return shared / union if union else 0.0


@compiled
def compare(rows: Rows, one: int, other: int, rule: Rule) -> float:
    """Return the similarity of two rows (1 for equal texts), or -1 where it is below the threshold."""
    if rows.digests[one, 0] == rows.digests[other, 0] and rows.digests[one, 1] == rows.digests[other, 1]:
        return 1.0
    begin, end = rows.starts[one], rows.starts[one + 1]
    other_begin, other_end = rows.starts[other], rows.starts[other + 1]
    smaller = min(end - begin, other_end - other_begin)
    if smaller == 0 or smaller < least_shared(rule.threshold, end - begin, other_end - other_begin):
        return -1.0
    if agreeing(rows.sketches, one, other) < rule.agreeing:
        return -1.0
    found = similarity(rows.shingles, begin, end, other_begin, other_end, rule.threshold)
    return found if found >= rule.threshold else -1.0
