"""All pairs of 64-bit hashes within a Hamming radius, in one set or between two: exact, without a cross join.

The hashes are cut into bands. If two of them differ in at most `radius` bits then, by the pigeonhole principle, they
differ in at most ``radius // bands`` bits in one of the bands, so each hash is looked up in each band under all
keys that close; what is met is checked by popcount.
M. Norouzi, A. Punjani, D. Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.near import all_matches, all_pairs, matches_in_band, pairs_in_band
from infinity_mm.dedup.ragged import Ints

#: Below this many hashes comparing all of them is cheapest whatever the radius.
SMALL = 2_048
_BITS = 64
#: Widest band in bits: the table of a band has 2^width int32 entries.
_MAX_WIDTH = 24
#: Nanoseconds as measured on one core: comparing a pair, making one entry of a band's table, looking up one key in it,
#: placing a hash in it. They choose between plans that find the same.
_COMPARE_NS, _ENTRY_NS, _LOOKUP_NS, _PLACE_NS = 0.55, 1.0, 7.0, 10.0


@dataclass(frozen=True)
class Band:
    """`width` bits from bit `low`; of a pair that it must find, they differ in at most `reach`."""

    low: int
    width: int
    reach: int

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
    #: Groups (i < j) within the radius: int32, shape (pairs, 2), sorted.
    pairs: NDArray[np.int32]


def near_hashes(hashes: NDArray[np.uint64], radius: int) -> NearHashes:
    """Group equal hashes and find all pairs of groups within `radius` bits."""
    values, group = groups_of(hashes)
    return NearHashes(values, group, near_pairs(values, radius))


def groups_of(hashes: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], Ints]:
    """Return the distinct hashes, ascending, and for each given one its place among them, int64."""
    order = np.argsort(hashes)
    ordered = hashes[order]
    new = np.concatenate([np.ones(min(1, len(ordered)), bool), ordered[1:] != ordered[:-1]])
    group = np.empty(len(hashes), np.int64)
    group[order] = np.cumsum(new) - 1
    return ordered[new], group


def near_blocks(hashes: NDArray[np.uint64], radius: int) -> Iterator[NDArray[np.int32]]:
    """Yield all pairs (i < j) of distinct hashes within `radius` bits, each once: int32 of shape (pairs, 2).

    A block has a million pairs at most, and comes in no particular order: hashes as pictures have them, ten million in
    families of near copies, have pairs by the hundred million, which nobody should hold. Memory is a block, a copy of
    `hashes`, which are fewer than 2^31, and some tens of MB.
    """
    if not radius:
        return
    bands = plan(len(hashes), radius)
    yield from all_pairs(hashes, radius) if bands is None else _banded(hashes, radius, bands)


def near_pairs(hashes: NDArray[np.uint64], radius: int) -> NDArray[np.int32]:
    """Return what `near_blocks` yields, sorted and at once. Memory is 16 bytes a pair beside that of a block."""
    # One word per pair, for at tens of millions of pairs their copies would be what memory holds most of.
    parts = (part[:, 0].astype("<i8") << 32 | part[:, 1] for part in near_blocks(hashes, radius))
    keys = np.concatenate([np.empty(0, "<i8"), *parts])
    keys.sort()
    pairs: NDArray[np.int32] = keys.view("<i4").reshape(-1, 2)[:, ::-1]
    return pairs


def between_blocks(queries: NDArray[np.uint64], hashes: NDArray[np.uint64], radius: int) -> Iterator[NDArray[np.int32]]:
    """Yield all (place in `queries`, place in `hashes`) within `radius` bits, each once: int32 of shape (pairs, 2).

    Exact, for sets of any two sizes, which may hold a hash several times. Blocks and memory are as of `near_blocks`.
    """
    bands = plan_between(len(queries), len(hashes), radius)
    if bands is None:
        yield from all_matches(queries, hashes, radius)
        return
    for number, band in enumerate(bands):
        earlier = _edges(bands[:number])
        yield from matches_in_band(queries, hashes, radius, band.low, band.width, band.reach, earlier)


def near_between(queries: NDArray[np.uint64], hashes: NDArray[np.uint64], radius: int) -> NDArray[np.int64]:
    """Return what `between_blocks` yields, sorted and at once: int64 of shape (pairs, 2)."""
    parts = [np.empty((0, 2), np.int32), *between_blocks(queries, hashes, radius)]
    pairs: NDArray[np.int64] = np.concatenate(parts).astype(np.int64)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    found: NDArray[np.int64] = pairs[order]
    return found


def _banded(hashes: NDArray[np.uint64], radius: int, bands: tuple[Band, ...]) -> Iterator[NDArray[np.int32]]:
    for number, band in enumerate(bands):
        yield from pairs_in_band(hashes, radius, band.low, band.width, band.reach, _edges(bands[:number]))


def _edges(bands: Sequence[Band]) -> NDArray[np.int64]:
    return np.array([[band.low, band.width, band.reach] for band in bands], np.int64).reshape(-1, 3)


def plan(count: int, radius: int) -> tuple[Band, ...] | None:
    """Return the cheapest bands for so many uniform hashes, or None where comparing all of them costs less."""
    if count <= SMALL:
        return None

    def cost(band: Band) -> float:
        compared = _LOOKUP_NS + _COMPARE_NS * count / (1 << band.width)
        return (1 << band.width) * _ENTRY_NS + count * _PLACE_NS + band.probes() * count / 2 * compared

    return _cheapest(radius, count * count / 2 * _COMPARE_NS, cost)


def plan_between(queries: int, count: int, radius: int) -> tuple[Band, ...] | None:
    """Return the cheapest bands to look so many hashes up among `count`, or None where comparing all costs less."""

    def cost(band: Band) -> float:
        compared = _LOOKUP_NS + _COMPARE_NS * count / (1 << band.width)
        return (1 << band.width) * _ENTRY_NS + count * _PLACE_NS + band.probes() * queries * compared

    return _cheapest(radius, queries * count * _COMPARE_NS, cost)


def _cheapest(radius: int, all_ns: float, cost: Callable[[Band], float]) -> tuple[Band, ...] | None:
    best: tuple[Band, ...] | None = None
    best_ns = all_ns
    for number in range(-(-_BITS // _MAX_WIDTH), radius + 5):
        bands = _bands(number, radius)
        total = sum(cost(band) for band in bands)
        if total < best_ns:
            best, best_ns = bands, total
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
