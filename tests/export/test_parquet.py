"""The Parquet form: what is compressed, what is not, and what stands beside the pictures."""

import hashlib

import datasets
import pyarrow.parquet as pq
import pytest

from infinity_mm.export import parquet
from infinity_mm.fs import Location
from infinity_mm.store import leaves
from tests.export.shards import bytes_of, encoded, record, write

PICTURES = "images.list.element.bytes"


@pytest.fixture
def chunks(work, tmp_path):
    """Return column path -> metadata of its chunk, of the first row group of the first shard."""
    index = write(work, "parquet", Location.of(tmp_path / "out"))
    group = pq.ParquetFile(tmp_path / "out" / index.shards[0].shard).metadata.row_group(0)
    return {group.column(number).path_in_schema: group.column(number) for number in range(group.num_columns)}


def test_texts_are_compressed_at_every_depth_and_pictures_are_not(chunks):
    assert set(chunks) == set(leaves(parquet.SCHEMA))
    codecs = {path: chunk.compression for path, chunk in chunks.items()}
    assert codecs.pop(PICTURES) == "UNCOMPRESSED"
    assert {"messages.list.element.content", "image_info.list.element.uri", "id"} <= set(codecs)
    assert set(codecs.values()) == {"ZSTD"}


def test_repeating_texts_have_dictionaries_and_pictures_neither_these_nor_statistics(chunks):
    assert chunks["source"].has_dictionary_page
    assert chunks["messages.list.element.role"].has_dictionary_page
    assert not chunks[PICTURES].has_dictionary_page
    assert not chunks[PICTURES].is_stats_set


def test_each_picture_has_its_facts_beside_it(work, tmp_path):
    index = write(work, "parquet", Location.of(tmp_path / "out"))
    rows = {row["id"]: row for row in work[1]}
    paths = [str(tmp_path / "out" / one.shard) for one in index.shards]
    table = datasets.load_dataset(
        "parquet", data_files={"train": paths}, split="train", cache_dir=str(tmp_path / "cache")
    )
    for line in table.cast_column("images", datasets.List(datasets.Image(decode=False))):
        assert line["image_info"] == rows[line["id"]]["images"]
        digests = [hashlib.sha256(image["bytes"]).hexdigest() for image in line["images"]]
        assert [info["sha256"] for info in line["image_info"]] == digests
        assert [image["bytes"] for image in line["images"]] == bytes_of(rows[line["id"]], work[1])
    assert table.features["image_info"] == datasets.List(
        {"sha256": datasets.Value("string"), "width": datasets.Value("int32"), "height": datasets.Value("int32"),
         "format": datasets.Value("string"), "uri": datasets.Value("string")}
    )  # fmt: skip


def test_row_groups_are_bounded_and_rows_are_taken_as_they_come(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_ROWS", 4)
    asked = []

    def rows():
        for number in range(10):
            asked.append(number)
            yield record(number, [encoded("PNG", number)])

    stats = parquet.write_shard(rows(), Location.of(tmp_path), 0, 1, "fp")
    metadata = pq.ParquetFile(tmp_path / stats.shard).metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [4, 4, 2]
    assert (stats.samples, stats.members, stats.first_key[-1], stats.last_key[-1]) == (10, 3, "0", "9")
    assert stats.sha256 == hashlib.sha256((tmp_path / stats.shard).read_bytes()).hexdigest()
