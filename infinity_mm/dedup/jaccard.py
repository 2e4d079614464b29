"""True Jaccard similarity of shingle sets, for pairs that a cheaper method proposed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def jaccard(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> float:
    """Return |A and B| / |A or B| of two sets given as sorted distinct uint64; 0 where either is empty."""
    if not len(left) or not len(right):
        return 0.0
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)
