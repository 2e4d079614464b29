"""Exports, read back with the loaders of training and compared byte for byte."""

import json

import datasets
import pytest
import webdataset

from infinity_mm.fs import Location
from tests.export.shards import bytes_of, write


def test_webdataset_reads_back_the_original_bytes(work, tmp_path):
    folder = Location.of(tmp_path / "out")
    index = write(work, "webdataset", folder)
    rows = {row["id"]: row for row in work[1]}
    paths = [(folder / one.shard).path for one in index.shards]
    seen = {}
    for sample in webdataset.WebDataset(paths, shardshuffle=False):
        row = rows[sample["__key__"]]
        label = json.loads(sample["json"])
        assert label["messages"] == row["messages"]
        assert label["conversations"][0] == {"from": "human", "value": row["messages"][0]["content"]}
        pictures = [value for name, value in sample.items() if name != "json" and not name.startswith("__")]
        assert pictures == bytes_of(row, work[1])
        suffixes = [name.split(".")[-1] for name in sample if name != "json" and not name.startswith("__")]
        assert suffixes == [{"jpeg": "jpg"}.get(i["format"], i["format"]) for i in row["images"]]
        seen[sample["__key__"]] = label
    assert len(seen) == index.samples == 23
    assert sorted(one.samples for one in index.shards) == [5, 6, 6, 6]


def test_datasets_opens_parquet_with_decoded_pictures_and_the_original_bytes(work, tmp_path):
    folder = Location.of(tmp_path / "out")
    index = write(work, "parquet", folder)
    rows = {row["id"]: row for row in work[1]}
    paths = [(folder / one.shard).path for one in index.shards]
    table = datasets.load_dataset(
        "parquet", data_files={"train": paths}, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(table) == 23
    for line in table:
        row = rows[line["id"]]
        assert line["messages"] == row["messages"]
        assert [image.size for image in line["images"]] == [(i["width"], i["height"]) for i in row["images"]]
    plain = table.cast_column("images", datasets.List(datasets.Image(decode=False)))
    for line in plain:
        assert [image["bytes"] for image in line["images"]] == bytes_of(rows[line["id"]], work[1])


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_same_rows_same_bytes(work, tmp_path, kind):
    digests = []
    for number in range(2):
        index = write(work, kind, Location.of(tmp_path / f"{number}"))
        digests.append([one.sha256 for one in index.shards])
    assert digests[0] == digests[1]
