"""Training batches: pictures with the truth about them, and examples about each, as arrays.

The k-th batch is a function of (seed, k) alone, so a run that is stopped and resumed sees what it would have seen.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from infinity_mm.keyed import keyed_u64
from infinity_mm.synth.small_vlm.model import IMAGE_TOKENS, PATCH, picture_prefix, request_text
from infinity_mm.synth.small_vlm.render import SIDE, Mark, draw_marked, draw_unknown
from infinity_mm.synth.small_vlm.scenes import (
    COLORS,
    LABELS,
    MAX_THINGS,
    MAX_VALUE,
    SHAPES,
    SIZES,
    WORDS,
    Chart,
    Scene,
    Shapes,
    Sign,
    draw_scene,
)
from infinity_mm.synth.small_vlm.tasks import SHARES, Example, Maker, TaskName
from infinity_mm.synth.small_vlm.vocabulary import EOS

#: Shares at first, while the model learns to look things up at all; the other forms build on that.
EARLY_SHARES: Final[dict[TaskName, float]] = {**SHARES, "phrase": 8.0, "tag": 4.0, "generate": 0.5, "judge": 0.5}
#: Share of pictures of no known kind.
UNKNOWN_SHARE: Final = 0.08
_OF_UNKNOWN: Final[tuple[TaskName, ...]] = ("tag", "classify", "judge", "relevance")
#: Examples whose system text is left out, so that its words are help and not the only cue.
_NO_SYSTEM: Final = 0.05
#: Groups of examples of like length in a batch: the more, the less padding.
_GROUPS: Final = 4

#: What each image token shall say of the picture, and of how many values; 0 stands for "does not apply".
FACTS: Final[dict[str, int]] = {
    "kind": 4,
    "place": IMAGE_TOKENS,
    "color": len(COLORS) + 1,
    "shape": len(SHAPES) + 1,
    "size": len(SIZES) + 1,
    "same_color": MAX_THINGS + 1,
    "same_shape": MAX_THINGS + 1,
    "things": MAX_THINGS + 1,
    "prevailing": len(SHAPES) + 1,
    "bar_label": len(LABELS) + 1,
    "bar_color": len(COLORS) + 1,
    "bar_value": MAX_VALUE + 1,
    "bar_rank": 3,
    "bars": 6,
    "word": len(WORDS) + 1,
    "sign_color": len(COLORS) + 1,
    "letters": 8,
    "letter": 27,
}
#: What each patch of the vision tower shall name: the shape, letter or digit drawn there; 0 stands for none.
MARKS: Final = (*SHAPES, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *"123456789")


@dataclass(frozen=True)
class Rows:
    """Examples of like length. All arrays int64, L tokens the longest of them, padded on the right with zeros."""

    #: (R, L)
    ids: np.ndarray[Any, Any]
    #: (R,): index of the picture in the batch.
    picture: np.ndarray[Any, Any]
    #: (R, L): 1 / square root of the answer's length where a token of the answer is predicted, else 0; float32.
    weight: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Batch:
    """B pictures and what is asked about them."""

    #: (B, 3, SIDE, SIDE), float32 in [-1, 1]
    pixels: np.ndarray[Any, Any]
    #: fact -> (B, IMAGE_TOKENS), int64
    facts: dict[str, np.ndarray[Any, Any]]
    #: (B, patches), int64, index into `MARKS` plus one
    marks: np.ndarray[Any, Any]
    rows: tuple[Rows, ...]


class Batches:
    """Makes the k-th batch; given to a loader's worker, it carries the tokenizer along."""

    def __init__(self, tokenizer: str, seed: int, pictures: int, examples: int, early: int = 0):
        """Make `pictures` a batch with `examples` each (0 for pictures alone), the first `early` with early shares."""
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer)
        self._prefix = self._tokenizer.encode(picture_prefix()).ids
        self._seed, self._pictures, self._examples, self._early = seed, pictures, examples, early

    def __getitem__(self, index: int) -> Batch:
        """Return batch `index`."""
        rng = random.Random(keyed_u64(self._seed, "small_vlm.batch", str(index)))
        pixels, scenes, marks, examples = [], [], [], []
        for place in range(self._pictures):
            scene = None if rng.random() < UNKNOWN_SHARE else draw_scene(rng)
            image, drawn = (draw_unknown(rng), []) if scene is None else draw_marked(scene, rng)
            marks.append(marks_of(drawn))
            pixels.append(np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1.0)
            scenes.append(scene)
            maker = Maker(rng)
            for task in _tasks(rng, scene, self._examples, EARLY_SHARES if index < self._early else SHARES):
                examples.append((place, self._encode(maker.example(scene, task), rng)))
        examples.sort(key=lambda pair: len(pair[1][0]))
        size = -(-len(examples) // _GROUPS) or 1
        rows = tuple(_rows(examples[k : k + size]) for k in range(0, len(examples), size))
        return Batch(np.stack(pixels), _stack([facts_of(scene) for scene in scenes]), np.stack(marks), rows)

    def _encode(self, example: Example, rng: random.Random) -> tuple[list[int], int]:
        """Return the token ids of a whole example and how many of them are the answer with its end mark."""
        system = "" if rng.random() < _NO_SYSTEM else example.request.system
        asked = self._tokenizer.encode(request_text(system, example.request.prompt)).ids
        answer = self._tokenizer.encode(example.target + EOS).ids
        return [*self._prefix, *asked, *answer], len(answer)


def _tasks(rng: random.Random, scene: Scene | None, count: int, shares: Mapping[TaskName, float]) -> list[TaskName]:
    names = list(shares) if scene is not None else list(_OF_UNKNOWN)
    return rng.choices(names, [shares[name] for name in names], k=count)


def _rows(examples: list[tuple[int, tuple[list[int], int]]]) -> Rows:
    longest = max(len(ids) for _, (ids, _) in examples)
    shape = (len(examples), longest)
    ids, weight = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
    for row, (_, (tokens, answer)) in enumerate(examples):
        ids[row, : len(tokens)] = tokens
        weight[row, len(tokens) - answer : len(tokens)] = answer**-0.5
    return Rows(ids, np.array([picture for picture, _ in examples]), weight)


def _stack(facts: list[dict[str, list[int]]]) -> dict[str, np.ndarray[Any, Any]]:
    return {name: np.array([one[name] for one in facts], np.int64) for name in FACTS}


def marks_of(marks: list[Mark]) -> np.ndarray[Any, Any]:
    """Return for each patch, in reading order, 1 + index of the mark whose box holds its centre, or 0; int64."""
    named = np.zeros((SIDE // PATCH, SIDE // PATCH), np.int64)
    centres = (np.arange(SIDE // PATCH) + 0.5) * PATCH
    for mark in marks:
        # A box narrower than a patch may hold no centre; half a patch more always holds one.
        down = np.abs(centres - mark.y) <= max(mark.half_height, PATCH / 2)
        along = np.abs(centres - mark.x) <= max(mark.half_width, PATCH / 2)
        named[np.ix_(down, along)] = MARKS.index(mark.name) + 1
    return named.reshape(-1)


def facts_of(scene: Scene | None) -> dict[str, list[int]]:
    """Return each fact's value at each of the nine image tokens.

    Of shapes, a token knows the thing in its own cell and how many are like it; of a chart, the k-th token knows the
    k-th bar; of a sign, every token knows the word and the k-th token its k-th letter.
    """
    facts = {name: [0] * IMAGE_TOKENS for name in FACTS}
    facts["place"] = list(range(IMAGE_TOKENS))
    match scene:
        case Shapes():
            facts["kind"] = [1] * IMAGE_TOKENS
            _shape_facts(facts, scene)
        case Chart():
            facts["kind"] = [2] * IMAGE_TOKENS
            _bar_facts(facts, scene)
        case Sign():
            values = {"kind": 3, "word": WORDS.index(scene.word) + 1, "letters": len(scene.word)}
            values["sign_color"] = COLORS.index(scene.color) + 1
            facts |= {name: [value] * IMAGE_TOKENS for name, value in values.items()}
            for slot, letter in enumerate(scene.word):
                facts["letter"][slot] = ord(letter) - ord("A") + 1
    return facts


def _shape_facts(facts: dict[str, list[int]], scene: Shapes) -> None:
    shapes = Counter(thing.shape for thing in scene.things)
    colors = Counter(thing.color for thing in scene.things)
    ranked = shapes.most_common()
    alone = len(ranked) == 1 or ranked[0][1] > ranked[1][1]
    facts["prevailing"] = [SHAPES.index(ranked[0][0]) + 1 if alone else 0] * IMAGE_TOKENS
    facts["things"] = [len(scene.things)] * IMAGE_TOKENS
    for thing in scene.things:
        facts["color"][thing.cell] = COLORS.index(thing.color) + 1
        facts["shape"][thing.cell] = SHAPES.index(thing.shape) + 1
        facts["size"][thing.cell] = SIZES.index(thing.size) + 1
        facts["same_color"][thing.cell] = colors[thing.color]
        facts["same_shape"][thing.cell] = shapes[thing.shape]


def _bar_facts(facts: dict[str, list[int]], scene: Chart) -> None:
    values = sorted(bar.value for bar in scene.bars)
    facts["bars"] = [len(scene.bars)] * IMAGE_TOKENS
    for slot, bar in enumerate(scene.bars):
        facts["bar_label"][slot] = LABELS.index(bar.label) + 1
        facts["bar_color"][slot] = COLORS.index(bar.color) + 1
        facts["bar_value"][slot] = bar.value
        highest = bar.value == values[-1] and values[-2] < bar.value
        lowest = bar.value == values[0] and values[1] > bar.value
        facts["bar_rank"][slot] = 1 if highest else 2 if lowest else 0
