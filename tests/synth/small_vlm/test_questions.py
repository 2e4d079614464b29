"""Answers computed from the scene: worked examples by hand, and laws over random scenes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth.params import RuleParams
from infinity_mm.synth.rows import FORMATS, Attempt, Generated, Tag, Tagged, Typed
from infinity_mm.synth.rules import judge_by_rule
from infinity_mm.synth.small_vlm.questions import ask_all, direction, leaves, listed, pick, terms
from infinity_mm.synth.small_vlm.scenes import KINDS, Bar, Chart, Shapes, Sign, Thing, draw_scene
from infinity_mm.synth.small_vlm.tasks import askable
from infinity_mm.synth.taxonomy import Taxonomy

SHAPES = Shapes(
    (
        Thing("red", "circle", "large", 0),
        Thing("blue", "circle", "small", 2),
        Thing("orange", "star", "small", 4),
    )
)
CHART = Chart((Bar("C", "red", 4), Bar("A", "blue", 7), Bar("F", "black", 4)))
scenes = st.builds(
    lambda seed, kind: draw_scene(random.Random(seed), kind), st.integers(0, 2**32), st.sampled_from(KINDS)
)


def answers(scene):
    return {question.text: question.answer for question in ask_all(scene)}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("What color is the star?", "orange"),
        ("What shape is the red object?", "circle"),
        ("Where is the blue circle?", "top right"),
        ("What color is the object in the center?", "orange"),
        ("Which object is in the top left?", "red circle"),
        ("How many circles are there?", "2"),
        ("How many orange objects are there?", "1"),
        ("How many squares are there?", "0"),
        ("How many objects are there?", "3"),
        ("Is there a red circle in the picture?", "yes"),
        ("Is there a red star in the picture?", "no"),
        ("Is there an orange star in the picture?", "yes"),
        ("Where is the orange star relative to the red circle?", "below and to the right"),
        ("Where is the red circle relative to the blue circle?", "to the left"),
        ("Which shape appears most often?", "circle"),
        ("What kind of picture is this?", "drawing of shapes"),
    ],
)
def test_shapes(text, answer):
    assert answers(SHAPES)[text] == answer


@pytest.mark.parametrize(
    "text", ["What color is the circle?", "Where is the green square?", "What color is the square?"]
)
def test_what_has_no_single_answer_is_not_asked(text):
    assert text not in answers(SHAPES)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("What is the value of bar A?", "7"),
        ("What is the value of the black bar?", "4"),
        ("What color is bar C?", "red"),
        ("Which bar has the value 7?", "A"),
        ("Which bar is the highest?", "A"),
        ("How many bars are there?", "3"),
        ("Is there a green bar in the picture?", "no"),
        ("What kind of picture is this?", "bar chart"),
    ],
)
def test_chart(text, answer):
    assert answers(CHART)[text] == answer


def test_a_tie_has_no_lowest_bar():
    assert "Which bar is the lowest?" not in answers(CHART)
    assert "Which bar has the value 4?" not in answers(CHART)


def test_sign():
    found = answers(Sign("HOTEL", "green"))
    assert found["What does the sign say?"] == "HOTEL"
    assert found["How many letters does the word have?"] == "5"
    assert found["What color is the sign?"] == "green"


def test_types_that_suit():
    assert leaves(SHAPES)[:2] == ("Determine relative position", "Compare quantities")
    alone = Shapes((Thing("red", "star", "small", 0),))
    assert leaves(alone)[0] == "Count objects"
    known = {leaf.name for leaf in Taxonomy.load().leaves}
    assert set(leaves(SHAPES)) | set(leaves(CHART)) | set(leaves(Sign("TEA", "red"))) <= known


@given(scenes)
def test_every_question_is_about_what_is_there_and_has_wrong_answers_that_are_wrong(scene):
    there = terms(scene)
    for question in ask_all(scene):
        assert there.issuperset(question.about)
        assert question.answer not in question.wrong
        assert len(set(question.wrong)) >= (3 if question.options else 1)


@given(scenes)
def test_open_questions_have_one_answer(scene):
    found = {}
    for question in ask_all(scene):
        if question.open:
            assert found.setdefault(question.text, question.answer) == question.answer


@given(scenes, st.sampled_from(FORMATS), st.integers(0, 2**32))
def test_true_pairs_pass_the_rules(scene, form, seed):
    question = pick(random.Random(seed), askable(scene, form))
    leaf = Taxonomy.load().canonical(question.leaf)
    options = (question.answer, *question.wrong[:3]) if form == "multiple_choice" else ()
    typed = Typed(Attempt(Tagged(None, (Tag("text", 5),)), 0), leaf, form)
    row = Generated(typed, question.text, question.said(form), options)
    assert judge_by_rule(row, (), RuleParams(yes_no="keep")) is None


@given(st.integers(0, 8), st.integers(0, 8))
def test_directions_mirror(a, b):
    mirror = {"above": "below", "below": "above", "left": "right", "right": "left"}
    there, back = direction(a, b), direction(b, a)
    assert " ".join(mirror.get(word, word) for word in there.split()) == back
    assert (there == "") == (a == b)


def test_listed():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
