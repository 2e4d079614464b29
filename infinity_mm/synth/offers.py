"""Which instruction types an attempt is offered, where the recipe has a mapping from tags or shares per type.

Offers are drawn without replacement in proportion to ``(floor + score) ** (1 / temperature)`` (Gumbel top-k, Kool et
al. 2019, arXiv:1903.06059), each draw a hash of (seed, attempt, type). A type with a share is offered to at most that
share of the attempts, so it cannot be chosen more often; those for whom the draw ranks it highest get it, and others
go on to the next type of their own ranking.

Attempts and types rank each other by one and the same number, so there is exactly one matching in which no attempt
and no type would both rather have each other than what they got (Gale and Shapley 1962). It does not depend on the
order in which attempts are looked at, nor on partitions, where all attempts of a run are given at once. A further
picture moves the ranks of no other: it may only take a place that another attempt held, which then takes the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor, log

import numpy as np
import numpy.typing as npt

from infinity_mm.keyed import keyed_unit
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.rows import Attempt, Tag
from infinity_mm.synth.taxonomy import Leaf, Taxonomy


def with_offers(attempts: Sequence[Attempt], params: SynthParams, seed: int) -> list[Attempt]:
    """Return the attempts with the types that each is offered, best first, at most `params.candidates`.

    Where the recipe has neither mapping nor shares they come back as they are. With shares an attempt may be offered
    fewer types, or none where all are used up; shares are of the attempts given here.
    """
    if params.offer.mapping is None and not params.offer.limited:
        return list(attempts)
    offered = offers({attempt.key: attempt.tagged.tags for attempt in attempts}, params, seed)
    return [replace(attempt, offered=offered[attempt.key]) for attempt in attempts]


def offers(attempts: Mapping[str, Sequence[Tag]], params: SynthParams, seed: int) -> dict[str, tuple[str, ...]]:
    """Return attempt -> names of the types that it is offered, best first, from attempt -> tags of its picture.

    A function of the set of attempts, not of their order. Takes about 20 bytes for each attempt and type at once.
    """
    leaves = Taxonomy.load().select(params.types)
    keys = sorted(attempts)
    if not keys:
        return {}
    ranks = np.array([_ranks(key, attempts[key], leaves, params, seed) for key in keys], np.float64)
    held = _matched(ranks, _caps(len(keys), leaves, params, seed), params.candidates)
    found = {}
    for row, key in enumerate(keys):
        mine = np.flatnonzero(held[row])
        best = mine[np.argsort(-ranks[row, mine], kind="stable")]
        found[key] = tuple(leaves[place].name for place in best)
    return found


def _ranks(key: str, tags: Sequence[Tag], leaves: Sequence[Leaf], params: SynthParams, seed: int) -> list[float]:
    """Return the attempt's log weight plus Gumbel noise for each type: sorting by it draws without replacement."""
    offer = params.offer
    mapping = None if offer.mapping is None else offer.mapping.parse()
    found = []
    for leaf in leaves:
        score = 0.0 if mapping is None else mapping.score(tags, leaf)
        draw = keyed_unit(seed, "synth.offer", f"{key}/{leaf.name}")
        found.append(log(offer.floor + score) / offer.temperature - log(-log(max(draw, 2.0**-53))))
    return found


def _matched(ranks: npt.NDArray[np.float64], caps: npt.NDArray[np.int64], candidates: int) -> npt.NDArray[np.bool_]:
    """Return which types (columns) each attempt (row) is offered; shapes (attempts, types), (types,).

    Deferred acceptance: attempts ask for their best types until they have `candidates` or none is left to ask; a type
    that is asked by more than its cap turns the lowest ranked away, earlier rows first on a tie.
    """
    preferred = np.argsort(-ranks, axis=1, kind="stable")
    size, types = ranks.shape
    held = np.zeros((size, types), np.bool_)
    asked = np.zeros(size, np.int64)
    while True:
        more = np.minimum(np.minimum(candidates, types) - held.sum(axis=1), types - asked)
        if not more.any():
            return held
        place = np.arange(types)
        rows, places = np.nonzero((place >= asked[:, None]) & (place < (asked + more)[:, None]))
        held[rows, preferred[rows, places]] = True
        asked += more
        for column in np.flatnonzero(held.sum(axis=0) > caps):
            asking = np.flatnonzero(held[:, column])
            best_first = asking[np.argsort(-ranks[asking, column], kind="stable")]
            held[best_first[caps[column] :], column] = False


def _caps(attempts: int, leaves: Sequence[Leaf], params: SynthParams, seed: int) -> npt.NDArray[np.int64]:
    """Return how many of the attempts each type may be offered to, int64 of shape (types,).

    The fraction that is left of share times attempts becomes one more by a hash of (seed, type), so that over many
    runs the share holds. More attempts never make it less.
    """
    shares = share_of(leaves, params)
    drawn = [keyed_unit(seed, "synth.share", leaf.name) for leaf in leaves]
    return np.array([floor(shares[leaf.name] * attempts + u) for leaf, u in zip(leaves, drawn, strict=True)], np.int64)


def share_of(leaves: Sequence[Leaf], params: SynthParams) -> dict[str, float]:
    """Return the share of each type: its own where the recipe names it, else its group's over the group's types."""
    taxonomy = Taxonomy.load()
    shares = dict.fromkeys((leaf.name for leaf in leaves), params.offer.max_share)
    named = [(taxonomy.select([name]), share) for name, share in params.offer.shares.items()]
    for below, share in sorted(named, key=lambda pair: -len(pair[0])):
        here = [leaf.name for leaf in below if leaf.name in shares]
        shares |= dict.fromkeys(here, share / len(here) if here else share)
    return shares
