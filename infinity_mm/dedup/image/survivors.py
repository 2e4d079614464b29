"""Who stays among pictures with near hashes, in bounded memory: what `infinity_mm.dedup.settle` says of all pairs.

Hashes as pictures have them lie in families of near copies, ten million of them with pairs by the hundred million. So
pairs are looked for among all rows only while there are few. Where there are more, the earlier half, in keep order, is
decided first; those of the later half that lose to a row that stays are out, nearly all of a family, and the others are
then decided among themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.hamming import between_blocks, groups_of, near_blocks
from infinity_mm.dedup.ragged import Ints, blocks, expand, starts
from infinity_mm.dedup.settle import Compare, Losses

#: Pairs of rows that are held at a time.
BUDGET = 1 << 21


@dataclass(frozen=True)
class Field:
    """Rows of one picture each, in keep order: row 0 is the first to stay."""

    #: uint64, shape (rows,).
    hashes: NDArray[np.uint64]
    #: The hash says something, so that a near one proposes a pair: bool, shape (rows,).
    able: NDArray[np.bool_]
    #: Rows of an equal label are the same without looking: labels from 0 on, int64, shape (rows,).
    label: Ints
    #: Bits of a hash that may differ.
    radius: int


def survivors(field: Field, compare: Compare, budget: int = BUDGET) -> Losses:
    """Return which rows lose, and to whom, sorted by loser.

    A row loses to the first row that stays of those whose label is equal, or whose hash is near and of which
    `compare`, given (earlier, later), says that they are the same.
    """
    work = _Work(field, compare, budget)
    work.decide(np.arange(len(field.hashes), dtype=np.int64))
    losers = np.flatnonzero(work.winner >= 0)
    winners = work.winner[losers]
    return Losses(losers, winners, compare(winners, losers))


@dataclass(frozen=True)
class _Near:
    """Rows grouped by hash."""

    values: NDArray[np.uint64]
    #: Rows of group after group, and where each group begins and how large it is.
    rows: Ints
    first: Ints
    size: Ints

    def meeting(self, other: _Near, pairs: Ints, budget: int) -> Iterator[tuple[Ints, Ints]]:
        """Yield each row of ``pairs[k, 0]`` with each of `other`'s ``pairs[k, 1]``, at most `budget` or one row's."""
        ours, theirs = pairs[:, 0], pairs[:, 1]
        for some in blocks(self.size[ours], budget):
            owner, place = expand(self.first[ours[some]], self.size[ours[some]])
            rows, groups = self.rows[place], theirs[some][owner]
            for part in blocks(other.size[groups], budget):
                owner, place = expand(other.first[groups[part]], other.size[groups[part]])
                yield rows[part][owner], other.rows[place]


def _joined(parts: Iterable[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    none = np.empty(0, np.int64)
    ours, theirs = zip((none, none), *parts, strict=True)
    return np.concatenate(ours), np.concatenate(theirs)


def _near(rows: Ints, hashes: NDArray[np.uint64]) -> _Near:
    values, group = groups_of(hashes[rows])
    size = np.bincount(group, minlength=len(values)).astype(np.int64)
    return _Near(values, rows[np.argsort(group, kind="stable")], starts(size)[:-1], size)


class _Work:
    """What is decided so far."""

    def __init__(self, field: Field, compare: Compare, budget: int) -> None:
        self._field = field
        self._compare = compare
        self._budget = budget
        #: The row that each row lost to, -1 for one that stays or is not decided yet.
        self.winner = np.full(len(field.hashes), -1, np.int64)
        #: The row that stays of each label; there is never a second one.
        self._stays = np.full(int(field.label.max(initial=-1)) + 1, -1, np.int64)

    def decide(self, rows: Ints) -> None:
        """Decide on rows, ascending, none of which loses to a row before the first of them."""
        pairs = self._pairs(rows)
        if pairs is not None:
            self._settle(rows, *pairs)
            return
        middle = len(rows) // 2
        first, rest = rows[:middle], rows[middle:]
        self.decide(first)
        self._lose(rest, first[self.winner[first] < 0])
        self.decide(rest[self.winner[rest] < 0])

    def _pairs(self, rows: Ints) -> tuple[Ints, Ints] | None:
        """Return all (earlier, later) of near hashes, None where they are more than the budget."""
        able = _near(rows[self._field.able[rows]], self._field.hashes)
        own = np.flatnonzero(able.size > 1)
        total = int((able.size[own] ** 2).sum())
        found = [np.empty((0, 2), np.int64)]
        for block in near_blocks(able.values, self._field.radius) if total <= self._budget else ():
            total += int((able.size[block[:, 0]] * able.size[block[:, 1]]).sum())
            if total > self._budget:
                break
            found.append(block.astype(np.int64))
        if total > self._budget:
            return None
        one, other = _joined(able.meeting(able, np.concatenate(found), self._budget))
        first, second = _joined(able.meeting(able, np.stack([own, own], axis=1), self._budget))
        once = first < second
        one, other = np.concatenate([one, first[once]]), np.concatenate([other, second[once]])
        return np.minimum(one, other), np.maximum(one, other)

    def _settle(self, rows: Ints, earlier: Ints, later: Ints) -> None:
        """Decide on rows that may lose to each other by these pairs, or by their labels."""
        linked = self._compare(earlier, later).linked
        earlier, later = earlier[linked], later[linked]
        order = np.lexsort((earlier, later))
        earlier, later = earlier[order], later[order]
        labels = self._field.label[rows]
        _, place, count = np.unique(labels, return_inverse=True, return_counts=True)
        alone = (count[place] == 1) & ~np.isin(rows, later)
        self._stays[labels[alone]] = rows[alone]
        begins = np.searchsorted(later, rows[~alone])
        ends = np.searchsorted(later, rows[~alone], side="right")
        for row, begin, end in zip(rows[~alone].tolist(), begins.tolist(), ends.tolist(), strict=True):
            standing = [other for other in earlier[begin:end].tolist() if self.winner[other] < 0]
            same = int(self._stays[self._field.label[row]])
            if same >= 0:
                standing.append(same)
            if standing:
                self.winner[row] = min(standing)
            else:
                self._stays[self._field.label[row]] = row

    def _lose(self, rows: Ints, stay: Ints) -> None:
        """Let rows lose to the first of some earlier rows that stay."""
        field = self._field
        none = len(field.hashes)
        best = self._stays[field.label[rows]]
        best = np.where(best < 0, none, best)
        asking, asked = (_near(some[field.able[some]], field.hashes) for some in (rows, stay))
        for block in between_blocks(asking.values, asked.values, field.radius):
            for later, earlier in asking.meeting(asked, block.astype(np.int64), self._budget):
                place = np.searchsorted(rows, later)
                better = earlier < best[place]
                later, earlier, place = later[better], earlier[better], place[better]
                linked = self._compare(earlier, later).linked
                np.minimum.at(best, place[linked], earlier[linked])
        lost = best < none
        self.winner[rows[lost]] = best[lost]
