"""Meeting of 64-bit hashes in the bands of `infinity_mm.dedup.hamming`, compiled.

The hashes lie sorted by the band's bits. For one set of flipped bits after another, all hashes are taken in that order
and compared with those under the flipped key: both sides advance through memory together, so that a lookup costs about
a nanosecond although the table of a band is larger than a cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.jit import compiled, inlined, ones

Hashes = NDArray[np.uint64]
Pairs = NDArray[np.int32]
Places = NDArray[np.int32]
Words = NDArray[np.int64]

#: Pairs handed over at a time: 8 MB.
_BLOCK = 1 << 20


def pairs_in_band(hashes: Hashes, radius: int, low: int, width: int, reach: int, earlier: Words) -> Iterator[Pairs]:
    """Yield pairs of places, int32 of shape (pairs, 2), of `hashes` that are near and differ little in one band.

    Those within `radius` bits that differ in at most `reach` of the `width` bits from bit `low`, each pair once,
    unless one of the `earlier` bands (rows of low, width, reach) finds it too. Fewer than 2^31 hashes.
    """
    begins = np.empty((1 << width) + 1, np.int32)
    order = np.empty(len(hashes), np.int32)
    _sort(hashes, low, width, begins, order)
    ordered = hashes[order]
    flips = _flips(width, reach)
    state = np.zeros(3, np.int64)
    while state[0] < len(flips):
        out = np.empty((_BLOCK, 2), np.int32)
        found = _meet(ordered, order, begins, flips, np.array([radius, low, width], np.int64), earlier, state, out)
        yield out[:found]


def all_pairs(hashes: Hashes, radius: int) -> Iterator[Pairs]:
    """Yield all pairs of places within `radius` bits, by comparing each hash with each."""
    state = np.zeros(2, np.int64)
    while state[0] < len(hashes):
        out = np.empty((_BLOCK, 2), np.int32)
        found = _compare(hashes, radius, state, out)
        yield out[:found]


def matches_in_band(
    queries: Hashes, hashes: Hashes, radius: int, low: int, width: int, reach: int, earlier: Words
) -> Iterator[Pairs]:
    """Yield (place in `queries`, place in `hashes`), int32 of shape (pairs, 2), of what is near and close in one band.

    As `pairs_in_band`, between two sets. Both may hold a hash several times.
    """
    begins = np.empty((1 << width) + 1, np.int32)
    order = np.empty(len(hashes), np.int32)
    _sort(hashes, low, width, begins, order)
    ordered = hashes[order]
    flips = _flips(width, reach)
    state = np.zeros(3, np.int64)
    while state[0] < len(queries):
        out = np.empty((_BLOCK, 2), np.int32)
        band = np.array([radius, low, width], np.int64)
        found = _look_up(queries, ordered, order, begins, flips, band, earlier, state, out)
        yield out[:found]


def all_matches(queries: Hashes, hashes: Hashes, radius: int) -> Iterator[Pairs]:
    """Yield all (place in `queries`, place in `hashes`) within `radius` bits, by comparing each with each."""
    # No bits of a band: all hashes lie under the one key 0.
    return matches_in_band(queries, hashes, radius, 0, 0, 0, np.empty((0, 3), np.int64))


def _flips(width: int, reach: int) -> Words:
    """Return all words of `width` bits of which at most `reach` are set, ascending by that number."""
    level = [0]
    words = [0]
    for _ in range(reach):
        level = [word | 1 << bit for word in level for bit in range(word.bit_length(), width)]
        words += level
    return np.array(words, np.int64)


@compiled
def _sort(hashes: Hashes, low: int, width: int, begins: Places, order: Places) -> None:
    mask = np.uint64((1 << width) - 1)
    shift = np.uint64(low)
    begins[:] = 0
    for place in range(len(hashes)):
        begins[np.int64(hashes[place] >> shift & mask) + 1] += 1
    for key in range(len(begins) - 1):
        begins[key + 1] += begins[key]
    following = begins[:-1].copy()
    for place in range(len(hashes)):
        at = np.int64(hashes[place] >> shift & mask)
        order[following[at]] = place
        following[at] += np.int32(1)


@inlined
def _any_near(ours: np.uint64, hashes: Hashes, first: int, stop: int, radius: int) -> bool:
    """Whether any of a range is near: a loop without branches, which the compiler turns into vector instructions."""
    near = np.int64(0)
    for place in range(first, stop):
        near += ones(ours ^ hashes[place]) <= radius
    return bool(near > 0)


@inlined
def _found_by(earlier: Words, apart: np.uint64) -> bool:
    """Whether one of the `earlier` bands finds two hashes that differ in the bits `apart`."""
    known = False
    for row in range(len(earlier)):
        inside = apart >> np.uint64(earlier[row, 0]) & np.uint64((1 << earlier[row, 1]) - 1)
        known = known or ones(inside) <= earlier[row, 2]
    return known


@compiled
def _meet(
    ordered: Hashes,
    order: Places,
    begins: Places,
    flips: Words,
    band: Words,
    earlier: Words,
    state: Words,
    out: Pairs,
) -> int:
    """Go on from `state` (flip, place, partner) until all is compared or `out` is full; return the pairs written."""
    radius, low, width = band[0], np.uint64(band[1]), band[2]
    mask = np.uint64((1 << width) - 1)
    size, room, found = len(ordered), len(out), 0
    for number in range(state[0], len(flips)):
        flip = flips[number]
        for left in range(state[1], size):
            ours = ordered[left]
            key = np.int64(ours >> low & mask)
            theirs = key ^ flip
            if theirs < key:  # met from the other side
                continue
            first = int(begins[theirs]) if flip else left + 1
            stop = int(begins[theirs + 1])
            if not _any_near(ours, ordered, first, stop, radius):
                continue
            for right in range(max(first, state[2]), stop):
                apart = ours ^ ordered[right]
                if ones(apart) > radius or _found_by(earlier, apart):
                    continue
                if found == room:
                    state[0], state[1], state[2] = number, left, right
                    return found
                a, b = order[left], order[right]
                out[found, 0], out[found, 1] = min(a, b), max(a, b)
                found += 1
            state[2] = 0
        state[1] = 0
    state[0] = len(flips)
    return found


@compiled
def _compare(hashes: Hashes, radius: int, state: Words, out: Pairs) -> int:
    size, room, found = len(hashes), len(out), 0
    for left in range(state[0], size):
        ours = hashes[left]
        if not _any_near(ours, hashes, left + 1, size, radius):
            continue
        for right in range(max(left + 1, state[1]), size):
            if ones(ours ^ hashes[right]) <= radius:
                if found == room:
                    state[0], state[1] = left, right
                    return found
                out[found, 0], out[found, 1] = left, right
                found += 1
        state[1] = 0
    state[0] = size
    return found


@compiled
def _look_up(
    queries: Hashes,
    ordered: Hashes,
    order: Places,
    begins: Places,
    flips: Words,
    band: Words,
    earlier: Words,
    state: Words,
    out: Pairs,
) -> int:
    """Go on from `state` (query, flip, partner) until all is compared or `out` is full; return the pairs written."""
    radius, low, width = band[0], np.uint64(band[1]), band[2]
    mask = np.uint64((1 << width) - 1)
    room, found = len(out), 0
    for query in range(state[0], len(queries)):
        ours = queries[query]
        key = np.int64(ours >> low & mask)
        for number in range(state[1], len(flips)):
            theirs = key ^ flips[number]
            first, stop = max(int(begins[theirs]), state[2]), int(begins[theirs + 1])
            if not _any_near(ours, ordered, first, stop, radius):
                state[2] = 0
                continue
            for right in range(first, stop):
                apart = ours ^ ordered[right]
                if ones(apart) > radius or _found_by(earlier, apart):
                    continue
                if found == room:
                    state[0], state[1], state[2] = query, number, right
                    return found
                out[found, 0], out[found, 1] = query, order[right]
                found += 1
            state[2] = 0
        state[1] = 0
    state[0] = len(queries)
    return found
