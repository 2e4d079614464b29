"""How a MinHash signature is cut into bands: plain arithmetic, with which a recipe is checked before it runs."""

from __future__ import annotations


def recall_at(threshold: float, bands: int, rows: int) -> float:
    """Return the chance that a pair of exactly this Jaccard similarity shares a band: 1 - (1 - s^rows)^bands."""
    return 1.0 - (1.0 - threshold**rows) ** bands


def choose_bands(num_perm: int, threshold: float, recall: float) -> tuple[int, int]:
    """Return (bands, rows per band): the longest rows whose recall at the threshold is reached.

    The chance to be proposed grows with the similarity, so `recall` holds for every pair at or above the
    threshold, and longer rows propose fewer pairs below it. With 128 permutations and 0.7: 32 x 4 for a
    recall of 0.999 (0.9998 reached), 25 x 5 for 0.98. Where no banding reaches it, the most sensitive one,
    one row per band, is returned; `recall_at` says what that gives.
    """
    for rows in range(num_perm, 1, -1):
        bands = num_perm // rows
        if recall_at(threshold, bands, rows) >= recall:
            return bands, rows
    return num_perm, 1
