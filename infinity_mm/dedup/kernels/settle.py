"""Which rows of a component stay, and to whom the others lose; compiled.

Rows come in keep order, the one to prefer first. Each is compared with the rows that stay, and loses to the first
of them that it is similar to. So every loser passes the check against its own winner, and no winner loses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.hashing import Ints
from infinity_mm.dedup.kernels.jit import compiled
from infinity_mm.dedup.kernels.sets import Rows, Rule, compare
from infinity_mm.dedup.kernels.templates import settle_large

#: Rows from which an index of the kept rows is cheaper than looking at each of them.
LARGE = 64


def settle(rows: Rows, components: Ints, rule: Rule, large: int = LARGE) -> tuple[Ints, NDArray[np.float64]]:
    """Return each row's winner, -1 for a row that stays, and its similarity to it (1 for equal texts, 0 without).

    Rows are sorted by component, and within one in keep order; `components`, int64, says where each begins and where
    the last ends. Texts without shingles are duplicates only where their digests are equal.
    """
    winners = np.full(len(rows.digests), -1, np.int64)
    similarities = np.zeros(len(rows.digests))
    _settle_small(rows, components, rule, large, winners, similarities)
    for component in np.flatnonzero(np.diff(components) > large).tolist():
        begin, end = int(components[component]), int(components[component + 1])
        settle_large(rows, begin, end, rule, winners, similarities)
    return winners, similarities


@compiled
def _settle_small(
    rows: Rows, components: Ints, rule: Rule, large: int, winners: Ints, similarities: NDArray[np.float64]
) -> None:
    kept = np.empty(large, np.int64)
    for component in range(len(components) - 1):
        begin, end = components[component], components[component + 1]
        if end - begin > large:
            continue
        count = 0
        for row in range(begin, end):
            winner = -1
            for place in range(count):
                found = compare(rows, kept[place], row, rule)
                if found >= 0.0:
                    winner = kept[place]
                    similarities[row] = found
                    break
            winners[row] = winner
            if winner < 0:
                kept[count] = row
                count += 1
