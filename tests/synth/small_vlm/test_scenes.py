"""Scenes: what is drawn, and what is kept out of training."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth.small_vlm import scenes


@given(st.integers(0, 2**32), st.sampled_from(scenes.KINDS), st.booleans())
def test_a_scene_has_the_kind_and_the_combinations_asked_for(seed, kind, held_out):
    scene = scenes.draw_scene(random.Random(seed), kind, held_out)
    assert scene.kind == kind
    assert scene.held_out == held_out
    assert scene == scenes.draw_scene(random.Random(seed), kind, held_out)


@given(st.integers(0, 2**32))
def test_things_stand_in_cells_of_their_own_in_reading_order(seed):
    scene = scenes.draw_scene(random.Random(seed), "shapes")
    cells = [thing.cell for thing in scene.things]
    assert cells == sorted(set(cells))
    assert 1 <= len(cells) <= scenes.MAX_THINGS


@given(st.integers(0, 2**32))
def test_bars_differ_in_label_and_color(seed):
    bars = scenes.draw_scene(random.Random(seed), "chart").bars
    assert len({bar.label for bar in bars}) == len({bar.color for bar in bars}) == len(bars)
    assert all(1 <= bar.value <= scenes.MAX_VALUE for bar in bars)


@pytest.mark.parametrize(
    ("scene", "held_out"),
    [
        (scenes.Shapes((scenes.Thing("red", "circle", "small", 0),)), True),
        (scenes.Shapes((scenes.Thing("green", "circle", "small", 0),)), False),
        (scenes.Chart((scenes.Bar("A", "red", 3), scenes.Bar("B", "blue", 1), scenes.Bar("C", "green", 1))), True),
        (scenes.Chart((scenes.Bar("A", "red", 4), scenes.Bar("B", "blue", 1), scenes.Bar("C", "green", 1))), False),
        (scenes.Sign("STOP", "red"), True),
        (scenes.Sign("STOP", "blue"), False),
    ],
)
def test_held_out_combinations(scene, held_out):
    assert scene.held_out == held_out


def test_every_part_of_a_held_out_combination_is_seen_in_another():
    colors = {color for color, _ in scenes.HELD_OUT_THINGS}
    assert len(colors) == len(scenes.HELD_OUT_THINGS) == len(scenes.SHAPES)
    assert {word for word, _ in scenes.HELD_OUT_SIGNS} == set(scenes.WORDS)
    assert len(set(scenes.WORDS)) == len(scenes.WORDS)
