"""What holds for chats and their pictures in whatever form a row has them."""

import json

from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.sources.base import ImageRef, Quarantine
from infinity_mm.sources.chats import join_chat, key_text, other_fields
from infinity_mm.sources.conversation import Chat, Tags, read_chat
from infinity_mm.sources.pictures import embedded_or, read_images

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
TURNS = st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), TEXTS), max_size=5)
PATHS = st.from_regex(r"[a-z]{1,6}/[a-z0-9]{1,6}\.(jpg|png)", fullmatch=True)
WORDS = {"system": "system", "user": "human", "assistant": "gpt"}


@given(TURNS)
def test_the_spelling_of_turns_changes_nothing(turns):
    plain = [{"role": role, "content": text} for role, text in turns]
    expected = read_chat(plain)
    assert isinstance(expected, Chat)
    assert [(message.role, message.content) for message in expected.messages] == turns
    assert read_chat([{"from": WORDS[role], "value": text} for role, text in turns]) == expected
    assert read_chat([{"from": WORDS[r], "value": t, "role": None, "content": None} for r, t in turns]) == expected
    assert read_chat(json.dumps(plain)) == expected
    assert read_chat([{"role": r, "content": [{"type": "text", "text": t}]} for r, t in turns]) == expected
    assert read_chat([[role, text] for role, text in turns]) == expected
    parallel = {"role": [role for role, _ in turns], "content": [text for _, text in turns]}
    assert read_chat(parallel) == expected
    tags = Tags(role="by", content="says", user="U", assistant="A", system="S")
    assert read_chat([{"by": role[0].upper(), "says": text} for role, text in turns], tags) == expected


@given(st.lists(st.one_of(st.none(), PATHS, st.binary(min_size=1, max_size=4)), max_size=4))
def test_pictures_of_a_list_are_those_of_its_items(values):
    singly = [read_images(value) for value in values]
    assert all(isinstance(found, tuple) for found in singly)
    together = sum(singly, ())
    assert read_images(values) == together
    assert read_images(tuple(values)) == together
    if not any(isinstance(value, bytes) for value in values):
        assert read_images(json.dumps(values)) == together


@given(st.lists(PATHS, min_size=1, max_size=4), st.data())
def test_parts_take_their_pictures_from_themselves_or_from_the_list(paths, draw):
    own = draw.draw(st.lists(st.booleans(), min_size=len(paths), max_size=len(paths)))
    parts = [
        {"type": "image", "image": path} if mine else {"type": "image"} for path, mine in zip(paths, own, strict=True)
    ]
    column = read_images([path for path, mine in zip(paths, own, strict=True) if not mine])
    chat = read_chat([{"role": "user", "content": [*parts, {"type": "text", "text": "q"}]}])
    sample = join_chat(chat, column, "", {})
    assert [image.path for image in sample.images] == paths
    assert sample.messages[0].content == "<image>" * len(paths) + "q"
    by_number = [{"type": "image", "index": number} for number in reversed(range(len(paths)))]
    chat = read_chat([{"role": "user", "content": by_number}])
    assert [image.path for image in join_chat(chat, read_images(paths), "", {}).images] == paths[::-1]


def test_a_listed_picture_that_no_part_takes_is_noted():
    chat = read_chat([{"role": "user", "content": [{"type": "image", "image": "a.png"}]}])
    assert join_chat(chat, read_images(["b.png"]), "", {}).notes == ("listed_picture_unused",)


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_whole_numbers_are_the_same_key_in_any_column(number):
    assert key_text(number) == key_text(float(number)) == key_text(str(number)) == str(number)


def test_keys_of_other_types():
    values = (None, float("nan"), True, 0.5, b"\x01", {"$oid": "a"}, [1, 2], 2**70, [2**70])
    shown = ("", "", "", "0.5", "01", "a", "[1,2]", str(2**70), f"[{2**70}]")
    assert [key_text(value) for value in values] == list(shown)


def test_other_fields_have_json():
    row = {"id": 1, "a": None, "b": b"x", "c": {"d": b"x", "e": [b"x", 1]}, "f": "g"}
    assert other_fields(row, ("id",)) == {"c": {"e": [1]}, "f": "g"}


def test_pictures_in_the_row_go_before_names():
    data = {"bytes": b"x", "path": None}
    assert embedded_or(data, "a.png") == (ImageRef(data=b"x"),)
    assert embedded_or([data, data], None) == (ImageRef(data=b"x"),) * 2
    for value in (None, "b.png", {"file_name": "c.png"}, {"bytes": None, "path": "d.png"}, 3):
        assert embedded_or(value, "a.png") == (ImageRef(path="a.png"),)
        assert embedded_or(value, None) == ()


def test_pictures_by_name_and_by_content():
    assert read_images("HTTPS://example.org/a b.jpg") == (ImageRef(url="HTTPS://example.org/a b.jpg"),)
    assert read_images({"bytes": None, "path": "http://example.org/a.jpg"})[0].url == "http://example.org/a.jpg"
    assert read_images("data:;base64,eHl6") == (ImageRef(data=b"xyz"),)
    assert read_images({"base64": "eHl6", "path": "a.png"}) == (ImageRef(data=b"xyz", uri="a.png"),)
    assert read_images("R0lGOD") == (ImageRef(path="R0lGOD"),), "too short for a picture"
    assert read_images("[not json].png") == (ImageRef(path="[not json].png"),)
    assert isinstance(read_images({"height": 3}), Quarantine)
    assert isinstance(read_images({"bytes": "A"}), Quarantine)
