"""From scores to tags: which labels one tagger says, and what several say together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

import numpy as np

from infinity_mm.frozen import Frozen
from infinity_mm.synth.chat import EngineInfo
from infinity_mm.synth.rows import Drop, Failed, Parent, Tag, Tagged
from infinity_mm.synth.tagging.vocabulary import spelled

#: Decimals of a recorded score; what float32 on another machine may say otherwise lies below.
DECIMALS = 4

#: How a score between 0 and 1 comes from logits, see `infinity_mm.synth.tagging.params`.
Rule = Literal["sigmoid", "softmax", "softmax_against_neutral"]


class TaggerInfo(Frozen):
    """Which tagger, as it stands in the manifest and in the provenance of every row whose picture it tagged."""

    name: str
    kind: Literal["zero_shot", "classifier"]
    engine: EngineInfo
    #: How many tags it can say, and the SHA-256 of the sorted list, 64 hex digits.
    labels: int
    labels_sha256: str
    score: Rule
    threshold: float
    top: int
    #: Captions; None for a classifier, and ``neutral`` where the score does not look at it.
    template: str | None = None
    neutral: str | None = None


@dataclass(frozen=True)
class Tagging:
    """What one tagger makes of one picture."""

    tagger: TaggerInfo
    #: (tag, score), best first, or why there is nothing.
    found: tuple[tuple[str, float], ...] | Failed


def choose(
    labels: Sequence[str], scores: np.ndarray[Any, Any], threshold: float, top: int
) -> tuple[tuple[str, float], ...]:
    """Return at most `top` (label, score) with a score of at least `threshold`, best first, then alphabetical.

    `scores` are floats of shape (labels,) from 0 to 1; they are rounded to `DECIMALS` before anything looks at them. Of
    labels that are spelled alike the highest score counts.
    """
    best: dict[str, float] = {}
    rounded = np.round(scores.astype(np.float64), DECIMALS)
    for place in np.flatnonzero(rounded >= threshold):
        name, score = spelled(labels[place]), float(rounded[place])
        best[name] = max(best.get(name, 0.0), score)
    ordered = sorted(best.items(), key=lambda item: (-item[1], item[0]))
    return tuple(ordered[:top])


def confidence(score: float) -> int:
    """Return the confidence from 1 to 5 that stands for a score from 0 to 1: the fifth that it falls into."""
    return min(5, max(1, ceil(round(score * 5, DECIMALS))))


def merge(parent: Parent, taggings: Sequence[Tagging], said: Tagged | None, writer: str) -> Tagged | Drop | Failed:
    """Return the tags of a picture by all its taggers: the union by spelling, highest score first, then alphabetical.

    `said` is what the model called `writer` said in words, its confidence out of 5 as score; None where it was not
    asked. The order of the taggers does not matter. Comes back as a failure where any tagger failed, for then nobody
    knows what it would have said; and as a drop where none found a tag.
    """
    failed = [(one.tagger.name, one.found) for one in taggings if isinstance(one.found, Failed)]
    for name, why in sorted(failed, key=lambda pair: pair[0]):
        return Failed(why.reason, f"{name}: {why.detail}")
    scores: dict[str, dict[str, float]] = {}
    for tagger, name, score in (*_told(taggings), *_written(said, writer)):
        scores.setdefault(spelled(name), {})[tagger] = score
    if not scores:
        limits = ", ".join(f"{one.tagger.name} >= {one.tagger.threshold:g}" for one in taggings)
        return Drop("no_tags", f"no tag with {limits}")
    tags = [
        Tag(name, confidence(max(by.values())), tuple(sorted(by.items(), key=lambda item: (-item[1], item[0]))))
        for name, by in scores.items()
    ]
    ordered = sorted(tags, key=lambda tag: (-tag.score, tag.name))
    return Tagged(parent, tuple(ordered), tuple(sorted((one.tagger for one in taggings), key=lambda info: info.name)))


def _told(taggings: Iterable[Tagging]) -> Iterable[tuple[str, str, float]]:
    for one in taggings:
        if not isinstance(one.found, Failed):
            yield from ((one.tagger.name, name, score) for name, score in one.found)


def _written(said: Tagged | None, writer: str) -> Iterable[tuple[str, str, float]]:
    if said is not None:
        yield from ((writer, tag.name, tag.score) for tag in said.tags)
