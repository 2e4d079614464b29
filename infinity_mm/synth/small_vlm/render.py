"""Draws scenes on a grid of 4 x 4 cells, and pictures of no scene, so that the model learns what it does not know.

Each cell is one patch of the vision tower: it holds one shape, one letter, one box of a bar, or nothing. Place in the
cell, size, shade, background and noise vary with the generator; the truth is the scene's and does not.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from infinity_mm.synth.small_vlm.scenes import Chart, Scene, Shapes

#: Pixels a side of the model's input.
SIDE: Final = 64
#: Cells along a side.
GRID: Final = 4
BOX: Final = "box"
#: Drawn larger and scaled down, so that edges are smooth.
_OVER: Final = 4

_RGB: Final = {
    "red": (215, 40, 40),
    "green": (40, 160, 60),
    "blue": (45, 80, 210),
    "yellow": (235, 205, 30),
    "purple": (150, 50, 170),
    "black": (25, 25, 25),
}
_BACKGROUNDS: Final = ((250, 250, 250), (240, 240, 240), (225, 232, 240), (245, 238, 225), (228, 240, 228))

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Mark:
    """What one cell holds."""

    #: Name of the shape, the letter, or `BOX`.
    name: str
    #: Of the shape, of the box, or of the plate behind the letter.
    color: str
    #: 0 to 15, in reading order.
    cell: int


def layout(scene: Scene, rng: random.Random) -> list[Mark]:
    """Return what each cell of the grid that is not empty holds; the generator chooses among the cells that fit."""
    match scene:
        case Shapes():
            marks = []
            for thing in scene.things:
                row, column = divmod(thing.quarter, 2)
                cell = (2 * row + rng.randrange(2)) * GRID + 2 * column + rng.randrange(2)
                marks.append(Mark(thing.shape, thing.color, cell))
            return marks
        case Chart():
            columns = sorted(rng.sample(range(GRID), len(scene.bars)))
            return [
                Mark(BOX, bar.color, (GRID - 1 - level) * GRID + column)
                for column, bar in zip(columns, scene.bars, strict=True)
                for level in range(bar.value)
            ]
    first = rng.randrange(GRID) * GRID + rng.randrange(GRID - len(scene.word) + 1)
    return [Mark(letter, scene.color, first + place) for place, letter in enumerate(scene.word)]


def draw(scene: Scene, rng: random.Random, side: int = SIDE) -> Image.Image:
    """Return the scene as an RGB picture of `side` x `side` pixels, a multiple of 4."""
    return Image.fromarray(paint(layout(scene, rng), rng, side))


def paint(marks: list[Mark], rng: random.Random, side: int = SIDE) -> np.ndarray[Any, Any]:
    """Return the cells as an array (side, side, 3), uint8."""
    size = side // GRID
    canvas = np.empty((side, side, 3), np.float32)
    canvas[:] = _near(rng.choice(_BACKGROUNDS), rng, 8)
    shades = {mark.color: np.array(_near(_RGB[mark.color], rng, 14), np.float32) for mark in marks}
    # One size for a whole picture: boxes stand flush, letters are of one font.
    step = rng.randrange(4)
    for mark in marks:
        row, column = divmod(mark.cell, GRID)
        place = (slice(row * size, (row + 1) * size), slice(column * size, (column + 1) * size))
        shade = shades[mark.color]
        if len(mark.name) == 1:
            canvas[place] = shade
            light = mark.color == "yellow"
            shade = np.array((20, 20, 20) if light else (250, 250, 250), np.float32)
        shift = (rng.randrange(3), rng.randrange(3)) if mark.name != BOX else (1, 1)
        mask = _mask(mark.name, step, *shift, size)
        canvas[place] += mask * (shade - canvas[place])
    grain = np.random.default_rng(rng.getrandbits(64)).standard_normal(canvas.shape, np.float32)
    canvas += rng.uniform(0, 9) * grain + rng.uniform(-8, 8)
    return np.clip(canvas, 0, 255).astype(np.uint8)


@cache
def _mask(name: str, step: int, right: int, down: int, size: int) -> np.ndarray[Any, Any]:
    """Return how much of each pixel of a cell (size, size, 1) a mark covers, 0 to 1; `step` 0 to 3, shifts 0 to 2."""
    big = size * _OVER
    image = Image.new("L", (big, big))
    pen = ImageDraw.Draw(image)
    x, y = big * (0.5 + 0.05 * (right - 1)), big * (0.5 + 0.05 * (down - 1))
    half = big * (0.33 + 0.03 * step)
    if len(name) == 1:
        font = ImageFont.load_default(round(big * (0.80 + 0.05 * step)))
        pen.text((x, y), name, font=font, fill=255, anchor="mm")
    elif name == "circle":
        pen.ellipse((x - half, y - half, x + half, y + half), fill=255)
    elif name == BOX:
        pen.rectangle((x - half, big * 0.05, x + half, big * 0.95), fill=255)
    else:
        pen.polygon([(x + half * u, y + half * v) for u, v in _outline(name)], fill=255)
    return np.asarray(image.reduce(_OVER), np.float32)[:, :, None] / 255


@cache
def _outline(shape: str) -> tuple[tuple[float, float], ...]:
    """Return the corners of a shape within [-1, 1] x [-1, 1]."""
    match shape:
        case "square":
            return ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9))
        case "triangle":
            return ((0.0, -1.0), (1.0, 0.9), (-1.0, 0.9))
        case "cross":
            a = 0.3
            arm = ((-a, -1.0), (a, -1.0), (a, -a))
            # Each arm is the one before it, turned by a quarter.
            turned = (arm, [(-y, x) for x, y in arm], [(-x, -y) for x, y in arm], [(y, -x) for x, y in arm])
            return tuple(point for part in turned for point in part)
    raise ValueError(f"no outline of {shape!r}")


def png(image: Image.Image) -> bytes:
    """Return the picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _near(color: Rgb, rng: random.Random, spread: int) -> Rgb:
    """Return a color at most `spread` off in each channel."""
    red, green, blue = (max(0, min(255, value + rng.randint(-spread, spread))) for value in color)
    return red, green, blue


def draw_unknown(rng: random.Random, side: int = SIDE) -> Image.Image:
    """Return a picture of none of the kinds: noise, gradients, blurred blobs, lines, or a page of small print."""
    make = rng.choice((_noise, _gradient, _blobs, _scribble, _page, _blank))
    image = make(rng)
    if rng.random() < 0.3:
        image = image.convert("L").convert("RGB")
    return image.resize((side, side), Image.Resampling.BICUBIC)


def _any_color(rng: random.Random) -> Rgb:
    return rng.randint(0, 255), rng.randint(0, 255), rng.randint(0, 255)


def _noise(rng: random.Random) -> Image.Image:
    """Random cells of several sizes, summed: texture like that of grass, stone or skin."""
    image = Image.new("RGB", (SIDE, SIDE), _any_color(rng))
    for cells in (3, 7, 18, 48):
        layer = Image.frombytes("RGB", (cells, cells), rng.randbytes(3 * cells * cells))
        image = Image.blend(image, layer.resize((SIDE, SIDE), Image.Resampling.BICUBIC), rng.uniform(0.1, 0.6))
    return image


def _gradient(rng: random.Random) -> Image.Image:
    ramp = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270))).resize((SIDE, SIDE))
    one, two = (Image.new("RGB", (SIDE, SIDE), _any_color(rng)) for _ in range(2))
    return Image.composite(one, two, ramp)


def _blobs(rng: random.Random) -> Image.Image:
    image = _gradient(rng)
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(3, 14)):
        x, y = rng.uniform(0, SIDE), rng.uniform(0, SIDE)
        w, h = rng.uniform(5, 60), rng.uniform(5, 60)
        pen.ellipse((x - w / 2, y - h / 2, x + w / 2, y + h / 2), fill=_any_color(rng))
    return Image.blend(image.filter(ImageFilter.GaussianBlur(rng.uniform(1, 4))), _noise(rng), rng.uniform(0.0, 0.4))


def _scribble(rng: random.Random) -> Image.Image:
    image = Image.new("RGB", (SIDE, SIDE), rng.choice((*_BACKGROUNDS, _any_color(rng))))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(3, 12)):
        points = [(rng.uniform(0, SIDE), rng.uniform(0, SIDE)) for _ in range(rng.randint(2, 6))]
        pen.line(points, fill=_any_color(rng), width=rng.randint(1, 3))
    return image


def _page(rng: random.Random) -> Image.Image:
    """Lines of marks too small to read, as on a scanned page or in a table."""
    paper = _near(rng.choice(_BACKGROUNDS), rng, 6)
    image = Image.new("RGB", (SIDE, SIDE), paper)
    pen = ImageDraw.Draw(image)
    ink = _near((60, 60, 60), rng, 50)
    pitch = rng.randint(3, 8)
    for y in range(rng.randint(2, 14), SIDE - 3, pitch):
        x = rng.randint(2, 10)
        while x < SIDE - 6 and rng.random() > 0.04:
            end = x + rng.randint(2, 9)
            pen.rectangle((x, y, min(end, SIDE - 3), y + max(1, pitch // 3)), fill=ink)
            x = end + rng.randint(1, 3)
    if rng.random() < 0.4:
        for x in range(4, SIDE, rng.randint(12, 30)):
            pen.line((x, 2, x, SIDE - 3), fill=ink)
    return image


def _blank(rng: random.Random) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), rng.choice((*_BACKGROUNDS, _any_color(rng))))
