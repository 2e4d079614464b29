"""What there is in a drawn picture: shapes on a grid, a bar chart, or a sign with a word.

A scene is the ground truth: pictures are drawn from it and answers are computed from it. Some combinations of
attributes never occur in training; a scene drawn with ``held_out=True`` holds at least one of them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["shapes", "chart", "sign"]
KINDS: Final[tuple[Kind, ...]] = ("shapes", "chart", "sign")

SHAPES: Final = ("circle", "square", "triangle", "star", "cross", "diamond")
COLORS: Final = ("red", "green", "blue", "yellow", "purple", "orange", "black")
SIZES: Final = ("large", "small")
#: Names of the nine cells of the grid, in reading order.
PLACES: Final = (
    *("top left", "top middle", "top right"),
    *("middle left", "center", "middle right"),
    *("bottom left", "bottom middle", "bottom right"),
)
LABELS: Final = ("A", "B", "C", "D", "E", "F")
MAX_VALUE: Final = 9
MAX_THINGS: Final = 6
BARS: Final = (3, 4, 5)
WORDS: Final = (
    *("STOP", "OPEN", "EXIT", "PUSH", "PULL", "SHOP", "CAFE", "TAXI", "BANK", "PARK"),
    *("BUS", "ZOO", "SALE", "FREE", "HOT", "COLD", "NORTH", "SOUTH", "EAST", "WEST"),
    *("HOTEL", "MENU", "GATE", "BOOK", "FISH", "TEA", "PIZZA", "RADIO", "MUSIC", "WATER"),
)

#: Combinations that no training picture shows: one color of each shape, one value of each bar label, one
#: plate color of each word.
HELD_OUT_THINGS: Final = frozenset((COLORS[k], shape) for k, shape in enumerate(SHAPES))
HELD_OUT_BARS: Final = frozenset((label, k + 3) for k, label in enumerate(LABELS))
HELD_OUT_SIGNS: Final = frozenset((word, COLORS[k % len(COLORS)]) for k, word in enumerate(WORDS))


@dataclass(frozen=True)
class Thing:
    """One shape in one cell of the grid."""

    color: str
    shape: str
    size: str
    #: 0 to 8, index into `PLACES`.
    cell: int

    @property
    def name(self) -> str:
        """Color and shape."""
        return f"{self.color} {self.shape}"

    @property
    def place(self) -> str:
        """Name of the cell."""
        return PLACES[self.cell]


@dataclass(frozen=True)
class Shapes:
    """One to six shapes on a plain background, in reading order."""

    things: tuple[Thing, ...]
    kind: Literal["shapes"] = "shapes"

    @property
    def held_out(self) -> bool:
        """True where a color and shape occur together that no training picture shows together."""
        return any((thing.color, thing.shape) in HELD_OUT_THINGS for thing in self.things)


@dataclass(frozen=True)
class Bar:
    """One bar with its label below and its value, 1 to 9, above."""

    label: str
    color: str
    value: int


@dataclass(frozen=True)
class Chart:
    """Three to five bars with different labels and different colors, from left to right."""

    bars: tuple[Bar, ...]
    kind: Literal["chart"] = "chart"

    @property
    def held_out(self) -> bool:
        """True where a label has a value that it never has in training."""
        return any((bar.label, bar.value) in HELD_OUT_BARS for bar in self.bars)


@dataclass(frozen=True)
class Sign:
    """One word in capitals on a colored plate."""

    word: str
    color: str
    kind: Literal["sign"] = "sign"

    @property
    def held_out(self) -> bool:
        """True for a word on a plate of a color that it never has in training."""
        return (self.word, self.color) in HELD_OUT_SIGNS


Scene = Shapes | Chart | Sign


def draw_scene(rng: random.Random, kind: Kind | None = None, held_out: bool = False) -> Scene:
    """Return a scene; of any kind where `kind` is None (half of them shapes), a function of the generator's state.

    With `held_out` the scene holds at least one held-out combination, otherwise none.
    """
    if kind is None:
        kind = rng.choices(KINDS, (5, 3, 2))[0]
    make = {"shapes": _shapes, "chart": _chart, "sign": _sign}[kind]
    while True:
        scene = make(rng)
        if scene.held_out == held_out:
            return scene


def _pick(rng: random.Random, values: Sequence[str], few: bool, count: int) -> list[str]:
    """Return `count` values, drawn from two of them only where `few` is set, so that repeats are common."""
    pool = rng.sample(values, 2) if few else list(values)
    return [rng.choice(pool) for _ in range(count)]


def _shapes(rng: random.Random) -> Scene:
    count = rng.randint(1, MAX_THINGS)
    cells = sorted(rng.sample(range(len(PLACES)), count))
    colors = _pick(rng, COLORS, rng.random() < 0.3, count)
    shapes = _pick(rng, SHAPES, rng.random() < 0.4, count)
    things = zip(colors, shapes, cells, strict=True)
    return Shapes(tuple(Thing(color, shape, rng.choice(SIZES), cell) for color, shape, cell in things))


def _chart(rng: random.Random) -> Scene:
    count = rng.choice(BARS)
    labels = rng.sample(LABELS, count)
    if rng.random() < 0.7:
        labels.sort()
    colors = rng.sample(COLORS, count)
    return Chart(
        tuple(Bar(label, color, rng.randint(1, MAX_VALUE)) for label, color in zip(labels, colors, strict=True))
    )


def _sign(rng: random.Random) -> Scene:
    return Sign(rng.choice(WORDS), rng.choice(COLORS))
