"""Training batches: pictures with the truth about them, and examples about each, as arrays.

The k-th batch is a function of (seed, k) alone, so a run that is stopped and resumed sees what it would have seen.
Every picture is new: there is no pool.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from infinity_mm.keyed import keyed_u64
from infinity_mm.synth.idefics3 import EOS
from infinity_mm.synth.small_vlm.facts import CELLS, FACTS, cells_of, facts_of
from infinity_mm.synth.small_vlm.model import picture_prefix, request_text
from infinity_mm.synth.small_vlm.render import draw_unknown, layout, paint
from infinity_mm.synth.small_vlm.scenes import Scene, draw_scene
from infinity_mm.synth.small_vlm.tasks import SHARES, Example, Maker, TaskName

#: Share of pictures of no known kind.
UNKNOWN_SHARE: Final = 0.08
OF_UNKNOWN: Final[tuple[TaskName, ...]] = ("tag", "classify", "judge", "relevance")


@dataclass(frozen=True)
class Batch:
    """B pictures and what is asked about them: one row of tokens a picture, L long, padded on the right with zeros."""

    #: (B, 3, SIDE, SIDE), float32 in [-1, 1]
    pixels: np.ndarray[Any, Any]
    #: fact or kind of cell -> (B, SLOTS), int64
    truth: dict[str, np.ndarray[Any, Any]]
    #: (B, L), int64: the picture's prefix, then one example after the other.
    ids: np.ndarray[Any, Any]
    #: (B, L), int64: 0 for the prefix, k for the k-th example, -1 for padding. An example sees the prefix and itself.
    part: np.ndarray[Any, Any]
    #: (B, L), int64: place of the token in its request, as if its example stood alone.
    place: np.ndarray[Any, Any]
    #: (B, L), float32: 1 / square root of the answer's length where a token of the answer stands, else 0.
    weight: np.ndarray[Any, Any]


class Batches:
    """Makes the k-th batch; given to a loader's worker, it carries the tokenizer along."""

    def __init__(self, tokenizer: str, seed: int, pictures: int, examples: int):
        """Make `pictures` a batch with `examples` each (0 for pictures alone)."""
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer)
        self._prefix = self._tokenizer.encode(picture_prefix()).ids
        self._seed, self._pictures, self._examples = seed, pictures, examples

    def __getitem__(self, index: int) -> Batch:
        """Return batch `index`."""
        rng = random.Random(keyed_u64(self._seed, "small_vlm.batch", str(index)))
        pixels, truth, rows = [], [], []
        for _ in range(self._pictures):
            scene = None if rng.random() < UNKNOWN_SHARE else draw_scene(rng)
            marks = [] if scene is None else layout(scene, rng)
            pixels.append(np.asarray(draw_unknown(rng)) if scene is None else paint(marks, rng))
            truth.append(facts_of(scene) | cells_of(marks))
            maker = Maker(rng)
            tasks = _tasks(rng, scene, self._examples)
            rows.append(self._row([self._encode(maker.example(scene, task)) for task in tasks]))
        values = np.stack(pixels).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1.0
        named = {name: np.array([one[name] for one in truth], np.int64) for name in (*FACTS, *CELLS)}
        ids, part, place = (_padded([row[k] for row in rows], fill, np.int64) for k, fill in enumerate((0, -1, 0)))
        return Batch(values, named, ids, part, place, _padded([row[3] for row in rows], 0, np.float32))

    def _encode(self, example: Example) -> tuple[list[int], list[int]]:
        """Return the token ids of what is asked, and of the answer with its end mark."""
        asked = request_text(example.request.system, example.request.prompt)
        return self._tokenizer.encode(asked).ids, self._tokenizer.encode(example.target + EOS).ids

    def _row(self, examples: list[tuple[list[int], list[int]]]) -> tuple[list[int], list[int], list[int], list[float]]:
        start = len(self._prefix)
        ids, part, place, weight = [*self._prefix], [0] * start, [*range(start)], [0.0] * start
        for number, (asked, answer) in enumerate(examples, 1):
            length = len(asked) + len(answer)
            ids += [*asked, *answer]
            part += [number] * length
            place += range(start, start + length)
            weight += [0.0] * len(asked) + [len(answer) ** -0.5] * len(answer)
        return ids, part, place, weight


def _tasks(rng: random.Random, scene: Scene | None, count: int) -> list[TaskName]:
    names = list(SHARES) if scene is not None else list(OF_UNKNOWN)
    return rng.choices(names, [SHARES[name] for name in names], k=count)


def _padded(rows: list[Any], fill: int, dtype: Any) -> np.ndarray[Any, Any]:
    padded = np.full((len(rows), max(len(row) for row in rows)), fill, dtype)
    for line, row in zip(padded, rows, strict=True):
        line[: len(row)] = row
    return padded
