"""Who stays: verified links only, in keep order, no chains.

Rows are decided on in keep order. A row stays unless it has a verified link to a row that stays, and then the first
such row in keep order is its winner: of all rows it could lose to, the one that the keep policy likes best. So every
removed row passed the check against its own winner, no winner is removed, no two kept rows are linked, and with
a~b~c but not a~c, both a and c stay. (This is the lexicographically first maximal independent set of the graph of
links.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.buckets import Buckets, walk
from infinity_mm.dedup.ragged import Ints


@dataclass(frozen=True)
class Agreement:
    """How pairs of rows agree; all arrays of shape (pairs,)."""

    #: The rows are duplicates of each other: bool.
    linked: NDArray[np.bool_]
    #: Jaccard similarity, float64; NaN where texts are not compared.
    similarity: NDArray[np.float64]
    #: Largest Hamming distance of the pictures, int32; -1 where pictures are not compared.
    hamming: NDArray[np.int32]

    def take(self, rows: Ints) -> Agreement:
        """Return the agreement of some of the pairs."""
        return Agreement(self.linked[rows], self.similarity[rows], self.hamming[rows])


#: Checks pairs of rows (earlier, later), both int64 of shape (pairs,).
Compare = Callable[[Ints, Ints], Agreement]


@dataclass(frozen=True)
class Losses:
    """Rows that lose, the kept rows they lose to, and how each agrees with its winner; shapes (losses,)."""

    loser: Ints
    winner: Ints
    how: Agreement


def settle(count: int, buckets: Buckets, compare: Compare, budget: int = 1 << 17) -> Losses:
    """Decide on rows 0 to `count` - 1, given in keep order.

    `buckets` proposes pairs, `compare` verifies them. Memory is bounded by `budget` pairs at a time.
    """
    lost = np.zeros(count, bool)
    losers: list[Ints] = []
    winners: list[Ints] = []
    agreements: list[Agreement] = []
    for earlier, later in walk(buckets, lost, budget):
        how = compare(earlier, later)
        linked = np.flatnonzero(how.linked)
        decided = _first_standing(earlier[linked], later[linked], lost)
        chosen = linked[decided]
        losers.append(later[chosen])
        winners.append(earlier[chosen])
        agreements.append(how.take(chosen))
    empty = Agreement(np.empty(0, bool), np.empty(0), np.empty(0, np.int32))
    agreements.append(empty)
    joined = (
        np.concatenate([getattr(part, name) for part in agreements]) for name in ("linked", "similarity", "hamming")
    )
    none = np.empty(0, np.int64)
    return Losses(np.concatenate([none, *losers]), np.concatenate([none, *winners]), Agreement(*joined))


def _first_standing(earlier: Ints, later: Ints, lost: NDArray[np.bool_]) -> Ints:
    """Mark in `lost` the rows that lose; return which links decided. Links are sorted by (later, earlier)."""
    decided = []
    for link, (winner, loser) in enumerate(zip(earlier.tolist(), later.tolist(), strict=True)):
        if not lost[loser] and not lost[winner]:
            lost[loser] = True
            decided.append(link)
    return np.array(decided, np.int64)
