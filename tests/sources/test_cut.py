"""JSON taken apart without parsing it: whole files, broken ones, and what one broken element costs."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.fs import Location
from infinity_mm.sources.families import cut
from infinity_mm.sources.families.cut import MAX_DEPTH, BrokenOff, parse_row, pieces

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=12) | st.sampled_from(['"', "\\", "]},", "[{:"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def cut_up(tmp_path, content, arrays=()):
    """Return (inside, key, text) of each piece, and whether the file broke off."""
    path = tmp_path / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = []
    try:
        for piece in pieces(Location.of(path), arrays):
            found.append((piece.inside, piece.key, piece.text))
    except BrokenOff:
        return found, True
    return found, False


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(VALUES, max_size=5),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
    chunk=st.integers(1, 9),
)
def test_an_array_gives_its_elements_whatever_the_layout_and_the_chunks(
    tmp_path_factory, rows, indent, ascii_only, chunk
):
    text = json.dumps(rows, indent=indent, ensure_ascii=ascii_only)
    before, cut._CHUNK = cut._CHUNK, chunk
    try:
        found, broken = cut_up(tmp_path_factory.mktemp("cut"), text)
    finally:
        cut._CHUNK = before
    assert not broken
    assert [orjson.loads(piece) for _, _, piece in found] == rows


@settings(max_examples=100, deadline=None)
@given(tree=st.dictionaries(st.text(max_size=4), VALUES, max_size=5), indent=st.sampled_from([None, 1]))
def test_an_object_gives_its_members(tmp_path_factory, tree, indent):
    found, broken = cut_up(tmp_path_factory.mktemp("cut"), json.dumps(tree, indent=indent))
    assert not broken
    assert {key: orjson.loads(text) for _, key, text in found} == tree


def test_named_arrays_of_an_object_are_announced_and_streamed(tmp_path):
    tree = {"info": {"data": [1]}, "data": [{"q": 1}, 2], "none": [], "end": "x"}
    found, broken = cut_up(tmp_path, json.dumps(tree, indent=1), ("data", "none"))
    assert not broken
    assert [(inside, key) for inside, key, _ in found] == [
        ("", "info"), ("data", None), ("data", None), ("data", None), ("none", None), ("", "end"),
    ]  # fmt: skip
    assert [text for inside, _, text in found if inside] == [None, b'{\n   "q": 1\n  }', b"2", None]


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        ('[{"a": 1}, {"a": 2', 1),
        ('[{"a": 1}, "open', 1),
        ('[{"a": 1}]}', 1),
        ('[{"a": 1}] [2]', 1),
        ('[{"a": 1}}', 1),
        ('{"a": 1, "b"', 1),
        ('{"a": 1, 5: 2}', 1),
        ("", 0),
        ("17", 0),
        ("x [1]", 0),
    ],
)
def test_what_stands_before_a_break_is_kept(tmp_path, content, whole):
    found, broken = cut_up(tmp_path, content)
    assert broken
    assert len(found) == whole


def test_a_broken_element_costs_itself_alone(tmp_path):
    found, broken = cut_up(tmp_path, b'\xef\xbb\xbf[1, nul, {"a": "\xff"}, "\\ud800", {"a" 1}, , [2]]')
    assert not broken
    assert [problem is None for _, problem in (parse_row(text) for _, _, text in found)] == [
        True, False, False, False, False, False, True,
    ]  # fmt: skip


def test_what_python_writes_for_missing_floats_is_null_and_nothing_else_is_forgiven():
    row = {"image": float("nan"), "text": 'a "NaN" \\ Infinity', "scores": [float("inf"), -float("inf"), 1.5]}
    read = {"image": None, "text": row["text"], "scores": [None, None, 1.5]}
    assert parse_row(json.dumps(row).encode()) == (read, None)
    for broken in (b'{"a": NaN,}', b'{"a": NaN} {', b'{"a": NaN, "b": "\\ud83d"}', b'{"a": NaN, "b": "\xff"}', b"NaN"):
        assert parse_row(broken)[1] is not None


def test_a_bottomless_row_is_told_apart_and_not_parsed(tmp_path):
    deep = "[" * 100_000 + "]" * 100_000
    found, broken = cut_up(tmp_path, f"[1, {deep}, 3]")
    assert not broken
    assert [parse_row(text)[1] for _, _, text in found] == [
        None,
        f"nested 100000 levels deep, more than {MAX_DEPTH}",
        None,
    ]
    brackets = json.dumps({"text": "[{" * 1000, "rows": [[n] for n in range(200)]}).encode()
    assert parse_row(brackets)[1] is None, "brackets in texts and side by side are no depth"


@pytest.mark.parametrize("chunk", [1, 3, 1 << 20])
@pytest.mark.parametrize("indent", [None, 1])
def test_named_objects_are_opened_one_level_deep_and_the_arrays_inside_are_streamed(
    tmp_path, monkeypatch, chunk, indent
):
    monkeypatch.setattr(cut, "_CHUNK", chunk)
    tree = {"data": {"rows": [{"rows": [1]}, 2], "data": {"x": 3}, "e": "}"}, "rows": [4], "end": {"rows": [5]}}
    (tmp_path / "a.json").write_text(json.dumps(tree, indent=indent))
    found = list(pieces(Location.of(tmp_path / "a.json"), ("rows",), ("data",)))
    assert [(piece.inside, piece.key, piece.text and json.loads(piece.text)) for piece in found] == [
        ("rows", None, None),
        ("rows", None, {"rows": [1]}),
        ("rows", None, 2),
        ("data", "data", {"x": 3}),
        ("data", "e", "}"),
        ("rows", None, None),
        ("rows", None, 4),
        ("", "end", {"rows": [5]}),
    ]


@pytest.mark.parametrize(("content", "whole"), [('{"o": {"a": 1, "b": 2', 1), ('{"o": {"a": 1]', 1), ('{"o": {}]', 0)])
def test_what_stands_before_a_break_inside_a_named_object_is_kept(tmp_path, content, whole):
    (tmp_path / "a.json").write_text(content)
    found = []
    with pytest.raises(BrokenOff):
        for piece in pieces(Location.of(tmp_path / "a.json"), (), ("o",)):
            found.append(piece.key)
    assert found == ["a"][:whole]
