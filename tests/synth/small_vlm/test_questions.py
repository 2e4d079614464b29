"""Answers computed from the scene: worked examples by hand, and laws over random scenes."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infinity_mm.synth.params import RuleParams
from infinity_mm.synth.rows import FORMATS, Attempt, Generated, Tag, Tagged, Typed
from infinity_mm.synth.rules import judge_by_rule
from infinity_mm.synth.small_vlm.questions import ask_all, every_question, leaves, pick, seen_in, terms
from infinity_mm.synth.small_vlm.scenes import KINDS, Bar, Chart, Shapes, Sign, Thing, draw_scene
from infinity_mm.synth.small_vlm.tasks import askable
from infinity_mm.synth.taxonomy import Taxonomy

SHAPES = Shapes((Thing("red", "circle", 0), Thing("blue", "circle", 1), Thing("green", "cross", 3)))
CHART = Chart((Bar("red", 4), Bar("blue", 1), Bar("black", 3)))
scenes = st.builds(
    lambda seed, kind: draw_scene(random.Random(seed), kind), st.integers(0, 2**32), st.sampled_from(KINDS)
)


def answers(scene):
    return {question.text: question.answer for question in ask_all(scene)}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("What color is the cross?", "green"),
        ("What shape is the red object?", "circle"),
        ("Where is the blue object?", "top right"),
        ("Where is the cross?", "bottom right"),
        ("What color is the object in the top left?", "red"),
        ("What shape is the object in the bottom right?", "cross"),
        ("How many circles are there?", "2"),
        ("How many green objects are there?", "1"),
        ("How many squares are there?", "0"),
        ("How many objects are there?", "3"),
        ("Is there a circle in the picture?", "yes"),
        ("Is there a yellow object in the picture?", "no"),
        ("What kind of picture is this?", "drawing of shapes"),
    ],
)
def test_shapes(text, answer):
    assert answers(SHAPES)[text] == answer


@pytest.mark.parametrize(
    "text",
    ["What color is the circle?", "Where is the circle?", "What color is the square?", "How many bars are there?"],
)
def test_what_has_no_single_answer_is_not_asked(text):
    assert text not in answers(SHAPES)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("What is the value of the red bar?", "4"),
        ("Which bar has the value 1?", "blue"),
        ("Which bar is the highest?", "red"),
        ("Which bar is the lowest?", "blue"),
        ("How many bars are there?", "3"),
        ("Is there a green bar in the picture?", "no"),
        ("What kind of picture is this?", "bar chart"),
    ],
)
def test_chart(text, answer):
    assert answers(CHART)[text] == answer


def test_sign():
    found = answers(Sign("TEA", "green"))
    assert found["What does the sign say?"] == "TEA"
    assert found["How many letters does the word have?"] == "3"
    assert found["What color is the sign?"] == "green"


def test_explanations():
    [asked] = [question for question in ask_all(SHAPES) if question.text == "What color is the cross?"]
    assert asked.brief() == "The picture is a drawing of shapes. The answer is green."
    assert asked.brief("red") == "The picture is a drawing of shapes. The answer is red."
    assert asked.detailed() == (
        "The picture is a drawing of shapes. There are 3 objects. Nothing else stands on the plain background. "
        "The answer is green."
    )
    assert asked.wrong == ("blue", "yellow", "purple", "black", "red")
    assert seen_in(Shapes(SHAPES.things[:1]))[1] == "There is 1 object."


def test_types_that_suit_are_types_of_the_taxonomy():
    known = {leaf.name for leaf in Taxonomy.load().leaves}
    assert set(leaves(SHAPES)) | set(leaves(CHART)) | set(leaves(Sign("TEA", "red"))) <= known


@given(scenes)
def test_every_question_is_about_what_is_there_and_has_wrong_answers_that_are_wrong(scene):
    there = terms(scene)
    for question in ask_all(scene):
        assert question.text in every_question()
        assert there.issuperset(question.about)
        assert question.answer not in question.wrong
        assert len(set(question.wrong)) == len(question.wrong) >= (3 if question.options else 1)


@given(scenes)
def test_a_question_has_one_answer_and_every_suitable_type_has_a_question(scene):
    found = {}
    for question in ask_all(scene):
        assert found.setdefault(question.text, question.answer) == question.answer
    assert {question.leaf for question in askable(scene)} == set(leaves(scene))


@example(draw_scene(random.Random(0), "shapes"), "brief", 5000)  # "... is a drawing of shapes. The answer is ..."
@given(scenes, st.sampled_from(FORMATS), st.integers(0, 2**32))
def test_true_pairs_pass_the_rules(scene, form, seed):
    question = pick(random.Random(seed), askable(scene))
    leaf = Taxonomy.load().canonical(question.leaf)
    options = (question.answer, *question.wrong[:3]) if form == "multiple_choice" else ()
    typed = Typed(Attempt(Tagged(None, (Tag("text", 5),)), 0), leaf, form)
    row = Generated(typed, question.text, question.said(form), options)
    assert judge_by_rule(row, (), RuleParams()) is None
