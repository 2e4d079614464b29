"""Training material: requests of the real steps, and replies that those steps accept."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.synth.chat import Reply
from infinity_mm.synth.rows import FORMATS
from infinity_mm.synth.small_vlm.evaluate import Case, cases, is_right, is_true
from infinity_mm.synth.small_vlm.questions import leaves, terms
from infinity_mm.synth.small_vlm.scenes import Bar, Chart, Shapes, Sign, Thing, draw_scene
from infinity_mm.synth.small_vlm.tasks import RIGHT, SHARES, UNANSWERABLE, WRONG, Maker, tags_of
from infinity_mm.synth.structured import fault

seeds = st.integers(0, 2**32)


def made(seed, task):
    rng = random.Random(seed)
    scene = draw_scene(rng)
    return scene, Maker(rng).example(scene, task)


@pytest.mark.parametrize("task", SHARES)
@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_the_right_reply_fits_the_request_and_counts_as_right(task, seed):
    scene, example = made(seed, task)
    if example.request.json_schema is not None:
        assert fault(json.loads(example.target), example.request.json_schema) is None
    if example.request.choices is not None:
        assert example.target in example.request.choices
    case = Case("seen", scene, example)
    assert is_right(case, Reply(key="k", text=example.target))
    assert not is_right(case, Reply(key="k", text=None, error="timeout"))
    assert example == made(seed, task)[1]


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_the_judge_passes_what_is_true_and_nothing_else(seed):
    scene, example = made(seed, "judge")
    score, question = json.loads(example.target)["score"], example.question
    if score == UNANSWERABLE:
        assert not terms(scene).issuperset(question.about)
        return
    said = example.request.prompt.split("Proposed answer: ")[1]
    answer = said.split(". ", 1)[1] if example.form == "multiple_choice" else said
    true = answer == question.said(example.form)
    assert score == (RIGHT if true else WRONG)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_the_type_is_offered_and_suits(seed):
    scene, example = made(seed, "classify")
    offered = set(example.request.choices)
    best = [leaf for leaf in leaves(scene) if leaf in offered]
    assert example.target == (best[0] if best else "None of these")


def test_tags():
    shapes = Shapes((Thing("red", "square", 0), Thing("blue", "cross", 2)))
    assert [(tag.name, tag.confidence) for tag in tags_of(shapes)] == [("red square", 5), ("blue cross", 5)]
    chart = Chart((Bar("red", 1), Bar("blue", 2), Bar("green", 3)))
    assert [tag.name for tag in tags_of(chart)] == ["bar chart", "red bar", "blue bar", "green bar"]
    assert [tag.name for tag in tags_of(Sign("STOP", "green"))] == ["green sign", "text"]
    assert tags_of(None) == ()


SCENE = Shapes((Thing("red", "square", 0), Thing("blue", "cross", 2)))
ASKED = "What color is the cross?"
SEEN = "The picture is a drawing of shapes."


@pytest.mark.parametrize(
    ("leaf", "form", "question", "answer", "distractors", "true"),
    [
        ("Recognize color", "word_or_phrase", ASKED, "blue", (), True),
        ("Recognize color", "word_or_phrase", ASKED, "red", (), False),
        ("Recognize shape", "word_or_phrase", ASKED, "blue", (), False),
        ("Recognize color", "brief", ASKED, f"{SEEN} The answer is blue.", (), True),
        ("Recognize color", "brief", ASKED, "The picture is a sign. The answer is blue.", (), False),
        ("Recognize color", "multiple_choice", ASKED, "blue", ("red", "green", "black"), True),
        ("Recognize color", "multiple_choice", ASKED, "blue", ("red", "red", "black"), False),
        ("Recognize color", "multiple_choice", ASKED, "blue", ("red", "blue", "black"), False),
        ("Recognize color", "word_or_phrase", "What color is the circle?", "blue", (), False),
        ("Detect presence", "word_or_phrase", "Is there a cross in the picture?", "yes", (), False),
    ],
)
def test_truth_of_pairs(leaf, form, question, answer, distractors, true):
    assert is_true(SCENE, leaf, form, question, answer, distractors) is true


def test_cases_are_the_same_every_time_and_of_every_split():
    one, two = cases(3, seed=5), cases(3, seed=5)
    assert one == two
    assert {case.split for case in one} == {"seen", "held_out", "unknown"}
    assert all(case.scene.held_out for case in one if case.split == "held_out")
    assert not any(case.scene.held_out for case in one if case.split == "seen")
    assert all(case.scene is None for case in one if case.split == "unknown")
    assert cases(3, seed=6) != one
    assert {case.example.form for case in cases(30) if case.example.task == "generate"} == set(FORMATS)
