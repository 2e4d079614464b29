"""Whole exports have no faults, and damage is named."""

import io
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infinity_mm.errors import UsageError
from infinity_mm.export.findings import Keys
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


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_no_byte_of_a_shard_goes_unread(work, tmp_path, kind):
    out = tmp_path / "out"
    shard = out / write(work, kind, Location.of(out)).shards[0].shard
    whole = shard.read_bytes()
    for at in range(5, len(whole), len(whole) // 60):
        shard.write_bytes(whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :])
        assert "SHA-256 differs from the index" in faults(out), at


def test_a_flipped_byte_in_a_data_page_names_the_picture(work, tmp_path):
    out = tmp_path / "out"
    index = write(work, "parquet", Location.of(out))
    row = next(row for row in work[1] if row["id"] == index.shards[0].first_key)
    data = row["image_bytes"][0]
    shard = out / index.shards[0].shard
    whole = shard.read_bytes()
    at = whole.index(data) + 20
    shard.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert f"[{row['id']}]: picture's SHA-256 is" in faults(out)


def retarred(out, change):
    """Write the first shard of an export again, each member as `change` gives it."""
    shard = out / "shard-000000.tar"
    whole = shard.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(whole)) as source, tarfile.open(shard, "w") as target:
        for member in source.getmembers():
            name, data = change(member.name, source.extractfile(member).read())
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda name, data: (name.replace(".png", ".jpg"), data), "expected the pictures png, got jpg"),
        (lambda name, data: (f"x{name}", data), "is no id of 32 hex digits"),
        (lambda name, data: (name, data.replace(b'"general"', b'"cats"')), "category: Input should be"),
        (lambda name, data: (name, b"[]" if name.endswith("json") else data), "its json member is damaged"),
        (lambda name, data: (name.replace(name[:32], name[:32][::-1]), data), "its json member is of 0"),
    ],
)
def test_tars_of_another_hand(work, tmp_path, change, fault):
    out = tmp_path / "out"
    write(work, "webdataset", Location.of(out))
    retarred(out, change)
    assert fault in faults(out)


def test_parquet_of_another_hand(work, tmp_path):
    out = tmp_path / "out"
    shard = out / write(work, "parquet", Location.of(out)).shards[0].shard
    table = pq.read_table(shard)
    pq.write_table(table.slice(1), shard)
    assert "holds 5 samples, the index says 6" in faults(out)
    pq.write_table(pa.concat_tables([table, table]), shard)
    assert "occurs 2 times" in faults(out)
    pq.write_table(table.drop_columns(["image_info"]), shard)
    assert "is not of the schema of exports" in faults(out)
    rows = table.to_pylist()
    rows[0]["image_info"] = []
    rows[0]["images"] = rows[0]["images"] or [{"bytes": b"", "path": "x.png"}]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), shard)
    assert "image_bytes" in faults(out)


def test_a_repeated_id_that_ends_in_zeros_is_named_in_full():
    keys = Keys()
    key = "ab" * 10 + "00" * 6
    assert [keys.add(one) for one in (key, key, "cd" * 16, "short", "no hex" * 6)] == [True, True, True, False, False]
    assert list(keys.repeated()) == [(key, 2)]
