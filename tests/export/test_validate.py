"""Whole exports have no faults, and damage is named."""

import io
import tarfile

import pytest

from infinity_mm.errors import UsageError
from infinity_mm.export.validate import validate
from infinity_mm.fs import Location
from infinity_mm.schema import RECORDS
from tests.export.shards import close, encoded, faults, write


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_a_whole_export_has_no_faults(work, tmp_path, kind):
    write(work, kind, Location.of(tmp_path / "out"))
    findings = validate(Location.of(tmp_path / "out"))
    assert findings.errors == []
    assert findings.counts["samples"] == 23
    assert findings.counts["webdataset_read" if kind == "webdataset" else "datasets_read"] == 23


def test_damage_is_named(work, tmp_path):
    out = tmp_path / "out"
    write(work, "webdataset", Location.of(out))
    shard = out / "shard-000000.tar"
    whole = shard.read_bytes()
    at = next(whole.index(mark) + 40 for mark in (b"JFIF", b"\x89PNG", b"RIFF", b"GIF8") if mark in whole)
    shard.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    assert "SHA-256 differs from the index" in faults(out)
    assert "picture's SHA-256" in faults(out)
    with tarfile.open(fileobj=io.BytesIO(whole)) as source, tarfile.open(shard, "w") as target:
        for member in source.getmembers()[1:]:
            target.addfile(member, source.extractfile(member))
    assert "has no json member" in faults(out)
    shard.write_bytes((out / "shard-000001.tar").read_bytes())
    assert "keys must be unique over all shards" in faults(out)
    shard.unlink()
    assert "is named by the index and absent" in faults(out)


def test_damaged_parquet_and_a_folder_of_something_else(work, tmp_path):
    out = tmp_path / "out"
    write(work, "parquet", Location.of(out))
    shard = next((out / "data").iterdir())
    shard.write_bytes(shard.read_bytes()[:-20])
    assert "cannot be read as Parquet" in faults(out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="expected a run folder"):
        validate(Location.of(tmp_path / "empty"))


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_an_export_of_nothing_is_whole(tmp_path, kind):
    close(Location.of(tmp_path), kind, [])
    findings = validate(Location.of(tmp_path))
    assert findings.errors == []
    assert findings.counts["samples"] == 0


@pytest.mark.parametrize("damage", ["{", '{"format": "zip", "shards": []}'])
def test_a_damaged_index_is_named(work, tmp_path, damage):
    write(work, "webdataset", Location.of(tmp_path / "out"))
    (tmp_path / "out/index.json").write_text(damage)
    assert faults(tmp_path / "out").startswith("index.json: is damaged")


def test_a_sample_repeated_side_by_side_is_named(work, tmp_path):
    out = tmp_path / "out"
    write(work, "webdataset", Location.of(out))
    shard = out / "shard-000000.tar"
    whole = shard.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(whole)) as source, tarfile.open(shard, "w") as target:
        members = source.getmembers()
        key = members[0].name.partition(".")[0]
        first = [member for member in members if member.name.startswith(f"{key}.")]
        for member in [*first, *members]:
            target.addfile(member, source.extractfile(member))
    assert "the sample is repeated" in faults(out)


def test_an_unfinished_export_is_told_from_records(work, tmp_path):
    out = tmp_path / "work/exports/pq"
    write(work, "parquet", Location.of(out))
    (out / "index.json").unlink()
    with pytest.raises(UsageError, match="the export is unfinished"):
        validate(Location.of(out))


def test_records_with_a_changed_picture_or_a_repeated_id(work, tmp_path):
    store, rows = work
    assert validate(store.work / "records").errors == []
    twice = dict(rows[0])
    twice["image_bytes"] = [encoded("PNG", 77)]
    with store.writer("records/a/part-2.parquet", RECORDS) as writer:
        writer.add(twice, 10)
    text = faults(tmp_path / "work/records")
    assert "the bytes changed" in text
    assert "occurs 2 times" in text
