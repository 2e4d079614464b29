"""Draws charts with Pillow: vertical and horizontal bars, lines, pies."""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from infinity_mm.demo.chart_data import Chart, chart_asks, chart_captions, random_chart
from infinity_mm.demo.draft import Scene, dice, encode
from infinity_mm.demo.ink import FAINT, INK, PALETTES, PAPERS, Colour, Pen


@dataclass(frozen=True)
class Frame:
    """Where and how one chart is drawn; the plot area in pixels."""

    draw: ImageDraw.ImageDraw
    pen: Pen
    size: tuple[int, int]
    left: int
    top: int
    right: int
    bottom: int
    palette: tuple[Colour, ...]
    paper: Colour
    #: One colour for all categories, or one each.
    varied: bool


def chart_scene(seed: int, key: str, suffix: str = ".png", chart: Chart | None = None) -> Scene:
    """Return a seeded chart as a scene; `chart` draws given numbers in the seeded style."""
    rng = dice(seed, "chart", key)
    drawn = random_chart(rng)
    chart = chart or drawn
    image = draw_chart(chart, rng)
    picture = encode(image, f"chart_{key}", suffix, quality=90)
    return Scene("chart", picture, chart_captions(chart), chart_asks(chart, rng), "ChartQA")


def draw_chart(chart: Chart, rng: random.Random) -> Image.Image:
    """Draw in RGB; size, palette and paper are drawn from `rng`."""
    width, height = rng.randint(440, 760), rng.randint(320, 540)
    paper = rng.choice(PAPERS)
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    pen = Pen(draw, rng.choice(("sans", "serif")))
    palette = list(rng.choice(PALETTES))
    rng.shuffle(palette)
    left = 118 if chart.kind == "barh" else 64
    frame = Frame(draw, pen, image.size, left, 56, width - 24, height - 56, tuple(palette), paper, rng.random() < 0.5)
    title_size = pen.fitting(chart.title, 19, width - 30, bold=True)
    pen.text((width / 2, 14), chart.title, title_size, "ma", bold=True)
    {"bar": _bars, "barh": _horizontal, "line": _line, "pie": _pie}[chart.kind](frame, chart)
    return image


def _ceiling(chart: Chart) -> int:
    """Return the upper end of the axis: the first grid line not below any value."""
    return -(-max(chart.values) // chart.step) * chart.step


def _colour(frame: Frame, index: int) -> Colour:
    return frame.palette[index % len(frame.palette)] if frame.varied else frame.palette[0]


def _value_grid(frame: Frame, chart: Chart) -> None:
    """Horizontal grid lines with their values, and the unit above the axis."""
    top = _ceiling(chart)
    for value in range(0, top + 1, chart.step):
        y = frame.bottom - (frame.bottom - frame.top) * value / top
        frame.draw.line([(frame.left, y), (frame.right, y)], fill=FAINT)
        frame.pen.text((frame.left - 8, y), str(value), 12, "rm")
    frame.pen.text((frame.left, frame.top - 6), chart.theme.unit, 12, "ls")
    frame.draw.line([(frame.left, frame.top), (frame.left, frame.bottom)], fill=INK)


def _names_below(frame: Frame, chart: Chart) -> list[float]:
    """Write the category names under the axis; return the centres of their columns."""
    slot = (frame.right - frame.left) / len(chart.categories)
    centres = [frame.left + slot * (i + 0.5) for i in range(len(chart.categories))]
    fits = all(frame.pen.width(name, 12) < slot - 6 for name in chart.categories)
    for i, (x, name) in enumerate(zip(centres, chart.categories, strict=True)):
        # Names that would touch are set in two rows.
        row = 0 if fits else (i % 2) * 16
        size = frame.pen.fitting(name, 12, slot * (1 if fits else 2) - 6)
        frame.pen.text((x, frame.bottom + 8 + row), name, size, "ma")
    return centres


def _bars(frame: Frame, chart: Chart) -> None:
    _value_grid(frame, chart)
    centres = _names_below(frame, chart)
    half = (frame.right - frame.left) / len(centres) * 0.33
    for i, (x, value) in enumerate(zip(centres, chart.values, strict=True)):
        y = frame.bottom - (frame.bottom - frame.top) * value / _ceiling(chart)
        frame.draw.rectangle([x - half, y, x + half, frame.bottom], fill=_colour(frame, i))
        if chart.labelled:
            frame.pen.text((x, y - 3), str(value), 12, "ms", bold=True)


def _horizontal(frame: Frame, chart: Chart) -> None:
    top = _ceiling(chart)
    span = frame.right - frame.left - 30
    for value in range(0, top + 1, chart.step):
        x = frame.left + span * value / top
        frame.draw.line([(x, frame.top), (x, frame.bottom)], fill=FAINT)
        frame.pen.text((x, frame.bottom + 6), str(value), 11, "ma")
    slot = (frame.bottom - frame.top) / len(chart.values)
    for i, (name, value) in enumerate(zip(chart.categories, chart.values, strict=True)):
        y = frame.top + slot * (i + 0.5)
        x = frame.left + span * value / top
        frame.draw.rectangle([frame.left, y - slot * 0.33, x, y + slot * 0.33], fill=_colour(frame, i))
        frame.pen.text((frame.left - 8, y), name, frame.pen.fitting(name, 13, frame.left - 14), "rm")
        if chart.labelled:
            frame.pen.text((x + 5, y), str(value), 12, "lm", bold=True)
    frame.pen.text(((frame.left + frame.right) / 2, frame.size[1] - 10), chart.theme.unit, 12, "ms")


def _line(frame: Frame, chart: Chart) -> None:
    _value_grid(frame, chart)
    centres = _names_below(frame, chart)
    span = frame.bottom - frame.top
    points = [
        (x, frame.bottom - span * value / _ceiling(chart)) for x, value in zip(centres, chart.values, strict=True)
    ]
    frame.draw.line(points, fill=frame.palette[0], width=3)
    for (x, y), value in zip(points, chart.values, strict=True):
        frame.draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=frame.palette[0], outline=frame.paper)
        if chart.labelled:
            frame.pen.text((x, y - 8), str(value), 12, "ms", bold=True)


def _pie(frame: Frame, chart: Chart) -> None:
    """A pie whose legend gives each part's value."""
    radius = min(frame.bottom + 30 - frame.top, (frame.right - frame.left) * 0.62) / 2
    cx, cy = frame.left - 30 + radius, (frame.top + frame.bottom + 20) / 2
    angle, total = -90.0, sum(chart.values)
    for i, value in enumerate(chart.values):
        sweep = 360 * value / total
        box = [cx - radius, cy - radius, cx + radius, cy + radius]
        frame.draw.pieslice(box, angle, angle + sweep, fill=frame.palette[i % len(frame.palette)], outline=frame.paper)
        angle += sweep
    x, y = cx + radius + 22, frame.top + 10
    for i, (name, value) in enumerate(zip(chart.categories, chart.values, strict=True)):
        frame.draw.rectangle([x, y, x + 13, y + 13], fill=frame.palette[i % len(frame.palette)])
        text = f"{name}: {value}"
        frame.pen.text((x + 20, y + 6), text, frame.pen.fitting(text, 13, frame.size[0] - x - 24), "lm")
        y += 24
    unit = f"in {chart.theme.unit}"
    frame.pen.text((x, y + 6), unit, frame.pen.fitting(unit, 12, frame.size[0] - x - 6), "la")
