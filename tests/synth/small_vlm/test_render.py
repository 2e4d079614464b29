"""Pictures show what the scene says: colors are measured in the pixels."""

import random

import numpy as np
import pytest
from PIL import Image

from infinity_mm.synth.small_vlm import render
from infinity_mm.synth.small_vlm.scenes import COLORS, SHAPES, Bar, Chart, Shapes, Sign, Thing


def near(image, color, most=70):
    return np.abs(np.asarray(image).astype(int) - np.array(render._RGB[color])).sum(axis=2) < most


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_thing_is_in_its_quarter_in_its_color(color, shape):
    image = render.draw(Shapes((Thing(color, shape, 1),)), random.Random(4), 288)
    rows, columns = np.nonzero(near(image, color))
    assert rows.max() < 144 <= columns.min()
    assert 20 < rows.max() - rows.min() < 72


def test_the_value_of_a_bar_is_the_number_of_its_boxes():
    image = render.draw(Chart((Bar("red", 2), Bar("green", 4), Bar("blue", 1))), random.Random(3), 288)
    left = []
    for color, value in (("red", 2), ("green", 4), ("blue", 1)):
        rows, columns = np.nonzero(near(image, color))
        covered = near(image, color)[:, int(np.median(columns))].astype(int)
        assert (np.diff(covered, prepend=0) == 1).sum() >= value
        assert round((288 - rows.min()) / 72) == value
        left.append(columns.min())
    assert left == sorted(left)


def test_a_sign_has_its_plate_and_letters():
    scene, rng = Sign("BUS", "blue"), random.Random(1)
    marks = render.layout(scene, rng)
    assert [mark.name for mark in marks] == ["B", "U", "S"]
    assert [mark.cell - marks[0].cell for mark in marks] == [0, 1, 2]
    assert len({mark.cell // render.GRID for mark in marks}) == 1
    image = np.asarray(render.paint(marks, rng))
    assert 0.08 < near(image, "blue", 90).mean() < 3 / 16
    row, column = divmod(marks[1].cell, render.GRID)
    cell = image[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]
    assert (cell.min(axis=2) > 200).any()


@pytest.mark.parametrize("side", [64, 192, 288])
def test_same_state_same_pixels(side):
    scene = Shapes((Thing("red", "cross", 0), Thing("blue", "circle", 3)))
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
