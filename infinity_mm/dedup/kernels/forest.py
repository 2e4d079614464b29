"""Union-find over rows, as an array of parents in which the smallest row of a component is its root; compiled.

R. Tarjan, J. van Leeuwen, "Worst-case Analysis of Set Union Algorithms", JACM 1984 (path halving). Which rows are
united, and the root of each, do not depend on the order in which they are united.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.jit import compiled

#: Parents are int64, or int32 where there are fewer than 2^31 rows.
Parents = TypeVar("Parents", bound=NDArray[Any])
Numbers = NDArray[Any]


def unite_groups(parents: Numbers, rows: Numbers, starts: NDArray[np.int64]) -> None:
    """Unite all rows of each group, ``rows[starts[g] : starts[g + 1]]``."""
    _unite_groups(parents, rows, starts)


def unite_pairs(parents: Numbers, one: Numbers, other: Numbers) -> None:
    """Unite ``one[k]`` with ``other[k]``."""
    _unite_pairs(parents, one, other)


def roots(parents: Parents) -> Parents:
    """Return each row's representative: the smallest row of its component."""
    found: Parents = np.empty_like(parents)
    _roots(parents, found)
    return found


@compiled
def find(parents: Numbers, row: int) -> int:
    """Return the root of a row; paths become shorter under way."""
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


@compiled
def join(parents: Numbers, one: int, other: int) -> None:
    """Make one component of those of two roots."""
    if one < other:
        parents[other] = one
    else:
        parents[one] = other


@compiled
def _unite_groups(parents: Numbers, rows: Numbers, starts: NDArray[np.int64]) -> None:
    for group in range(len(starts) - 1):
        for place in range(starts[group] + 1, starts[group + 1]):
            join(parents, find(parents, rows[starts[group]]), find(parents, rows[place]))


@compiled
def _unite_pairs(parents: Numbers, one: Numbers, other: Numbers) -> None:
    for pair in range(len(one)):
        join(parents, find(parents, one[pair]), find(parents, other[pair]))


@compiled
def _roots(parents: Numbers, found: Numbers) -> None:
    for row in range(len(parents)):
        found[row] = find(parents, row)
