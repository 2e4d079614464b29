"""How many bands of how many minima: the cheapest choice that reaches the recall, by a model of what each costs.

A pair of similarity s shares a band with a chance of 1 - (1 - s^rows)^bands. Many rows keep strangers apart but need
many bands, each of which is hashed, written and sorted for every text; few rows need few bands, and propose more
pairs that then turn out to be none. Times are of one 3 GHz core.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from infinity_mm.dedup.banding import recall_at
from infinity_mm.dedup.kernels.keys import SKETCHED

#: One minimum of a text of some 200 shingles; one key made, written, read, and looked up; one pair of sketches.
MINIMUM_NS = 9.0
KEY_NS = 45.0
PAIR_NS = 40.0
#: Assumed neighbours of a text: one at a similarity of at least 0.7, in general (0.7 / s)^2 at s, so 49 at 0.1.
TAIL = 2.0
_FARTHEST = 0.02


@dataclass(frozen=True)
class Banding:
    """Bands of a signature, and minima of each band."""

    bands: int
    rows: int

    @property
    def minima(self) -> int:
        """Minima that must be computed; sketches need some as well."""
        return max(SKETCHED, self.bands * self.rows)


@lru_cache(maxsize=16)
def choose(threshold: float, recall: float, permutations: int) -> Banding:
    """Return the cheapest banding of at most `permutations` minima that finds a pair at `threshold` with `recall`.

    Raises ValueError, naming what is within reach, where there is none.
    """
    able = [banding for rows in range(1, 21) if (banding := _fewest(threshold, recall, rows, permutations))]
    if not able:
        reached = recall_at(threshold, permutations, 1)
        raise ValueError(
            f"{permutations} permutations find a pair at threshold={threshold} with a chance of {reached:.6f} at most, "
            f"less than recall={recall}: lower recall, or raise threshold or permutations"
        )
    return min(able, key=lambda banding: (cost_ns(banding, threshold), banding.rows))


def cost_ns(banding: Banding, threshold: float) -> float:
    """Return the nanoseconds that a text costs: its minima, its keys, and the strangers it is compared with."""
    similarity = np.linspace(_FARTHEST, threshold, 200)
    density = TAIL * 0.7**TAIL / similarity ** (TAIL + 1.0)
    met = 1.0 - (1.0 - similarity**banding.rows) ** banding.bands
    strangers = float(np.trapezoid(met * density, similarity))
    return banding.minima * MINIMUM_NS + banding.bands * KEY_NS + strangers * PAIR_NS


def _fewest(threshold: float, recall: float, rows: int, permutations: int) -> Banding | None:
    """Return the banding of the fewest bands of this many rows, None where the permutations do not suffice."""
    for bands in range(1, permutations // rows + 1):
        if recall_at(threshold, bands, rows) >= recall:
            return Banding(bands, rows)
    return None
