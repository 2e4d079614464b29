"""How a file is told: one row by itself, rows inside an object, an archive beside what was unpacked from it."""

import gzip
import json

import pytest

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.sources.families.rowfiles import RowFiles
from tests.sources.reading import same_for_all_sizes


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
