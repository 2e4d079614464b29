"""Turns, placeholders, pictures and answers in the forms that publishers use."""

import pytest

from infinity_mm.record import Message
from infinity_mm.sources.answers import first, letter, options, vote
from infinity_mm.sources.base import ImageRef, Quarantine
from infinity_mm.sources.conversation import place_images, read_images, read_turns


def user(text: str) -> Message:
    return Message(role="user", content=text)


@pytest.mark.parametrize(
    "turns",
    [
        [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}],
        [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
        [{"role": "User", "content": [{"type": "text", "text": "q"}]}, {"from": "bot", "value": "a"}],
    ],
)
def test_spellings_of_turns(turns):
    assert read_turns(turns) == (user("q"), Message(role="assistant", content="a"))


def test_null_becomes_an_empty_text_and_white_space_stays():
    messages = read_turns([{"from": "human", "value": " a\n  b  "}, {"from": "gpt", "value": None}])
    assert [m.content for m in messages] == [" a\n  b  ", ""]


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ("text", "missing_field"),
        (None, "missing_field"),
        (["x"], "unexpected_row"),
        ([{"from": "narrator", "value": "x"}], "unexpected_row"),
        ([{"from": "gpt"}], "missing_field"),
        ([{"from": "gpt", "value": {"a": 1}}], "unexpected_row"),
    ],
)
def test_what_are_no_turns(turns, reason):
    found = read_turns(turns)
    assert isinstance(found, Quarantine)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("text", "images", "expected", "notes"),
    [
        ("<image>\nq", 1, "<image>\nq", ()),
        ("q\n<image>", 1, "q\n<image>", ()),
        ("<|image|>q", 1, "<image>q", ("placeholder_respelled",)),
        ("<img>http://x/y.jpg</img>q", 1, "<image>q", ("placeholder_respelled",)),
        ("q", 2, "<image>\n<image>\nq", ("placeholder_inserted",)),
        ("<image><image>q", 1, "<image><image>q", ()),  # left for the structure filter
        ("what is <image> in HTML?", 0, "what is <image> in HTML?", ()),
        ("<|image|>", 0, "<|image|>", ()),
    ],
)
def test_places_of_pictures(text, images, expected, notes):
    messages, found = place_images((user(text),), images)
    assert messages[0].content == expected
    assert found == notes


@pytest.mark.parametrize("value", [None, "", "None", "nan", " none ", [], {"bytes": None, "path": None}])
def test_no_picture(value):
    assert read_images(value) == ()


def test_pictures():
    assert read_images("a.jpg") == (ImageRef(path="a.jpg"),)
    assert read_images(["a.jpg", {"bytes": b"x", "path": "b.jpg"}]) == (
        ImageRef(path="a.jpg"),
        ImageRef(data=b"x", uri="b.jpg"),
    )
    assert isinstance(read_images(3), Quarantine)


def test_votes_are_stripped_and_ties_go_to_the_first_given():
    ten = ["red "] * 4 + [" blue"] * 4 + ["red"] + ["blue"]
    assert vote([{"answer": a} for a in ten]) == "red"
    assert vote(["b", "a", "a", "b"]) == "b"
    answers = [{"answer": "x", "answer_confidence": "no"}] * 3 + [{"answer": "y", "answer_confidence": "yes"}]
    assert vote(answers, confident=("yes",)) == "y"
    assert isinstance(vote(["", None]), Quarantine)
    assert first(["", " 1/8/93 "]) == "1/8/93"


def test_letters():
    assert letter(["x", "y"], 1) == "B"
    assert options(["x", "y"]) == "A. x\nB. y"
    for choices, index in ((["x"], 1), (["x"], -1), (["x"], "x"), (["x"], True), (None, 0), ([], 0)):
        assert isinstance(letter(choices, index), Quarantine)


def test_who_answers_may_be_any_model_by_name():
    for name in ("gpt", "chatgpt", "bing", "bard", "model", "GPT-4o", "claude"):
        turns = read_turns([{"from": "human", "value": "q"}, {"from": name, "value": "a"}])
        assert [turn.role for turn in turns] == ["user", "assistant"], name
