"""Compiled tokens are those of the Python definition, whatever the text."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.dedup.kernels.normal import tokenise
from infinity_mm.text import normalise, repair, tokens

#: Everything the rules look at: numbers and their signs, placeholders, spaces, scripts, marks, broken encodings.
TELLING = st.one_of(
    st.sampled_from(
        "0159%-*/.,;!<>=+^ \t\n\r\x0b\x1c\x00\x7faBßİﬁＡ²é図ก๑๒한。“😀٣𠀀\u0301\u00a0\u2028\u3000\x85\ufffd\U0001d54f\ufdfa"
    ),
    st.sampled_from(["<image>", "<IMAGE>", "<ima", "\r\n", "e\u0301", "か\u3099", "\u1112\u1161", "Ã©", "â€™"]),
)
TEXTS = st.lists(st.one_of(st.lists(TELLING, max_size=30).map("".join), st.text(max_size=40)), max_size=6)


def defined(text: str | None) -> str:
    return " ".join(tokens(normalise(repair(text or ""))))


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_tokens_equal_the_definition(texts):
    found = tokenise(pa.array(texts, pa.string()))
    assert [found.text(index) for index in range(len(found))] == [defined(text) for text in texts]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.text("abZ09 ", max_size=140), st.text("abcdefgh ABC.,-%\n5é", max_size=140)), max_size=4),
    st.integers(0, 3),
)
def test_long_runs_of_ascii_equal_the_definition(texts, skipped):
    found = tokenise(pa.array([*["x" * 70] * skipped, *texts], pa.string()).slice(skipped))
    assert [found.text(index) for index in range(len(found))] == [defined(text) for text in texts]
    assert [len(found.pieces(index)) for index in range(len(found))] == [len(defined(text).split()) for text in texts]


@settings(max_examples=50, deadline=None)
@given(TEXTS)
def test_token_ends_are_the_spaces_between(texts):
    found = tokenise(pa.array(texts, pa.large_string()))
    for index, text in enumerate(texts):
        ends = found.ends[found.first[index] : found.first[index + 1]]
        begins = [found.starts[index], *(ends[:-1] + 1)] if len(ends) else []
        cut = [bytes(found.data[begin:end]).decode() for begin, end in zip(begins, ends, strict=True)]
        assert cut == defined(text).split()


def test_slices_and_nulls_are_read_in_place():
    texts = pa.array(["dropped", "A b", None, "图 c", "dropped"]).slice(1, 3)
    found = tokenise(texts)
    assert [found.text(index) for index in range(3)] == ["a b", "", "图 c"]
    assert len(tokenise(pa.array([], pa.string()))) == 0


@pytest.mark.parametrize("character", ["\x00", "\u0301", "Ã©", "日"])
def test_a_batch_of_mixed_paths(character):
    texts = ["plain", f"a {character} b", "", f"{character}", "last one"]
    found = tokenise(pa.array(texts))
    assert [found.text(index) for index in range(5)] == [defined(text) for text in texts]


def test_every_character_equals_the_definition():
    """Between a letter, a digit and a sign, alone and doubled."""
    points = [
        point
        for point in (*range(0x3400), *range(0xA000, 0x10000), *range(0x1F000, 0x1F100))
        if not 0xD800 <= point < 0xE000
    ]
    texts = [f"a{chr(point)}{chr(point)} 1{chr(point)}2 -{chr(point)}" for point in points]
    found = tokenise(pa.array(texts))
    assert [found.text(index) for index in range(len(texts))] == [defined(text) for text in texts]


def test_texts_that_grow_beyond_what_was_expected():
    texts = ["a b", "㍿" * 5_000, "₨㌀㍿" * 3_000, "c"] * 2
    found = tokenise(pa.array(texts))
    assert [found.text(index) for index in range(len(texts))] == [defined(text) for text in texts]
