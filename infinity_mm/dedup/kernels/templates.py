"""Large components: a template filled in a hundred thousand times costs nearly as little a row as any other text.

A row meets only those kept rows with which it shares a shingle that is rare within the component: two sets as similar
as the threshold asks must share one of their first few, in any order of all shingles, and the order taken is from rare
to frequent. So what the whole template shares is never looked up, and the values that filled it in are.
Prefix and positional filter: C. Xiao, W. Wang, X. Lin, J. X. Yu, "Efficient Similarity Joins for Near Duplicate
Detection", WWW 2008. Longer prefixes of which more must be shared: J. Wang, G. Li, J. Feng, "Can We Beat the Prefix
Filtering?", SIGMOD 2012. All are exact: they pass over no pair at or above the threshold.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.hashing import Hashes, Ints
from infinity_mm.dedup.kernels.jit import compiled
from infinity_mm.dedup.kernels.sets import Rows, Rule, compare, least_shared

Places = NDArray[np.int32]

#: Sizes of one class differ by at most this factor; a prefix is as long as the smallest size of a class demands.
CLASS_WIDTH = 1.01
#: Shingles by which a prefix is longer at most, each demanding one more that is shared.
EXTENSION = 16
_COUNTERS = 1 << 24
_SLOTS = 1 << 22
_MIX = np.uint64(0x9E3779B97F4A7C15)
_CLASS = np.uint64(0xD6E8FEB86659FD93)
_16 = np.uint64(16)
_32 = np.uint64(32)
_48 = np.uint64(48)


class Index(NamedTuple):
    """What is known of a component before it is settled."""

    #: Sets that hold a shingle, by its lowest bits: uint32, shape (a power of two,).
    counts: NDArray[np.uint32]
    #: Class of each set size, int64, and the smallest size of each class.
    classes: Ints
    lowest: Ints
    #: First and last posting of each chain, -1 for none: int32, shape (2, a power of two).
    chains: Places
    #: Sets that may hold a shingle by which a prefix is made longer; chains of more frequent ones are too long.
    frequent: int


def settle_large(
    rows: Rows, begin: int, end: int, rule: Rule, winners: Ints, similarities: NDArray[np.float64]
) -> None:
    """Settle the rows `begin` to `end` - 1, one component in keep order, in place.

    Memory: 8 bytes for each shingle of the component, 64 MiB at most, and 16 for each rare one of a kept row.
    """
    first, last = int(rows.starts[begin]), int(rows.starts[end])
    counts = np.zeros(_power_of_two(2 * (last - first), _COUNTERS), np.uint32)
    _count(rows.shingles[first:last], counts)
    longest = int(np.diff(rows.starts[begin : end + 1]).max())
    classes = np.floor(np.log(np.maximum(np.arange(longest + 1), 1)) / math.log(CLASS_WIDTH)).astype(np.int64)
    lowest = np.full(int(classes[-1]) + 1, longest, np.int64)
    np.minimum.at(lowest, classes, np.arange(longest + 1))
    slots = _power_of_two(16 * (end - begin), _SLOTS)
    index = Index(counts, classes, lowest, np.full((2, slots), -1, np.int32), max(64, (end - begin) // 256))
    _settle(rows, begin, end, rule, index, winners, similarities)


def _power_of_two(wanted: int, most: int) -> int:
    return min(most, 1 << max(10, wanted.bit_length()))


@compiled
def _count(shingles: Hashes, counts: NDArray[np.uint32]) -> None:
    """Count how many sets hold a shingle; where two share a counter the order changes, never its being one order."""
    mask = np.uint64(len(counts) - 1)
    for shingle in shingles:
        counts[np.int64(shingle & mask)] += np.uint32(1)


@compiled
def _settle(
    rows: Rows, begin: int, end: int, rule: Rule, index: Index, winners: Ints, similarities: NDArray[np.float64]
) -> None:
    ranked = np.empty(len(index.classes), np.uint64)
    in_class = np.zeros(len(index.lowest), np.int64)
    # The last row that each was met by, and how often.
    seen = np.full((end - begin, 2), -1, np.int32)
    empties = 0
    kept_empty = np.empty(end - begin, np.int64)
    postings = np.empty((1024, 4), np.int32)
    used = 0
    for row in range(begin, end):
        size = rows.starts[row + 1] - rows.starts[row]
        if size == 0:
            empties = _settle_empty(rows, row, rule, kept_empty, empties, winners, similarities)
            continue
        alone = _rank(rows.shingles, rows.starts[row], rows.starts[row + 1], index.counts, ranked)
        fewest = int(rule.threshold * size * (1.0 - 1e-12))
        if size - alone < fewest:
            continue  # more of it occurs nowhere else than any partner allows
        winners[row] = _look_up(rows, begin, row, alone, rule, index, ranked, in_class, postings, seen, similarities)
        if winners[row] >= 0:
            continue
        in_class[index.classes[size]] += 1
        if used + size > len(postings):
            postings = _grown(postings, used + size)
        for place in range(alone, min(size - fewest + 1 + EXTENSION, size)):
            if place > size - fewest and _count_of(ranked, place - alone) > index.frequent:
                break
            slot, tag = _slot(ranked[place - alone], index.classes[size], index.chains)
            _append(index.chains, slot, postings, used, row - begin, place, tag)
            used += 1


@compiled
def _settle_empty(
    rows: Rows, row: int, rule: Rule, kept: Ints, count: int, winners: Ints, similarities: NDArray[np.float64]
) -> int:
    """Settle a row without shingles against the kept ones of its kind; returns how many there are then."""
    for place in range(count):
        found = compare(rows, kept[place], row, rule)
        if found >= 0.0:
            winners[row] = kept[place]
            similarities[row] = found
            return count
    kept[count] = row
    return count + 1


@compiled
def _look_up(
    rows: Rows,
    begin: int,
    row: int,
    alone: int,
    rule: Rule,
    index: Index,
    ranked: Hashes,
    in_class: Ints,
    postings: Places,
    seen: Places,
    similarities: NDArray[np.float64],
) -> int:
    """Return the first kept row that is similar to this one, -1 if none is."""
    size = rows.starts[row + 1] - rows.starts[row]
    fewest = int(rule.threshold * size * (1.0 - 1e-12))
    most = min(int(size / rule.threshold) + 1, len(index.classes) - 1)
    best = -1
    for kind in range(index.classes[fewest], index.classes[most] + 1):
        if in_class[kind] == 0:
            continue
        stop = min(size - least_shared(rule.threshold, size, max(fewest, index.lowest[kind])) + 1, size)
        wanted = 1
        while wanted <= EXTENSION and alone <= stop < size and _count_of(ranked, stop - alone) <= index.frequent:
            stop += 1
            wanted += 1
        for place in range(alone, stop):
            slot, tag = _slot(ranked[place - alone], kind, index.chains)
            posting = index.chains[0, slot]
            if posting >= 0:
                best = _walk(rows, begin, row, place, rule, postings, posting, tag, wanted, best, seen, similarities)
    return best


@compiled
def _rank(shingles: Hashes, first: int, last: int, counts: NDArray[np.uint32], ranked: Hashes) -> int:
    """Write the shingles that other sets hold as well, rare ones first; returns how many no other set holds.

    A shingle is written as its count and its upper 48 bits: what that confuses, the comparison tells apart.
    """
    mask = np.uint64(len(counts) - 1)
    end = 0
    for place in range(first, last):
        count = counts[np.int64(shingles[place] & mask)]
        if count > 1:
            ranked[end] = (np.uint64(min(count, 0xFFFF)) << _48) | (shingles[place] >> _16)
            end += 1
    ranked[:end].sort()
    return last - first - end


@compiled
def _count_of(ranked: Hashes, place: int) -> Any:
    return np.int64(ranked[place] >> _48)


@compiled
def _slot(ranked: np.uint64, kind: int, chains: Places) -> tuple[Any, Any]:
    mixed = (ranked ^ (np.uint64(kind + 1) * _CLASS)) * _MIX
    mixed ^= mixed >> _32
    mixed *= _CLASS
    return np.int64((mixed >> _32) & np.uint64(chains.shape[1] - 1)), np.int64(mixed & np.uint64(0x7FFFFFFF))


@compiled
def _walk(
    rows: Rows,
    begin: int,
    row: int,
    place: int,
    rule: Rule,
    postings: Places,
    posting: int,
    tag: int,
    wanted: int,
    best: int,
    seen: Places,
    similarities: NDArray[np.float64],
) -> int:
    """Meet the kept rows of a chain, earliest first, and compare a row with those met `wanted` times.

    Returns the winner found, or `best`.
    """
    size = rows.starts[row + 1] - rows.starts[row]
    while posting >= 0:
        other = begin + int(postings[posting, 0])
        if 0 <= best <= other:
            return best
        if postings[posting, 3] == tag:
            if seen[other - begin, 0] != row - begin:
                seen[other - begin, 0] = row - begin
                seen[other - begin, 1] = 0
            seen[other - begin, 1] += 1
            if seen[other - begin, 1] == wanted:
                other_size = rows.starts[other + 1] - rows.starts[other]
                # The first shingle that both hold leaves no more than these to be shared.
                rest = min(size - place, other_size - postings[posting, 1])
                if wanted > 1 or rest >= least_shared(rule.threshold, size, other_size):
                    found = compare(rows, other, row, rule)
                    if found >= 0.0:
                        similarities[row] = found
                        return other
        posting = postings[posting, 2]
    return best


@compiled
def _append(chains: Places, slot: int, postings: Places, used: int, row: int, place: int, tag: int) -> None:
    """Append a posting (row, place, next, tag) to the chain that begins at ``chains[0]`` and ends at ``chains[1]``."""
    postings[used, 0] = row
    postings[used, 1] = place
    postings[used, 2] = -1
    postings[used, 3] = tag
    if chains[0, slot] < 0:
        chains[0, slot] = used
    else:
        postings[chains[1, slot], 2] = used
    chains[1, slot] = used


@compiled
def _grown(postings: Places, wanted: int) -> Places:
    larger = np.empty((max(wanted, 2 * len(postings)), 4), np.int32)
    larger[: len(postings)] = postings
    return larger
