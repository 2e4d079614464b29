"""Rows that may be compared, as buckets, and their pairs in bounded memory.

A method that proposes pairs (equal bands, equal pixels, near hashes) does it by putting rows into buckets. One
bucket of a hundred thousand rows means five thousand million pairs, so pairs are never listed all together, and rows
that have lost are not paired again: a bucket of duplicates costs as many pairs as it has rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.ragged import Ints, blocks, expand


@dataclass(frozen=True)
class Entries:
    """Rows in buckets: row `row[k]` in bucket `bucket[k]`, int64, sorted by row."""

    row: Ints
    bucket: Ints

    def __len__(self) -> int:
        return len(self.row)

    def within(self, low: int, high: int, lost: NDArray[np.bool_]) -> Entries:
        """Return the entries of the rows `low` to `high` - 1 that are not lost."""
        begin, end = np.searchsorted(self.row, [low, high])
        stands = ~lost[self.row[begin:end]]
        return Entries(self.row[begin:end][stands], self.bucket[begin:end][stands])


@dataclass(frozen=True)
class Buckets:
    """A row is to be compared with the earlier members of the buckets that it asks.

    Rows are numbers in the order in which they are decided on.
    """

    members: Entries
    asks: Entries


def entries(row: Ints, bucket: Ints) -> Entries:
    """Return entries given in any order."""
    order = np.argsort(row, kind="stable")
    return Entries(row[order], bucket[order])


def bucket_by(columns: Sequence[NDArray[Any]], rows: Ints | None = None) -> Buckets:
    """Return the buckets of rows with equal keys, one set of buckets per column; buckets of one row are left out.

    Each column holds one key per row; `rows` numbers the rows, ascending, 0, 1, 2 ... by default.
    """
    owners, buckets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    seen = 0
    for keys in columns:
        _, label, size = np.unique(keys, return_inverse=True, return_counts=True)
        shared = np.flatnonzero(size[label] > 1)
        owners.append(shared if rows is None else rows[shared])
        buckets.append(label[shared] + seen)
        seen += len(size)
    both = entries(np.concatenate(owners), np.concatenate(buckets))
    return Buckets(both, both)


def merge(one: Buckets, other: Buckets) -> Buckets:
    """Return the buckets of both; what both propose is proposed once."""
    shift = int(max(one.members.bucket.max(initial=-1), one.asks.bucket.max(initial=-1))) + 1

    def joined(mine: Entries, theirs: Entries) -> Entries:
        row = np.concatenate([mine.row, theirs.row])
        return entries(row, np.concatenate([mine.bucket, theirs.bucket + shift]))

    return Buckets(joined(one.members, other.members), joined(one.asks, other.asks))


def walk(buckets: Buckets, lost: NDArray[np.bool_], budget: int = 1 << 17) -> Iterator[tuple[Ints, Ints]]:
    """Yield (earlier, later): distinct pairs, sorted by (later, earlier), at most `budget` or those of one row.

    `lost` is bool, one per row; the consumer marks in it the rows that lose by the pairs just taken, before it takes
    more.
    A row meets earlier rows in ascending blocks, and only after all of those have met theirs. So at every step,
    the earlier rows that are not lost and do not occur as later ones are decided: they stay. Lost rows are left out.
    """
    if len(buckets.asks):
        yield from _walk(buckets, lost, 0, len(lost), budget)


def _walk(buckets: Buckets, lost: NDArray[np.bool_], low: int, high: int, budget: int) -> Iterator[tuple[Ints, Ints]]:
    """Walk the rows `low` to `high` - 1 among themselves: directly, or first half, second with first, second half."""
    asks, members = buckets.asks.within(low, high, lost), buckets.members.within(low, high, lost)
    if not len(asks) or not len(members):
        return
    met = _Meeting(asks, members, len(lost))
    if high - low == 1 or int(met.size.sum()) <= budget:
        yield from met.pairs(budget)
        return
    middle = int(np.clip(asks.row[len(asks) // 2], low + 1, high - 1))
    yield from _walk(buckets, lost, low, middle, budget)
    first, second = buckets.members.within(low, middle, lost), buckets.asks.within(middle, high, lost)
    yield from _Meeting(second, first, len(lost)).pairs(budget)
    yield from _walk(buckets, lost, middle, high, budget)


class _Meeting:
    """The members that come before each asking row, as ranges of one sorted array."""

    def __init__(self, asks: Entries, members: Entries, count: int) -> None:
        self._count = count
        self._asks = asks
        self._keys = np.sort(members.bucket * count + members.row)
        self._first = np.searchsorted(self._keys, asks.bucket * count)
        #: Members per ask: int64, shape (asks,).
        self.size: Ints = np.searchsorted(self._keys, asks.bucket * count + asks.row) - self._first

    def pairs(self, budget: int) -> Iterator[tuple[Ints, Ints]]:
        """Yield (earlier, later) in blocks of whole rows."""
        edges = np.flatnonzero(np.append(True, self._asks.row[1:] != self._asks.row[:-1])[: len(self._asks)])
        per_row = np.add.reduceat(self.size, edges) if len(edges) else edges
        stops = np.append(edges, len(self._asks))
        for part in blocks(per_row, budget):
            some = slice(int(stops[part.start]), int(stops[part.stop]))
            owner, places = expand(self._first[some], self.size[some])
            later = self._asks.row[some][owner]
            pairs = np.unique(later * self._count + self._keys[places] % self._count)
            if len(pairs):
                yield pairs % self._count, pairs // self._count
