"""Shares with their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

from infinity_mm.frozen import Frozen

#: Two-sided 95 % of the normal distribution.
Z95 = 1.959963984540054


class Rate(Frozen):
    """A share of successes, with its 95 % interval after Wilson (1927, J. Am. Stat. Assoc. 22:209)."""

    #: Trials whose result is known.
    of: int
    passed: int
    #: `passed` / `of`; None without trials.
    rate: float | None
    #: Bounds of the interval, 0 to 1; the whole of it without trials.
    low: float
    high: float


def rate(passed: int, of: int) -> Rate:
    """Return the share with its interval, rounded to four places; raises `ValueError` unless 0 <= passed <= of."""
    if not 0 <= passed <= of:
        raise ValueError(f"expected 0 <= passed <= of, got passed={passed}, of={of}")
    if of == 0:
        return Rate(of=0, passed=0, rate=None, low=0.0, high=1.0)
    share = passed / of
    centre = (share + Z95**2 / (2 * of)) / (1 + Z95**2 / of)
    half = Z95 / (1 + Z95**2 / of) * sqrt(share * (1 - share) / of + Z95**2 / (4 * of**2))
    low = 0.0 if passed == 0 else max(0.0, centre - half)
    high = 1.0 if passed == of else min(1.0, centre + half)
    return Rate(of=of, passed=passed, rate=round(share, 4), low=round(low, 4), high=round(high, 4))


def separation(positive: Mapping[int, int], negative: Mapping[int, int]) -> float | None:
    """Return the chance that a positive scores higher than a negative, ties counted half; None where one is empty.

    Both map a score to how often it occurred. It is the area under the ROC curve (Hanley and McNeil 1982,
    Radiology 143:29), so it needs no threshold: 1 tells them apart, 0.5 is chance.
    """
    pairs = sum(positive.values()) * sum(negative.values())
    if not pairs:
        return None
    won = sum(
        high * low * (1.0 if score > other else 0.5 if score == other else 0.0)
        for score, high in positive.items()
        for other, low in negative.items()
    )
    return round(won / pairs, 4)
