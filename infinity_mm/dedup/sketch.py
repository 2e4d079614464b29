"""Sketches of signatures: 32 bytes that tell most texts apart which share a band and nothing else.

The lowest four bits of the first 64 minima (`infinity_mm.dedup.kernels.keys`). At the default banding half of all
pairs with a similarity of 0.4 share a band, and one in twenty with 0.2: texts with a common preamble would all hang
together in one component. A pair whose sketches agree in too few places is no proposal: one in a million pairs at the
threshold is lost by that, to one in a thousand by the bands.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.groups import agreeing, least_agreeing
from infinity_mm.dedup.kernels.jit import compiled
from infinity_mm.dedup.kernels.keys import SKETCH_WORDS, SKETCHED, sketches
from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.ragged import Ints, Ragged

Sketches = NDArray[np.uint64]


def sketches_of(minhash: Ragged) -> Sketches:
    """Return uint64 of shape (rows, 4); zeros for rows without a signature, or with one of fewer than 64 minima."""
    found = np.zeros((len(minhash), SKETCH_WORDS), np.uint64)
    long = np.flatnonzero(minhash.size >= SKETCHED)
    places = minhash.first[long][:, None] + np.arange(SKETCHED)
    found[long] = sketches(np.ascontiguousarray(minhash.values[places], np.uint32))
    return found


def least_of(params: DedupParams) -> int:
    """Return in how many of 64 places the sketches of a proposed pair agree; 0 where signatures are too short."""
    return least_agreeing(params.threshold) if params.signature.num_perm >= SKETCHED else 0


def alike(found: Sketches, left: Ints, right: Ints, least: int) -> NDArray[np.bool_]:
    """Return, for pairs of rows, whether their sketches agree in at least `least` places: bool, shape (pairs,)."""
    marks = np.empty(len(left), np.bool_)
    _alike(found, left, right, least, marks)
    return marks


@compiled
def _alike(found: Sketches, left: Ints, right: Ints, least: int, marks: NDArray[np.bool_]) -> None:
    for pair in range(len(left)):
        marks[pair] = agreeing(found, left[pair], right[pair]) >= least
