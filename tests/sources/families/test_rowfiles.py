"""JSON and JSON Lines: how a file is told, cuts, repeats, damage; an archive beside what was unpacked from it."""

import gzip
import json

import pytest

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.sources.families.rowfiles import RowFiles
from tests.sources.reading import rows_of, same_for_all_sizes


@pytest.mark.parametrize("indent", [None, 1])
def test_an_object_with_named_columns_is_a_row_by_itself(tmp_path, indent):
    (tmp_path / "a.json").write_text(json.dumps({"Images": ["u"], "texts": [None], "more": 1}, indent=indent))
    found = same_for_all_sizes(RowFiles(columns=("images", "texts")), tmp_path)
    assert [f[4] for f in found] == [{"Images": ["u"], "texts": [None], "more": 1}]


@pytest.mark.parametrize("indent", [None, 1])
def test_a_minified_container_is_told_from_a_row(tmp_path, indent):
    (tmp_path / "a.json").write_text(json.dumps({"info": {}, "rows": [{"id": 1}, {"id": 2}]}, indent=indent))
    (tmp_path / "b.jsonl").write_text('{"id": 3, "rows": 1}\n')
    (tmp_path / "c.jsonl").write_text('{"id": 4, "rows": []}\n{"id": 5, "rows": [1]}\n')
    found = same_for_all_sizes(RowFiles(inside=("rows",)), tmp_path)
    assert [f[4]["id"] for f in found] == [1, 2, 3, 4, 5]


def test_what_was_unpacked_is_not_read_twice(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(b'{"id": "%s"}\n' % name.encode()))
    (tmp_path / "a.jsonl").write_text('{"id": "unpacked"}\n')
    found = same_for_all_sizes(RowFiles(suffixes=(".jsonl", ".jsonl.gz")), tmp_path)
    assert [(f[0], f[4]["id"]) for f in found] == [("a.jsonl", "unpacked"), ("b.jsonl.gz", "b.jsonl")]


def test_a_pointer_of_git_lfs_is_named_as_what_it_is(tmp_path):
    (tmp_path / "train-00000-of-00001.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    root = Location.of(tmp_path)
    with pytest.raises(SourceError, match="git lfs pull"):
        RowFiles().plan(root, ("*.parquet",), root / ".prepared", 10)


def test_json_lines(tmp_path):
    lines = ['{"id": 1}', '{"id": 1}', "", '{"id": 2, "t": "ä"}', '{"id": 3, "cut', "[1]", '{"id": 1}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [(locator, repeat, reason) for _, locator, _, repeat, _, reason in found] == [
        ("line=1", 0, None),
        ("line=2", 1, None),
        ("line=4", 0, None),
        ("line=5", 0, "malformed_json"),
        ("line=6", 0, "unexpected_row"),
        ("line=7", 2, None),
    ]


@pytest.mark.parametrize("indent", [None, 1])
def test_json_array(tmp_path, indent):
    (tmp_path / "a.json").write_text(json.dumps([{"id": 1, "x": 1.5}, {"id": 1, "x": 1.5}, {"id": 2}], indent=indent))
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [(f[1], f[3], f[4]) for f in found] == [
        ("item=0", 0, {"id": 1, "x": 1.5}),
        ("item=1", 1, {"id": 1, "x": 1.5}),
        ("item=2", 0, {"id": 2}),
    ]


def test_an_array_that_breaks_off_keeps_what_stands_before(tmp_path):
    (tmp_path / "a.json").write_text('[{"id": 1}, {"id": 2}, {"id": 3, "te')
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [(f[1], f[5]) for f in found] == [("item=0", None), ("item=1", None), ("item=2", "malformed_json")]


def test_one_broken_element_of_an_array_costs_its_own_row(tmp_path):
    rows = [
        "null",
        '{"id": 1}',
        '{"id": nul}',
        '{"id": nul}',
        '{"id": ' + "[" * 300 + "]" * 300 + "}",
        '{"id": 2}',
        "{bad",
    ]
    (tmp_path / "a.json").write_text("[" + ", ".join(rows))
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [(f[1], f[3], f[5]) for f in found] == [
        ("item=0", 0, "unexpected_row"),
        ("item=1", 0, None),
        ("item=2", 0, "malformed_json"),
        ("item=3", 1, "malformed_json"),
        ("item=4", 0, "malformed_json"),
        ("item=5", 0, None),
        ("item=6", 0, "malformed_json"),
    ]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize(
    "first",
    [
        '{"id": 1, "pad": "' + "x" * 1_500_000 + '"}',
        '{"id": ',
        '{"id": \ngarbage',
        "\ufeff" + '{"id": 1}',
        "[1]",
        "junk",
    ],
)
def test_lines_are_told_from_containers_whatever_the_first_line_is(tmp_path, name, first):
    (tmp_path / name).write_text(first + '\n{"id": 2}\n{"id": 3}\n', encoding="utf-8")
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [f[4]["id"] for f in found if f[4] and f[4]["id"] != 1] == [2, 3]
    assert len(found) == first.count("\n") + 3


def test_a_long_line_is_read_in_linear_time_and_memory(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"t": "' + "x" * 40_000_000 + '"}\n{"id": 2}')
    found = rows_of(RowFiles(), tmp_path, 10)
    assert [f[1] for f in found] == ["line=1", "line=2"]
    assert len(found[0][4]["t"]) == 40_000_000


@pytest.mark.parametrize("indent", [None, 2])
def test_rows_inside_an_object_and_an_object_keyed_by_id(tmp_path, indent):
    (tmp_path / "a.json").write_text(json.dumps({"info": {}, "data": [{"q": 1}, {"q": 2}]}, indent=indent))
    reader = RowFiles(inside=("data",), lines=False)
    assert [f[1] for f in same_for_all_sizes(reader, tmp_path)] == ["item=0", "item=1"]
    (tmp_path / "a.json").write_text(json.dumps({"007": {"q": 1}, "8": {"q": 1}}, indent=indent))
    found = same_for_all_sizes(RowFiles(lines=False), tmp_path)
    assert [(f[1], f[4]["__key__"]) for f in found] == [("key=007", "007"), ("key=8", "8")]
