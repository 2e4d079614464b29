"""Listing local folders: links, circles of them, links that lead nowhere, and names that are no text."""

import os

import pytest

from infinity_mm.fs import Location
from infinity_mm.walking import walk


def put(path, data=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_links_are_followed_and_circles_end(tmp_path):
    put(tmp_path / "a/1.png")
    put(tmp_path / "b/c/2.png")
    for link, target in (("linked", "a"), ("one.png", "a/1.png"), ("a/up", ".."), ("b/c/top", "../.."), ("b/me", ".")):
        os.symlink(target, tmp_path / link)
    assert Location.of(tmp_path).files(recursive=True) == ["a/1.png", "b/c/2.png", "linked/1.png", "one.png"]
    assert Location.of(tmp_path).folders() == ["a", "b", "linked"]


def test_a_link_to_nowhere_is_an_entry_and_no_file(tmp_path):
    put(tmp_path / "1.png", b"four")
    os.symlink("gone.png", tmp_path / "2.png")
    os.symlink("3.png", tmp_path / "3.png")
    os.mkfifo(tmp_path / "pipe.png")
    where = Location.of(tmp_path)
    assert [(entry.path, entry.size) for entry in where.entries()] == [("1.png", 4), ("2.png", 0), ("3.png", 0)]
    assert where.entries()[0].modified_ns == (where / "1.png").modified_ns()
    assert where.files() == ["1.png"]
    assert {found.path: found.kind for found in walk(str(tmp_path), recursive=True)}["2.png"] == "broken"


def test_names_that_are_no_text_are_told_and_cost_no_other(tmp_path):
    put(tmp_path / "a.png")
    try:
        with open(os.fsencode(tmp_path) + b"/caf\xe9.png", "wb"):
            pass
        os.mkdir(os.fsencode(tmp_path) + b"/d\xff")
    except OSError:
        pytest.skip("this file system takes no such names")
    where = Location.of(tmp_path)
    assert where.files(recursive=True) == ["a.png", "caf\\xe9.png"]
    assert where.folders() == ["d\\xff"]


def test_there_is_nothing_below_what_is_no_folder(tmp_path):
    put(tmp_path / "a.png")
    for name in ("gone", "a.png", "a.png/b", "x" * 300):
        assert Location.of(tmp_path / name).files(recursive=True) == []
        assert Location.of(tmp_path / name).entries() == []
