"""Draws scenes with Pillow alone, and pictures of no scene, so that the model learns what it does not know.

Every picture is square. Position, size, shade, outline and background vary with the generator; the truth is
the scene's and does not.
"""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass
from functools import cache
from typing import Final

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from infinity_mm.synth.small_vlm.scenes import MAX_VALUE, Chart, Scene, Shapes, Sign, Thing

#: Pixels a side of the model's input.
SIDE: Final = 96
#: Drawn larger and scaled down, so that edges are smooth.
_OVER: Final = 3

_RGB: Final = {
    "red": (215, 40, 40),
    "green": (40, 160, 60),
    "blue": (45, 80, 210),
    "yellow": (240, 215, 40),
    "purple": (140, 50, 165),
    "orange": (245, 140, 30),
    "black": (25, 25, 25),
}
_BACKGROUNDS: Final = ((255, 255, 255), (240, 240, 240), (225, 232, 240), (245, 238, 225), (228, 240, 228))

Rgb = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """One shape, letter or digit, and the box it fills, in pixels of a picture of `SIDE` a side."""

    #: Name of the shape, or the character.
    name: str
    x: float
    y: float
    half_width: float
    half_height: float


def draw(scene: Scene, rng: random.Random, side: int = SIDE) -> Image.Image:
    """Return the scene as an RGB picture of `side` x `side` pixels."""
    return draw_marked(scene, rng, side)[0]


def draw_marked(scene: Scene, rng: random.Random, side: int = SIDE) -> tuple[Image.Image, list[Mark]]:
    """Return the picture of `draw` and where its shapes, letters and digits are."""
    big = SIDE * _OVER
    image = Image.new("RGB", (big, big), _near(rng.choice(_BACKGROUNDS), rng, 6))
    pen = ImageDraw.Draw(image)
    match scene:
        case Shapes():
            marks = [_thing(pen, thing, rng) for thing in scene.things]
        case Chart():
            marks = _chart(pen, scene, rng)
        case Sign():
            marks = _sign(pen, scene, rng)
    return image.resize((side, side), Image.Resampling.LANCZOS), marks


def png(image: Image.Image) -> bytes:
    """Return the picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Return the font that ships inside Pillow; `size` in pixels."""
    return ImageFont.load_default(size)


def _near(color: Rgb, rng: random.Random, spread: int) -> Rgb:
    """Return a color at most `spread` off in each channel."""
    red, green, blue = (max(0, min(255, value + rng.randint(-spread, spread))) for value in color)
    return red, green, blue


def _thing(pen: ImageDraw.ImageDraw, thing: Thing, rng: random.Random) -> Mark:
    cell = SIDE * _OVER / 3
    half = cell * (rng.uniform(0.34, 0.42) if thing.size == "large" else rng.uniform(0.19, 0.25))
    slack = cell / 2 - half - 1
    row, column = divmod(thing.cell, 3)
    x = (column + 0.5) * cell + rng.uniform(-slack, slack)
    y = (row + 0.5) * cell + rng.uniform(-slack, slack)
    color = _near(_RGB[thing.color], rng, 14)
    if thing.shape == "circle":
        pen.ellipse((x - half, y - half, x + half, y + half), fill=color)
    else:
        pen.polygon([(x + half * u, y + half * v) for u, v in _outline(thing.shape)], fill=color)
    return Mark(thing.shape, x / _OVER, y / _OVER, half / _OVER, half / _OVER)


@cache
def _outline(shape: str) -> tuple[Point, ...]:
    """Return the corners of a shape within [-1, 1] x [-1, 1]."""
    match shape:
        case "square":
            return ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85))
        case "triangle":
            return ((0.0, -0.95), (0.95, 0.85), (-0.95, 0.85))
        case "diamond":
            return ((0.0, -1.0), (0.8, 0.0), (0.0, 1.0), (-0.8, 0.0))
        case "cross":
            a = 0.32
            arm = ((-a, -1.0), (a, -1.0), (a, -a))
            # Each arm is the one before it, turned by a quarter.
            turned = (arm, [(-y, x) for x, y in arm], [(-x, -y) for x, y in arm], [(y, -x) for x, y in arm])
            return tuple(point for part in turned for point in part)
        case "star":
            turns = [(-math.pi / 2 + k * math.pi / 5, 1.0 if k % 2 == 0 else 0.42) for k in range(10)]
            return tuple((radius * math.cos(angle), radius * math.sin(angle)) for angle, radius in turns)
    raise ValueError(f"no outline of {shape!r}")


def _text(pen: ImageDraw.ImageDraw, at: Point, text: str, size: int, fill: Rgb) -> list[Mark]:
    """Write `text` centred on `at`; return a mark for each character."""
    font = _font(size)
    pen.text(at, text, font=font, fill=fill, anchor="mm")
    left = at[0] - font.getlength(text) / 2
    marks = []
    for place, character in enumerate(text):
        width = font.getlength(character)
        x = left + font.getlength(text[:place]) + width / 2
        marks.append(Mark(character, x / _OVER, at[1] / _OVER, width / 2 / _OVER, size * 0.4 / _OVER))
    return marks


def _chart(pen: ImageDraw.ImageDraw, chart: Chart, rng: random.Random) -> list[Mark]:
    big = SIDE * _OVER
    ink = _near((40, 40, 40), rng, 20)
    base = big * 0.84 + rng.uniform(-4, 4)
    unit = big * 0.66 / MAX_VALUE * rng.uniform(0.9, 1.0)
    left, right = big * 0.05, big * 0.95
    step = (right - left) / len(chart.bars)
    width = step * rng.uniform(0.5, 0.75)
    size = round(big * rng.uniform(0.12, 0.135))
    marks = []
    for k, bar in enumerate(chart.bars):
        x = left + (k + 0.5) * step
        top = base - bar.value * unit
        pen.rectangle((x - width / 2, top, x + width / 2, base), fill=_near(_RGB[bar.color], rng, 14))
        marks += _text(pen, (x, base + size * 0.6), bar.label, size, ink)
        marks += _text(pen, (x, top - size * 0.5), str(bar.value), size, ink)
    pen.line((left, base, right, base), fill=ink, width=_OVER)
    return marks


def _sign(pen: ImageDraw.ImageDraw, sign: Sign, rng: random.Random) -> list[Mark]:
    big = SIDE * _OVER
    x, y = big / 2 + rng.uniform(-8, 8), big / 2 + rng.uniform(-20, 20)
    half_width, half_height = big * rng.uniform(0.43, 0.46), big * rng.uniform(0.2, 0.3)
    x = min(max(x, half_width + 2), big - half_width - 2)
    color = _near(_RGB[sign.color], rng, 14)
    box = (x - half_width, y - half_height, x + half_width, y + half_height)
    pen.rounded_rectangle(box, radius=rng.uniform(0, 30), fill=color)
    ink = (20, 20, 20) if sign.color in ("yellow", "orange") else (250, 250, 250)
    size = round(big * rng.uniform(0.24, 0.27))
    while _font(size).getlength(sign.word) > 1.84 * half_width:
        size -= 2
    return _text(pen, (x, y), sign.word, size, ink)


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
