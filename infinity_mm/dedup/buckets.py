"""Rows that may be compared, as buckets, and their pairs in bounded memory.

A method that proposes pairs (equal bands, equal pixels, near hashes) does it by putting rows into buckets. One
bucket of a hundred thousand rows means five thousand million pairs, so pairs are never listed all together: they are taken
block by block in the order of the later row, and only against earlier rows that still stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.ragged import Ints, Ragged, expand, starts

#: Asks examined to find where a block ends.
_WINDOW = 1 << 18


@dataclass(frozen=True)
class Buckets:
    """Row `row[k]` is to be compared with the members of bucket `bucket[k]` that come before it.

    Rows are numbers in the order in which they are decided on.
    """

    #: Bucket -> rows, ascending; laid out bucket by bucket.
    members: Ragged
    #: int64, ascending.
    row: Ints
    #: int64, same shape as `row`.
    bucket: Ints

    def all_pairs(self) -> NDArray[np.int64]:
        """Return all distinct pairs (earlier, later), int64 of shape (pairs, 2), sorted."""
        nothing = np.zeros(int(self.members.values.max(initial=-1)) + 1, bool)
        found = [np.stack([a, b], axis=1) for _, a, b in Walk(self, nothing)]
        pairs = np.concatenate([np.empty((0, 2), np.int64), *found])
        return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def bucket_by(columns: Sequence[NDArray[Any]], rows: Ints | None = None) -> Buckets:
    """Return the buckets of rows with equal keys, one set of buckets per column; buckets of one row are left out.

    Each column holds one key per row; `rows` numbers the rows, ascending, 0, 1, 2 ... by default.
    """
    owners, sizes, count = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for keys in columns:
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        edges = np.append(np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(keys)]), len(keys))
        size = np.diff(edges)
        shared = size > 1
        owners.append(order[np.repeat(shared, size)])
        sizes.append(size[shared])
        count = len(keys)
    owner, size = np.concatenate(owners), np.concatenate(sizes).astype(np.int64)
    numbers = np.arange(count, dtype=np.int64) if rows is None else rows
    row = numbers[owner]
    bucket = np.repeat(np.arange(len(size), dtype=np.int64), size)
    by_row = np.argsort(row, kind="stable")
    return Buckets(Ragged(starts(size)[:-1], size, row), row[by_row], bucket[by_row])


def merge(parts: Sequence[Buckets]) -> Buckets:
    """Return all buckets of all parts; what several of them propose is proposed once."""
    base = np.cumsum([0] + [len(part.members) for part in parts])
    size = np.concatenate([np.empty(0, np.int64), *(part.members.size for part in parts)])
    values = np.concatenate([np.empty(0, np.int64), *(part.members.values for part in parts)])
    row = np.concatenate([np.empty(0, np.int64), *(part.row for part in parts)])
    bucket = np.concatenate(
        [np.empty(0, np.int64), *(part.bucket + shift for part, shift in zip(parts, base, strict=False))]
    )
    order = np.argsort(row, kind="stable")
    return Buckets(Ragged(starts(size)[:-1], size, values), row[order], bucket[order])


@dataclass
class Walk:
    """Iterates over (rows, earlier, later): blocks of rows in order with the pairs that end in them.

    `lost` is bool, one per row; the consumer marks in it what is decided before it takes the next
    block, and lost rows are not proposed any more. A block holds at most `budget` pairs, or one row.
    Pairs of a block are distinct and sorted by (later, earlier).
    """

    buckets: Buckets
    lost: NDArray[np.bool_]
    budget: int = 1 << 20
    _members: Ragged = field(init=False)

    def __iter__(self) -> Iterator[tuple[range, Ints, Ints]]:
        self._members = self.buckets.members
        count, begin = len(self.lost), 0
        while begin < len(self.buckets.row):
            self._drop_lost()
            stop = min(len(self.buckets.row), begin + _WINDOW)
            row, bucket = self.buckets.row[begin:stop], self.buckets.bucket[begin:stop]
            size = self._members_before(row, bucket)
            taken = self._cut(row, size, last=stop == len(self.buckets.row))
            owner, places = expand(self._members.first[bucket[:taken]], size[:taken])
            pairs = np.unique(row[owner] * count + self._members.values[places])
            yield range(int(row[0]), int(row[taken - 1]) + 1), pairs % count, pairs // count
            begin += taken

    def _drop_lost(self) -> None:
        stands = ~self.lost[self._members.values]
        if stands.all():
            return
        kept = starts(stands.astype(np.int64))
        edges = kept[starts(self._members.size)]
        self._members = Ragged(edges[:-1], np.diff(edges), self._members.values[stands])

    def _members_before(self, row: Ints, bucket: Ints) -> Ints:
        """Return how many standing members of each bucket come before the row that asks."""
        count = len(self.lost)
        owner = np.repeat(np.arange(len(self._members), dtype=np.int64), self._members.size)
        places = np.searchsorted(owner * count + self._members.values, bucket * count + row)
        before: Ints = places - self._members.first[bucket]
        return before

    def _cut(self, row: Ints, size: Ints, last: bool) -> int:
        """Return how many asks the block takes: whole rows within the budget, at least one row."""
        # A row whose asks go on beyond the window belongs to the next block, unless it fills this one.
        whole = np.append(np.flatnonzero(row[1:] != row[:-1]) + 1, [len(row)] if last or row[0] == row[-1] else [])
        spent = np.cumsum(size)[whole.astype(np.int64) - 1]
        fits = int(np.searchsorted(spent, self.budget, side="right"))
        return int(whole[max(fits, 1) - 1])
