"""What img2dataset has written, in three output formats, without its own help: every row ends as a picture or a reason.

The folders are made here from_schema: as img2dataset lays them out, tars by the writer that it uses.
"""

import json
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image

from infinity_mm.fs import Location
from infinity_mm.images import ImageLimits
from infinity_mm.pipeline.ingest import Ingestor, Made
from infinity_mm.sources.catalogue import load
from infinity_mm.sources.families.img2dataset import is_shard
from infinity_mm.sources.images import ImageStore

FORMS = ("webdataset", "files", "parquet")
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("NSFW", "caption", "url", "key", "status", "error_message", "exif", "sha256")]
    + [(name, pa.int32()) for name in ("width", "height", "original_width", "original_height")]
    + [("similarity", pa.float64())]
)


def picture(shade, kind="JPEG"):
    stream = BytesIO()
    Image.new("RGB", (32 + shade, 32), (shade, 90, 40)).save(stream, kind)
    return stream.getvalue()


def meta_of(number, status="success", error=None, **keys):
    """Return the metadata of one row as img2dataset has it."""
    done = status == "success"
    sizes = {"width": 32, "height": 32, "original_width": 320, "original_height": 320} if done else {}
    return dict.fromkeys(SCHEMA.names) | {
        "NSFW": "UNLIKELY", "similarity": 0.3, "caption": f"Caption {number}.", "url": f"http://a/{number}.png",
        "key": f"{number:09d}", "status": status, "error_message": error, "exif": "{}" if done else None,
        "sha256": "0" * 64 if done else None, **sizes,
    } | keys  # fmt: skip


ROWS = [
    (meta_of(1), picture(1)),
    (meta_of(0), picture(2)),
    (meta_of(2, "failed_to_download", "HTTP Error 404: Not Found"), None),
    (meta_of(4, "failed_to_resize", "image decoding error"), None),
    (meta_of(3, caption=None), picture(3)),
    (meta_of(5), b"\xff\xd8 cut"),
]


def write(root, form, rows=ROWS, shard="00000", kind="jpg"):
    root.mkdir(parents=True, exist_ok=True)
    done = [(meta, data) for meta, data in rows if data is not None]
    metas, schema = [meta for meta, _ in rows], SCHEMA
    if form == "parquet":
        metas = [meta | {kind: data, "txt": meta["caption"]} for meta, data in rows]
        schema = SCHEMA.append(pa.field("txt", pa.string())).append(pa.field(kind, pa.binary()))
    pq.write_table(pa.Table.from_pylist(metas, schema=schema), root / f"{shard}.parquet", row_group_size=2)
    (root / f"{shard}_stats.json").write_text('{"count": 6}')
    if form == "webdataset":
        with webdataset.TarWriter(str(root / f"{shard}.tar")) as tar:
            for meta, data in done:
                text = meta["caption"] or ""
                tar.write({"__key__": meta["key"], kind: data, "txt": text, "json": json.dumps(meta, indent=4)})
    if form == "files":
        (root / shard).mkdir()
        for meta, data in done:
            (root / shard / f"{meta['key']}.{kind}").write_bytes(data)
            (root / shard / f"{meta['key']}.txt").write_text(meta["caption"] or "")
            (root / shard / f"{meta['key']}.json").write_text(json.dumps(meta, indent=4))


def ingest(root, name="laion_2b_en", rows=1_000):
    """Return (reference, record or quarantine) of every row, in order."""
    source, where = load(name), Location.of(root)
    plan = source.reader.plan(where, source.card.files, where / "prepared", rows)
    ingestor = Ingestor(source, ImageStore(where, source.image_roots), ImageLimits())
    found = []
    for split in plan.splits:
        raws = list(source.reader.read(where, split))
        assert len(raws) == split.rows
        found += [ingestor.interpret(split.file, raw) for raw in raws]
    return [made.record if isinstance(made, Made) else made for made in found]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_pictures_are_read_where_they_are_from_schema(tmp_path, form, kind):
    write(tmp_path, form, kind=kind)
    found = ingest(tmp_path)
    assert found == ingest(tmp_path, rows=1)
    assert [row.get("reason") for row in found] == [
        None, None, "download_failed", "download_failed", "missing_field", "undecodable_image",
    ]  # fmt: skip
    record = found[0]
    assert record["image_bytes"] == [picture(1)]
    assert record["source_ref"] == "00000.parquet#row=0"
    assert [m["content"] for m in record["messages"]] == ["<image>\nPlease describe the image.", "Caption 1."]
    place = {"webdataset": "00000.tar", "files": "00000", "parquet": "00000.parquet"}[form]
    assert record["images"][0]["uri"] == f"{place}/000000001.{kind}"
    assert json.loads(record["extra"]) == {
        "caption": "Caption 1.", "url": "http://a/1.png", "nsfw": "UNLIKELY", "similarity": 0.3, "key": "000000001",
        "width": 32, "height": 32, "original_width": 320, "original_height": 320, "exif": "{}", "sha256": "0" * 64,
    }  # fmt: skip
    assert found[2]["detail"] == "img2dataset: failed_to_download: HTTP Error 404: Not Found http://a/2.png"
    assert found[3]["detail"] == "img2dataset: failed_to_resize: image decoding error http://a/4.png"
    assert found[2]["source_id"] == "000000002"


def test_a_tar_without_its_parquet_file_is_read_by_its_json_from_schema(tmp_path):
    write(tmp_path, "webdataset")
    whole = ingest(tmp_path)
    (tmp_path / "00000.parquet").unlink()
    found = ingest(tmp_path)
    assert found == ingest(tmp_path, rows=1)
    assert [row.get("reason") for row in found] == [None, None, "missing_field", "undecodable_image"]
    assert found[0]["source_ref"] == "00000.tar#member=000000001.json"
    same = ("messages", "image_bytes", "images", "extra", "source_id")
    assert [found[0][name] for name in same] == [whole[0][name] for name in same]


@pytest.mark.parametrize("form", FORMS)
def test_a_success_without_a_picture_has_a_reason_from_schema(tmp_path, form):
    write(tmp_path, form, [(meta_of(0), picture(1)), (meta_of(1), None), (meta_of(2, status=None), None)])
    found = ingest(tmp_path)
    assert [row.get("reason") for row in found] == [None, "missing_image", "download_failed"]


def test_the_pictures_of_a_shard_may_be_gone_or_cut_from_schema(tmp_path):
    write(tmp_path, "webdataset", ROWS[:2])
    tar = tmp_path / "00000.tar"
    data = tar.read_bytes()
    tar.write_bytes(data[: 512 * 9])
    cut = [row.get("reason") for row in ingest(tmp_path)]
    assert cut == [None, "missing_image"]
    tar.unlink()
    assert [row["reason"] for row in ingest(tmp_path)] == ["missing_image"] * 2


def test_another_picture_of_another_size_gives_another_digest_from_schema(tmp_path):
    write(tmp_path, "webdataset", ROWS[:1])
    source, where = load("coyo_700m"), Location.of(tmp_path)
    before = source.reader.plan(where, source.card.files, where, 10).files
    (tmp_path / "00000.tar").write_bytes((tmp_path / "00000.tar").read_bytes() + bytes(512))
    after = source.reader.plan(where, source.card.files, where, 10).files
    assert [name for name, _ in before] == ["00000.parquet"]
    assert before != after


def test_shards_are_known_by_their_columns_from_schema(tmp_path):
    write(tmp_path, "webdataset", ROWS[:1])
    pq.write_table(pa.table({"URL": ["u"], "TEXT": ["t"]}), tmp_path / "list.parquet")
    (tmp_path / "junk.parquet").write_bytes(b"PAR1 junk")
    root = Location.of(tmp_path)
    assert [is_shard(root / name) for name in ("00000.parquet", "list.parquet", "junk.parquet", "00000.tar")] == [
        True, False, False, False,
    ]  # fmt: skip
    found = ingest(tmp_path)
    assert [row.get("reason") for row in found] == [None, "malformed_archive", "download_failed"]
    assert found[2]["detail"] == "u was not downloaded"


@pytest.mark.parametrize(
    ("name", "keys", "answer"),
    [
        ("laion_coco", {"top_caption": "a dog"}, "a dog"),
        ("laion_coco", {}, "Caption 0."),
        ("coyo_700m", {}, "Caption 0."),
        ("pmd", {}, "Caption 0."),
    ],
)
def test_all_sources_of_pairs_take_it_from_schema(tmp_path, name, keys, answer):
    meta = meta_of(0) | keys
    schema = SCHEMA
    for key in keys:
        schema = schema.append(pa.field(key, pa.string()))
    pq.write_table(pa.Table.from_pylist([meta], schema=schema), tmp_path / "00000.parquet")
    (tmp_path / "00000").mkdir()
    (tmp_path / "00000" / "000000000.jpg").write_bytes(picture(9))
    [record] = ingest(tmp_path, name)
    assert record["messages"][1]["content"] == answer
    assert record["image_bytes"] == [picture(9)]
