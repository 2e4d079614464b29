"""All pairs of 64-bit hashes within a Hamming radius: exact, without a cross join.

The hashes are cut into bands. If two of them differ in at most `radius` bits then, by the pigeonhole principle, they
differ in at most ``radius // bands`` bits in one of the bands, so each hash is looked up in each band under all
keys that close; what is met is checked by popcount.
M. Norouzi, A. Punjani, D. Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.ragged import Ints, blocks, expand

#: Below this many hashes comparing all of them is cheapest whatever the radius.
SMALL = 2_048
#: Pairs compared at a time: some tens of MB.
BUDGET = 1 << 20
_BITS = 64
#: Widest band in bits: the table of a band has 2^width int64 entries.
_MAX_WIDTH = 22
#: Nanoseconds as measured on one core: comparing a pair in a block, making one entry of a band's table, looking up one
#: key in it, checking a pair that was met. They choose between plans that find the same.
_COMPARE_NS, _ENTRY_NS, _LOOKUP_NS, _CHECK_NS = 3.0, 20.0, 12.0, 12.0


@dataclass(frozen=True)
class Band:
    """`width` bits from bit `low`; of a pair that it must find, they differ in at most `reach`."""

    low: int
    width: int
    reach: int

    def keys(self, hashes: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the bits of the band, int32 of shape (n,)."""
        return ((hashes >> np.uint64(self.low)) & np.uint64((1 << self.width) - 1)).astype(np.int32)

    def probes(self) -> int:
        """Return how many keys lie within the reach of one."""
        return sum(comb(self.width, bits) for bits in range(self.reach + 1))


@dataclass(frozen=True)
class NearHashes:
    """Equal hashes as groups, and which groups are near: ten thousand copies of a picture are one group."""

    #: Distinct hashes, ascending: uint64, shape (groups,).
    values: NDArray[np.uint64]
    #: The group of each given hash: int64, shape (n,).
    group: Ints
    #: Groups (i < j) within the radius: int64, shape (pairs, 2), sorted.
    pairs: NDArray[np.int64]


def near_hashes(hashes: NDArray[np.uint64], radius: int) -> NearHashes:
    """Group equal hashes and find all pairs of groups within `radius` bits."""
    values, group = np.unique(hashes, return_inverse=True)
    return NearHashes(values, group.astype(np.int64), near_pairs(values, radius))


def near_pairs(hashes: NDArray[np.uint64], radius: int) -> NDArray[np.int64]:
    """Return all pairs (i < j), int64 of shape (pairs, 2), sorted, of distinct hashes within `radius` bits.

    `hashes` must be distinct (see `near_hashes`). Memory is that of the result and some tens of MB.
    """
    bands = plan(len(hashes), radius) if radius else ()
    parts = _compare_all(hashes, radius) if bands is None else _compare_banded(hashes, radius, bands)
    pairs = np.concatenate([np.empty((0, 2), np.int64), *parts])
    size = max(len(hashes), 1)
    keys = np.unique(pairs[:, 0] * size + pairs[:, 1])
    return np.stack([keys // size, keys % size], axis=1)


def plan(count: int, radius: int) -> tuple[Band, ...] | None:
    """Return the cheapest bands for so many uniform hashes, or None where comparing all of them costs less."""
    if count <= SMALL:
        return None
    best: tuple[Band, ...] | None = None
    best_ns = count * count / 2 * _COMPARE_NS
    for number in range(-(-_BITS // _MAX_WIDTH), radius + 5):
        bands = _bands(number, radius)
        cost = sum(
            (1 << band.width) * _ENTRY_NS
            + band.probes() * count / 2 * (_LOOKUP_NS + _CHECK_NS * count / (1 << band.width))
            for band in bands
        )
        if cost < best_ns:
            best, best_ns = bands, cost
    return best


def _bands(number: int, radius: int) -> tuple[Band, ...]:
    """Cut 64 bits into bands.

    With radius = number * reach + rest, ``rest + 1`` bands need `reach` and the others one bit less: were all
    of them exceeded, the bits would sum to more than the radius. A band that need find nothing is left out.
    """
    reach, rest = divmod(radius, number)
    edges = [_BITS * band // number for band in range(number + 1)]
    reaches = [reach if band <= rest else reach - 1 for band in range(number)]
    return tuple(Band(edges[n], edges[n + 1] - edges[n], r) for n, r in enumerate(reaches) if r >= 0)


def _compare_all(hashes: NDArray[np.uint64], radius: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(hashes), 128):
        block = hashes[start : start + 128]
        near = np.bitwise_count(block[:, None] ^ hashes[None, start:]) <= radius
        rows, columns = np.nonzero(near)
        ahead = columns > rows
        yield np.stack([rows[ahead], columns[ahead]], axis=1).astype(np.int64) + start


def _compare_banded(hashes: NDArray[np.uint64], radius: int, bands: tuple[Band, ...]) -> Iterator[NDArray[np.int64]]:
    for band in bands:
        keys = band.keys(hashes)
        order = np.argsort(keys, kind="stable")
        ordered = hashes[order]
        for left, right in _meet(keys[order], band):
            near = np.bitwise_count(ordered[left] ^ ordered[right]) <= radius
            a, b = order[left[near]], order[right[near]]
            yield np.stack([np.minimum(a, b), np.maximum(a, b)], axis=1)


def _meet(keys: NDArray[np.int32], band: Band) -> Iterator[tuple[Ints, Ints]]:
    """Yield all pairs of places in the sorted `keys` that differ within the band's reach, each once, in blocks."""
    begins = np.searchsorted(keys, np.arange((1 << band.width) + 1)).astype(np.int32)
    places = np.arange(len(keys), dtype=np.int64)
    yield from _ranges(places, places + 1, begins[keys + 1] - places - 1)
    for lowest in range(band.width if band.reach else 0):
        left = np.flatnonzero((keys >> lowest & 1) == 0)  # of a pair, one key has its lowest differing bit clear
        ours = keys[left]
        for more in range(band.reach):
            for flips in combinations(range(lowest + 1, band.width), more):
                theirs = ours ^ np.int32(1 << lowest | sum(1 << bit for bit in flips))
                first = begins[theirs]
                yield from _ranges(left, first, begins[theirs + 1] - first)


def _ranges(left: Ints, first: NDArray[Any], size: NDArray[Any]) -> Iterator[tuple[Ints, Ints]]:
    """Yield (left[k], place) for all places in ``first[k] .. first[k] + size[k]``, in blocks."""
    met = np.flatnonzero(size)
    left, begins, lengths = left[met], first[met].astype(np.int64), size[met].astype(np.int64)
    for part in blocks(lengths, BUDGET):
        owner, right = expand(begins[part], lengths[part])
        yield left[part][owner], right
