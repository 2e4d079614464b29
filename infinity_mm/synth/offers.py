"""Which instruction types an attempt is offered, where the recipe has a mapping from tags or shares per type.

Offers are drawn without replacement in proportion to ``(floor + score) ** (1 / temperature)`` (Gumbel top-k, Kool et
al. 2019, arXiv:1903.06059), each draw a hash of (seed, attempt, type). A type with a share is offered to at most that
share of a partition's attempts, so it cannot be chosen more often; those for whom the draw ranks it highest get it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor, log

from infinity_mm.keyed import keyed_unit
from infinity_mm.synth.mapping import TagMapping
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.rows import Attempt
from infinity_mm.synth.taxonomy import Leaf, Taxonomy


def with_offers(attempts: Sequence[Attempt], params: SynthParams, seed: int) -> list[Attempt]:
    """Return the attempts with the types that each is offered, best first, at most `params.candidates`.

    Where the recipe has neither mapping nor shares they come back as they are. With shares an attempt may be offered
    fewer types, or none where all are used up.
    """
    offer = params.offer
    if offer.mapping is None and not offer.limited:
        return list(attempts)
    leaves = Taxonomy.load().select(params.types)
    tags = offer.mapping.parse() if offer.mapping is not None else None
    ranked = sorted(
        (-_rank(attempt, leaf, tags, params, seed), attempt.key, leaf.name) for attempt in attempts for leaf in leaves
    )
    caps = _caps(attempts, leaves, params, seed)
    taken: Counter[str] = Counter()
    offered: dict[str, list[str]] = {attempt.key: [] for attempt in attempts}
    for _, key, name in ranked:
        if len(offered[key]) < params.candidates and taken[name] < caps[name]:
            offered[key].append(name)
            taken[name] += 1
    return [replace(attempt, offered=tuple(offered[attempt.key])) for attempt in attempts]


def _rank(attempt: Attempt, leaf: Leaf, mapping: TagMapping | None, params: SynthParams, seed: int) -> float:
    """Return log weight plus Gumbel noise: sorting by it draws without replacement."""
    score = mapping.score(attempt.tagged.tags, leaf) if mapping is not None else 0.0
    draw = keyed_unit(seed, "synth.offer", f"{attempt.key}/{leaf.name}")
    return log(params.offer.floor + score) / params.offer.temperature - log(-log(max(draw, 2.0**-53)))


def _caps(attempts: Sequence[Attempt], leaves: Sequence[Leaf], params: SynthParams, seed: int) -> Mapping[str, int]:
    """Return how many attempts of the partition each type may be offered to.

    The fraction that is left of share times attempts becomes one more by a hash of (seed, partition, type), so that
    over many partitions the share holds.
    """
    shares = share_of(leaves, params)
    partition = attempts[0].key if attempts else ""
    caps = {}
    for leaf in leaves:
        allowed = shares[leaf.name] * len(attempts)
        whole = floor(allowed)
        more = keyed_unit(seed, "synth.share", f"{partition}/{leaf.name}") < allowed - whole
        caps[leaf.name] = whole + more
    return caps


def share_of(leaves: Sequence[Leaf], params: SynthParams) -> dict[str, float]:
    """Return the share of each type: its own where the recipe names it, else its group's over the group's types."""
    taxonomy = Taxonomy.load()
    shares = dict.fromkeys((leaf.name for leaf in leaves), params.offer.max_share)
    named = [(taxonomy.select([name]), share) for name, share in params.offer.shares.items()]
    for below, share in sorted(named, key=lambda pair: -len(pair[0])):
        here = [leaf.name for leaf in below if leaf.name in shares]
        shares |= dict.fromkeys(here, share / len(here) if here else share)
    return shares
