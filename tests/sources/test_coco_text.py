"""COCO-Text: questions made from boxes, words in reading order, pictures without text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.errors import SourceError
from infinity_mm.sources.base import Quarantine
from infinity_mm.sources.coco_text import PRESENT, READ, SOURCE, reading_lines
from infinity_mm.sources.families.annotations import INSTANCES, LISTED
from infinity_mm.sources.options import with_options


def word(text, x=0.0, y=0.0, w=10.0, h=10.0, **keys):
    one = {"id": 1, "utf8_string": text, "bbox": [x, y, w, h], "legibility": "legible", "language": "english"}
    return one | keys


def picture(*instances, **keys):
    row = {"id": 7, "file_name": "COCO_train2014_000000000007.jpg", "set": "train", "__key__": "7"}
    return row | {INSTANCES: list(instances), LISTED: len(instances)} | keys


def texts(sample):
    return [message.content for message in sample.messages]


def test_both_questions_are_asked_about_a_picture_with_text():
    sample = SOURCE.parse(picture(word("B", x=20), word("A"), word("C", y=30)))
    opening, yes, question, answer = texts(sample)
    assert (opening, yes, answer) == (f"<image>\n{PRESENT}", "Yes.", "A B\nC")
    assert question in READ
    assert [one["utf8_string"] for one in sample.extra["instances"]] == ["A", "B", "C"]
    assert sample.extra["other_instances"] == 0
    assert sample.images[0].path == "COCO_train2014_000000000007.jpg"


def test_which_question_is_asked_depends_on_the_picture_alone():
    asked = {texts(SOURCE.parse(picture(word("A"), __key__=str(n))))[2] for n in range(40)}
    assert asked == set(READ)


@pytest.mark.parametrize(
    "hidden",
    [
        {"legibility": "illegible"},
        {"language": "not english"},
        {"language": "na"},
        {"utf8_string": " "},
        {"utf8_string": None},
    ],
)
def test_only_legible_english_words_are_read(hidden):
    sample = SOURCE.parse(picture(word("A"), word("B", x=20) | hidden))
    assert texts(sample)[-1] == "A"
    assert sample.extra["other_instances"] == 1


def test_a_picture_without_text_is_a_negative_or_refused():
    row = picture(word("x", legibility="illegible"))
    sample = SOURCE.parse(row)
    assert texts(sample) == [f"<image>\n{PRESENT}", "No."]
    assert sample.notes == ("without_text",)
    refusing = with_options(SOURCE, {"without_text": "refuse"})
    assert refusing.parse(row).reason == "unexpected_row"
    opening, answer = texts(refusing.parse(picture(word("A"))))
    assert opening.removeprefix("<image>\n") in READ
    assert answer == "A"
    with pytest.raises(SourceError, match=r"without_text: .*got 'drop'"):
        with_options(SOURCE, {"without_text": "drop"})


def test_nothing_is_said_of_pictures_whose_instances_may_be_withheld_or_are_missing():
    assert SOURCE.parse(picture(set="test")).reason == "missing_field"
    assert texts(SOURCE.parse(picture(set="val")))[1] == "No."
    lost = SOURCE.parse(picture(word("A"), **{LISTED: 2}))
    assert (lost.reason, lost.source_id) == ("unjoined_annotation", "7")
    assert lost.detail == "imgToAnns lists 2 instances, anns holds 1"
    assert texts(SOURCE.parse(picture(word("A"), **{LISTED: 0})))[-1] == "A"
    assert texts(SOURCE.parse(picture(word("A"), **{LISTED: None})))[-1] == "A"


def test_instances_without_a_picture_are_unjoined():
    lost = SOURCE.parse({"__key__": "9", INSTANCES: [word("A"), word("B")]})
    assert (lost.reason, lost.source_id) == ("unjoined_annotation", "9")
    assert lost.detail.startswith("2 instances")


@pytest.mark.parametrize("row", [{}, {INSTANCES: 3}, {INSTANCES: [3]}, picture(word("A"), file_name=None)])
def test_rows_of_another_shape_are_refused(row):
    assert isinstance(SOURCE.parse(row), Quarantine)


def test_lines_go_from_top_to_bottom_and_each_from_left_to_right():
    words = [
        word("down", 0, 40),
        word("right", 50, 3),
        word("left", 0, 0),
        word("boxless", bbox=[1, 2]),
        word("z", 9, 39),
    ]
    found = [[one["utf8_string"] for one in line] for line in reading_lines(words)]
    assert found == [["left", "right"], ["down", "z"], ["boxless"]]


NUMBER = st.integers(-20, 20) | st.floats(-20, 20)


@given(boxes=st.lists(st.lists(NUMBER, min_size=3, max_size=4), max_size=8), seed=st.randoms())
def test_every_word_stands_in_one_line_whatever_the_boxes(boxes, seed):
    words = [word(str(n), bbox=box) for n, box in enumerate(boxes)]
    found = [one["utf8_string"] for line in reading_lines(words) for one in line]
    assert sorted(found) == sorted(str(n) for n in range(len(boxes)))
