"""Pictures show what the scene says: colors are measured in the pixels."""

import random

import numpy as np
import pytest
from PIL import Image

from infinity_mm.synth.small_vlm import render
from infinity_mm.synth.small_vlm.scenes import COLORS, SHAPES, Bar, Chart, Shapes, Sign, Thing


def nearest(pixel):
    distances = {
        name: sum((int(a) - b) ** 2 for a, b in zip(pixel, rgb, strict=True)) for name, rgb in render._RGB.items()
    }
    return min(distances, key=distances.__getitem__)


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("size", ["large", "small"])
def test_a_thing_is_in_its_cell_in_its_color(color, size):
    for seed, shape in enumerate(SHAPES):
        image = np.asarray(render.draw(Shapes((Thing(color, shape, size, 5),)), random.Random(seed), 288)).astype(int)
        away = np.abs(image - image[2, 2]).sum(axis=2) > 60
        rows, columns = np.nonzero(away)
        assert rows.min() >= 96
        assert rows.max() < 192
        assert columns.min() >= 192
        span = rows.max() - rows.min()
        assert (span > 50) == (size == "large")
        assert nearest(image[int(rows.mean()), int(columns.mean())]) == color


def test_a_higher_value_is_a_higher_bar():
    chart = Chart((Bar("A", "red", 2), Bar("B", "green", 9), Bar("C", "blue", 5)))
    image = np.asarray(render.draw(chart, random.Random(3), 288)).astype(int)
    heights = {}
    for color in ("red", "green", "blue"):
        near = np.abs(image - np.array(render._RGB[color])).sum(axis=2) < 60
        rows = np.nonzero(near.sum(axis=1) > 10)[0]
        heights[color] = rows.max() - rows.min() + 1
    assert heights["red"] < heights["blue"] < heights["green"]
    assert heights["green"] / heights["red"] == pytest.approx(4.5, rel=0.1)


def test_a_sign_has_its_plate_and_letters():
    image = np.asarray(render.draw(Sign("HOTEL", "blue"), random.Random(1), 96))
    near = np.abs(image.astype(int) - np.array(render._RGB["blue"])).sum(axis=2) < 80
    assert near.mean() > 0.2
    assert (image.min(axis=2) > 200).any(axis=0)[10:86].any()


@pytest.mark.parametrize("side", [96, 192, 288])
def test_same_state_same_pixels(side):
    scene = Shapes((Thing("red", "star", "large", 0), Thing("blue", "cross", "small", 8)))
    one, two = (render.draw(scene, random.Random(7), side) for _ in range(2))
    assert one.size == (side, side)
    assert one.mode == "RGB"
    assert one.tobytes() == two.tobytes()
    assert render.draw(scene, random.Random(8), side).tobytes() != one.tobytes()


def test_unknown_pictures_differ():
    drawn = {render.draw_unknown(random.Random(seed)).tobytes() for seed in range(40)}
    assert len(drawn) > 30


def test_png_round_trips(tmp_path):
    image = render.draw(Sign("STOP", "blue"), random.Random(1))
    (tmp_path / "a.png").write_bytes(render.png(image))
    with Image.open(tmp_path / "a.png") as read:
        assert read.tobytes() == image.tobytes()
