"""What can only be decided over all rows of a run: the balance of yes and no, and which answer losses stand out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from infinity_mm.keyed import keyed_u64
from infinity_mm.synth.params import LossParams
from infinity_mm.synth.rows import Drop

STAGE = "synth.settle"
REASONS = ("yes_no_balance", "loss_unknown", "high_loss", "low_loss")


@dataclass(frozen=True)
class Question:
    """A kept question, as far as it matters here."""

    id: str
    leaf: str
    format: str
    #: Source of the picture.
    source: str
    #: "yes" or "no" where that is the whole answer.
    yes_no: str | None
    #: Mean negative log likelihood of the answer's tokens under the reference model, nats; None where it is unknown.
    loss: float | None = None


def unbalanced(questions: Iterable[Question], seed: int) -> dict[str, Drop]:
    """Return the bare answers to drop so that every type has as many yes as no; which ones is a hash of (seed, id)."""
    said: dict[str, dict[str, list[str]]] = defaultdict(lambda: {"yes": [], "no": []})
    for one in questions:
        if one.yes_no is not None:
            said[one.leaf][one.yes_no].append(one.id)
    drops: dict[str, Drop] = {}
    for leaf, ids in sorted(said.items()):
        least = min(len(ids["yes"]), len(ids["no"]))
        counts = f"{leaf}: yes={len(ids['yes'])}, no={len(ids['no'])}"
        for answer in ("yes", "no"):
            drawn = sorted(ids[answer], key=lambda name: (keyed_u64(seed, "synth.balance", name), name))
            drops |= {name: Drop("yes_no_balance", f"{counts}; {least} of each stay") for name in drawn[least:]}
    return drops


def groups(questions: Iterable[Question]) -> dict[tuple[str, str], list[Question]]:
    """Return the questions by (source of the picture, answer format), the only groups that losses compare in."""
    found: dict[tuple[str, str], list[Question]] = defaultdict(list)
    for one in questions:
        found[one.source, one.format].append(one)
    return dict(sorted(found.items()))


def quantiles(losses: Sequence[float], shares: Sequence[float]) -> list[float]:
    """Return the quantiles of the losses (linear between neighbours), rounded to four places."""
    return [round(float(value), 4) for value in np.quantile(np.asarray(losses, np.float64), list(shares))]


def outliers(questions: Iterable[Question], params: LossParams) -> dict[str, Drop]:
    """Return the questions whose loss is beyond the recipe's quantiles of their own source and format.

    A group with fewer than `params.min_rows` known losses is left alone. A question without a known loss passes only
    where no quantile is asked for. Cuts are never global: short answers have high losses by nature.
    """
    if params.keep_from == 0 and params.keep_to == 1:
        return {}
    drops: dict[str, Drop] = {}
    for (source, form), members in groups(questions).items():
        known = [one.loss for one in members if one.loss is not None]
        drops |= {one.id: Drop("loss_unknown", f"{source}, {form}") for one in members if one.loss is None}
        if len(known) < params.min_rows:
            continue
        low, high = np.quantile(np.asarray(known, np.float64), [params.keep_from, params.keep_to])
        for one in members:
            if one.loss is not None and one.loss > high:
                limit = f"quantile {params.keep_to:g} of {source}, {form}, is {high:.4f}"
                drops[one.id] = Drop("high_loss", f"loss={one.loss:.4f}; {limit}")
            elif one.loss is not None and one.loss < low:
                limit = f"quantile {params.keep_from:g} of {source}, {form}, is {low:.4f}"
                drops[one.id] = Drop("low_loss", f"loss={one.loss:.4f}; {limit}")
    return drops


def merged_drops(several: Iterable[Mapping[str, Drop]]) -> dict[str, Drop]:
    """Return the drops of several rules; of a question that several drop, the first counts."""
    found: dict[str, Drop] = {}
    for drops in several:
        found = {**drops, **found}
    return found
