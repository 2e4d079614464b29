"""What there is in a drawn picture: a few shapes, a bar chart, or a sign with a word.

A scene is the ground truth: pictures are drawn from it and answers are computed from it. The world is small on
purpose, so that a model of two million parameters can know it: what it teaches is whether a pipeline's words mean
anything. Some combinations of attributes never occur in training; a scene drawn with ``held_out=True`` holds at
least one of them.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["shapes", "chart", "sign"]
KINDS: Final[tuple[Kind, ...]] = ("shapes", "chart", "sign")

SHAPES: Final = ("circle", "square", "triangle", "cross")
COLORS: Final = ("red", "green", "blue", "yellow", "purple", "black")
#: Names of the four quarters of the picture, in reading order.
PLACES: Final = ("top left", "top right", "bottom left", "bottom right")
MAX_VALUE: Final = 4
BARS: Final = (2, 3)
WORDS: Final = (
    *("STOP", "OPEN", "EXIT", "PUSH", "PULL", "SHOP", "CAFE", "TAXI", "BANK", "PARK", "MENU", "GATE"),
    *("BUS", "ZOO", "HOT", "TEA", "BAR", "INN", "GYM", "PUB", "ICE", "FUN", "ART", "WAY"),
)

#: Combinations that no training picture shows: one color of each shape, one value of each color of bar (but for the
#: colors left over), one plate color of each word.
HELD_OUT_THINGS: Final = frozenset((COLORS[k], shape) for k, shape in enumerate(SHAPES))
HELD_OUT_BARS: Final = frozenset((COLORS[k + 2], k + 1) for k in range(MAX_VALUE))
HELD_OUT_SIGNS: Final = frozenset((word, COLORS[k % len(COLORS)]) for k, word in enumerate(WORDS))


@dataclass(frozen=True)
class Thing:
    """One shape in one quarter of the picture."""

    color: str
    shape: str
    #: 0 to 3, index into `PLACES`.
    quarter: int

    @property
    def name(self) -> str:
        """Color and shape."""
        return f"{self.color} {self.shape}"

    @property
    def place(self) -> str:
        """Name of the quarter."""
        return PLACES[self.quarter]


@dataclass(frozen=True)
class Shapes:
    """One to four shapes on a plain background, in reading order, no two alike in both color and shape."""

    things: tuple[Thing, ...]
    kind: Literal["shapes"] = "shapes"

    @property
    def held_out(self) -> bool:
        """True where a color and shape occur together that no training picture shows together."""
        return any((thing.color, thing.shape) in HELD_OUT_THINGS for thing in self.things)


@dataclass(frozen=True)
class Bar:
    """One bar: a pile of 1 to `MAX_VALUE` boxes, whose number is its value."""

    color: str
    value: int


@dataclass(frozen=True)
class Chart:
    """Two or three bars of different colors and different values, from left to right."""

    bars: tuple[Bar, ...]
    kind: Literal["chart"] = "chart"

    @property
    def held_out(self) -> bool:
        """True where a color has a value that it never has in training."""
        return any((bar.color, bar.value) in HELD_OUT_BARS for bar in self.bars)


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
        kind = rng.choices(KINDS, (5, 3, 3))[0]
    make = {"shapes": _shapes, "chart": _chart, "sign": _sign}[kind]
    while True:
        scene = make(rng)
        if scene.held_out == held_out:
            return scene


def alone(things: tuple[Thing, ...], part: Literal["color", "shape"]) -> dict[str, Thing]:
    """Return by its color or shape each thing that no other shares that color or shape with."""
    counts = Counter(getattr(thing, part) for thing in things)
    return {getattr(thing, part): thing for thing in things if counts[getattr(thing, part)] == 1}


def _shapes(rng: random.Random) -> Scene:
    """Return shapes of which at least one has a color or a shape to itself, so that it can be asked where it is."""
    while True:
        quarters = sorted(rng.sample(range(len(PLACES)), rng.randint(1, len(PLACES))))
        # Every other picture draws on two colors and two shapes, so that counts above one are common.
        few = rng.random() < 0.5
        colors, shapes = (rng.sample(values, 2) if few else values for values in (COLORS, SHAPES))
        things = tuple(Thing(rng.choice(colors), rng.choice(shapes), quarter) for quarter in quarters)
        distinct = len({thing.name for thing in things}) == len(things)
        if distinct and (alone(things, "color") or alone(things, "shape")):
            return Shapes(things)


def _chart(rng: random.Random) -> Scene:
    count = rng.choice(BARS)
    colors = rng.sample(COLORS, count)
    values = rng.sample(range(1, MAX_VALUE + 1), count)
    return Chart(tuple(Bar(color, value) for color, value in zip(colors, values, strict=True)))


def _sign(rng: random.Random) -> Scene:
    return Sign(rng.choice(WORDS), rng.choice(COLORS))
