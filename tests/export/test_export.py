"""Exports, read back with the loaders of training and compared byte for byte; damage found."""

import io
import json
import tarfile

import datasets
import pyarrow as pa
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from infinity_mm.errors import StageError, UsageError
from infinity_mm.export import parquet
from infinity_mm.export import webdataset as wds
from infinity_mm.export.gather import gather
from infinity_mm.export.plan import KEPT, OVERLAYS, plan_shards
from infinity_mm.export.sidecar import finish
from infinity_mm.export.validate import validate
from infinity_mm.fs import Location
from infinity_mm.images import ImageLimits, measure_image
from infinity_mm.schema import RECORDS
from infinity_mm.store import Store

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


def encoded(kind: str, shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40 + shade % 7, 30), (shade % 256, 90, 40)).save(buffer, kind)
    return buffer.getvalue()


def record(number: int, pictures: list[bytes], parent: str | None = None) -> dict[str, object]:
    facts = [measure_image(data, ImageLimits()) for data in pictures]
    images = [{"sha256": f.sha256, "width": f.width, "height": f.height, "format": f.format, "uri": "x"} for f in facts]
    if parent:
        images = [{**image, "uri": f"record:{parent}#0"} for image in images]
    return {
        "id": f"{number:032x}", "source": f"s{number % 2}", "source_id": str(number), "source_ref": f"f#item={number}",
        "category": "general", "license": "mit", "language": "und", "images": images,
        "image_bytes": [None] * len(pictures) if parent else pictures,
        "messages": [
            {"role": "user", "content": "<image>\n" * len(pictures) + f"Frage {number}: wieß?"},
            {"role": "assistant", "content": "好" * (number + 1)},
        ],
        "parent": parent, "extra": '{"a":1}',
    }  # fmt: skip


@pytest.fixture
def work(tmp_path):
    """A run folder with 23 records: one picture in four formats, text only, three pictures, and a borrowed one."""
    store = Store(Location.of(tmp_path / "work"))
    rows = [record(n, [encoded(FORMATS[n % 4], n)]) for n in range(16)]
    rows += [record(n, []) for n in range(16, 20)]
    rows += [record(n, [encoded(kind, n + k) for k, kind in enumerate(FORMATS[:3])]) for n in range(20, 22)]
    child = record(22, [rows[3]["image_bytes"][0]], parent=rows[3]["id"])
    for path, members in (
        ("records/a/part-0.parquet", rows[:9]),
        ("records/a/part-1.parquet", rows[9:]),
        ("records/synthetic/p.parquet", [child]),
    ):
        with store.writer(path, RECORDS) as writer:
            for row in members:
                writer.add(row, 10)
    return store, [*rows, child]


def planned(work, samples_per_shard=7, overlay=None):
    store, rows = work
    parts = ["records/a/part-0.parquet"] * 9 + ["records/a/part-1.parquet"] * 13 + ["records/synthetic/p.parquet"]
    places = [*range(9), *range(13), 0]
    kept = [
        {"id": row["id"], "source": row["source"], "part": part, "row": place, "bytes": 10, "parent": row["parent"]}
        | (overlay or {})
        for row, part, place in zip(rows, parts, places, strict=True)
    ]
    table = pa.Table.from_pylist(kept, schema=pa.schema([*KEPT, *OVERLAYS]))
    donors = table.select(["id", "part", "row", "bytes"])
    return plan_shards(table, seed=1, samples_per_shard=samples_per_shard, donors=donors)


def write(work, kind, folder):
    plan = planned(work)
    stats = []
    for index in range(len(plan)):
        rows = gather(work[0].work, plan.shard(index))
        if kind == "webdataset":
            stats.append(wds.write_shard(rows, folder, index, "fp"))
        else:
            stats.append(parquet.write_shard(rows, folder, index, len(plan), "fp"))
    return finish(folder, kind, stats, "recipe")


def bytes_of(row, rows):
    return rows[3]["image_bytes"] if row["parent"] else row["image_bytes"]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60), st.integers(1, 9), st.randoms())
def test_shards_are_balanced_complete_and_independent_of_order(count, size, rng):
    lines = [{"id": f"{n:032x}", "source": "s", "part": "p", "row": n, "bytes": 1} for n in range(count)]
    plans = []
    for _ in range(2):
        plan = plan_shards(pa.Table.from_pylist(lines, schema=KEPT), seed=5, samples_per_shard=size)
        plans.append([plan.shard(i).rows.column("id").to_pylist() for i in range(len(plan))])
        rng.shuffle(lines)
    assert plans[0] == plans[1]
    sizes = [len(shard) for shard in plans[0]]
    assert sum(sizes) == count
    assert not sizes or max(sizes) - min(sizes) <= 1
    assert all(1 <= n <= size for n in sizes)
    assert len({key for shard in plans[0] for key in shard}) == count


def test_an_id_kept_twice_is_refused():
    line = {"id": "a" * 32, "source": "s", "part": "p", "row": 0, "bytes": 1}
    with pytest.raises(StageError, match="kept twice"):
        plan_shards(pa.Table.from_pylist([line, line], schema=KEPT), seed=5, samples_per_shard=2)


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


def test_overlays_replace_messages_and_language(work):
    mended = [{"role": "user", "content": "neu"}, {"role": "assistant", "content": "gut"}]
    plan = planned(work, overlay={"messages": mended, "language": "de"})
    row = gather(work[0].work, plan.shard(0))[0]
    assert (row["messages"], row["language"]) == (mended, "de")


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_a_whole_export_has_no_faults(work, tmp_path, kind):
    write(work, kind, Location.of(tmp_path / "out"))
    findings = validate(Location.of(tmp_path / "out"))
    assert findings.errors == []
    assert findings.counts["samples"] == 23
    assert findings.counts["webdataset_read" if kind == "webdataset" else "datasets_read"] == 23


def faults(folder):
    return " | ".join(map(str, validate(Location.of(folder)).errors))


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
    finish(Location.of(tmp_path), kind, [], "recipe")
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
