"""Scenes: what is drawn, and what is kept out of training."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth.small_vlm import scenes
from infinity_mm.synth.small_vlm.scenes import Bar, Chart, Shapes, Sign, Thing, alone


@given(st.integers(0, 2**32), st.sampled_from(scenes.KINDS), st.booleans())
def test_a_scene_has_the_kind_and_the_combinations_asked_for(seed, kind, held_out):
    scene = scenes.draw_scene(random.Random(seed), kind, held_out)
    assert scene.kind == kind
    assert scene.held_out == held_out
    assert scene == scenes.draw_scene(random.Random(seed), kind, held_out)


@given(st.integers(0, 2**32))
def test_things_stand_in_quarters_of_their_own_and_one_can_be_told_from_the_others(seed):
    things = scenes.draw_scene(random.Random(seed), "shapes").things
    quarters = [thing.quarter for thing in things]
    assert quarters == sorted(set(quarters))
    assert len({thing.name for thing in things}) == len(things)
    assert alone(things, "color") or alone(things, "shape")


@given(st.integers(0, 2**32))
def test_bars_differ_in_color_and_value(seed):
    bars = scenes.draw_scene(random.Random(seed), "chart").bars
    assert len({bar.value for bar in bars}) == len({bar.color for bar in bars}) == len(bars)
    assert all(1 <= bar.value <= scenes.MAX_VALUE for bar in bars)


@pytest.mark.parametrize(
    ("scene", "held_out"),
    [
        (Shapes((Thing("red", "circle", 0),)), True),
        (Shapes((Thing("green", "circle", 0),)), False),
        (Chart((Bar("blue", 1), Bar("red", 2))), True),
        (Chart((Bar("blue", 2), Bar("red", 1))), False),
        (Sign("STOP", "red"), True),
        (Sign("STOP", "blue"), False),
    ],
)
def test_held_out_combinations(scene, held_out):
    assert scene.held_out == held_out


def test_every_part_of_a_held_out_combination_is_seen_in_another():
    assert {shape for _, shape in scenes.HELD_OUT_THINGS} == set(scenes.SHAPES)
    assert len({color for color, _ in scenes.HELD_OUT_THINGS}) == len(scenes.SHAPES)
    assert {value for _, value in scenes.HELD_OUT_BARS} == set(range(1, scenes.MAX_VALUE + 1))
    assert {word for word, _ in scenes.HELD_OUT_SIGNS} == set(scenes.WORDS)
    assert len(set(scenes.WORDS)) == len(scenes.WORDS)


def test_what_is_alone():
    red, blue, green = Thing("red", "circle", 0), Thing("blue", "circle", 1), Thing("green", "cross", 3)
    assert alone((red, blue, green), "shape") == {"cross": green}
    assert alone((red, blue, green), "color") == {"red": red, "blue": blue, "green": green}
