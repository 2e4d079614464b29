"""Documents and pairs whose pictures are URLs, from the published layout to shards, against a server on loopback."""

import hashlib
import json
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
import yaml

from infinity_mm.export.validate import validate
from infinity_mm.fs import Location
from infinity_mm.pipeline.ingest_only import ingest_only
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import SourceUse, load_recipe
from infinity_mm.store import Store
from tests.download.server import reply
from tests.pipeline.conftest import picture
from tests.sources.families.test_img2dataset import write as write_shard

pytestmark = pytest.mark.usefixtures("shared_ray")

HOST = "127.0.0.1"
POLICY = {"allow_hosts": [HOST], "retries": 0, "per_host_concurrency": 4, "idle_timeout": 2.0}


@pytest.fixture(scope="module")
def pictures():
    return [picture(number) for number in range(6)]


@pytest.fixture
def at(web, pictures):
    """Six pictures on a server; return where each is. Any other path is a 404."""
    for number, body in enumerate(pictures):
        web.routes[HOST, f"/{number}.png"] = reply(body)
    return lambda name: f"http://{HOST}:{web.port}/{name}.png"


def write_obelics(root, documents):
    """Write documents, lists of texts and URLs, as OBELICS does."""
    rows = []
    for number, parts in enumerate(documents):
        urls = [part if part.startswith("http") else None for part in parts]
        places = [url and {"document_url": f"http://page/{number}", "src": url, "alt_text": "Alt."} for url in urls]
        rows.append(
            {
                "images": urls,
                "metadata": json.dumps(places),
                "general_metadata": json.dumps({"url": f"http://page/{number}", "warc_record_offset": number}),
                "texts": [None if url else part for url, part in zip(urls, parts, strict=True)],
            }
        )
    folder = root / "opt_out_docs_removed_2023_07_12"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "train-00000-of-01370-0123456789abcdef.parquet")


def write_mmc4(root, at):
    info = [
        {"image_name": "a.jpg", "raw_url": at(4), "matched_text_index": 1, "matched_sim": 0.3},
        {"image_name": "b.jpg", "raw_url": at("gone"), "matched_text_index": 0, "matched_sim": 0.2},
        {"image_name": "c.jpg", "raw_url": at(5), "matched_text_index": 1, "matched_sim": 0.25},
    ]
    row = {"text_list": ["One.", "Two.", "Three."], "url": "http://page/m", "image_info": info}
    root.mkdir(parents=True)
    with zipfile.ZipFile(root / "docs_no_face_shard_7_v2.jsonl.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("docs_no_face_shard_7_v2.jsonl", json.dumps(row) + "\n{broken\n")


def write_laion(root, at, md5):
    rows = [
        {"SAMPLE_ID": 10, "URL": at(0), "TEXT": "Zero &amp; more.", "WIDTH": 40.0, "similarity": 0.31},
        {"SAMPLE_ID": 11, "URL": at("gone"), "TEXT": "Gone.", "WIDTH": None, "similarity": 0.4},
        {"SAMPLE_ID": 12, "URL": at(1), "TEXT": "One.", "md5": md5},
        {"SAMPLE_ID": 13, "URL": at(2), "TEXT": "Two.", "md5": "0" * 32},
        {"SAMPLE_ID": 14, "URL": at(3), "TEXT": " "},
        {"SAMPLE_ID": 15, "URL": None, "TEXT": "No URL."},
    ]
    root.mkdir(parents=True)
    names = ["SAMPLE_ID", "URL", "TEXT", "WIDTH", "similarity", "md5"]
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    pq.write_table(table, root / "part-00000-5114fd87-0000-0000-0000-000000000000-c000.snappy.parquet")


def do(tmp_path, sources, *overrides):
    tree = {
        "name": "pt", "download": POLICY, "dedup": {"mode": "pair"},
        "sources": [{"name": name, "root": str(tmp_path / name), "max_quarantined": 1.0} for name in sources],
        "filters": [{"use": "structure"}, {"use": "image"}, {"use": "text"}],
        "export": [{"name": "pq", "format": "parquet"}, {"name": "wds", "format": "webdataset"}],
    }  # fmt: skip
    (tmp_path / "pt.yaml").write_text(yaml.safe_dump(tree))
    options = RunOptions(quiet=True)
    return run(load_recipe(tmp_path / "pt.yaml", overrides), Location.of(tmp_path / "work"), options)


def read(tmp_path, folder, key):
    store = Store(Location.of(tmp_path / "work"))
    return {row[key]: row for name in store.at(folder).files() for row in store.read(f"{folder}/{name}").to_pylist()}


def test_documents_and_pairs_from_published_files_to_shards(at, pictures, tmp_path):
    write_obelics(
        tmp_path / "obelics",
        [
            [at(0), "A text.\n\nEND_OF_DOCUMENT_TOKEN_TO_BE_REPLACED\n\nAnother.", at(1)],
            ["Before.", at("gone"), "Between.", at(2), "After, with <image> in it."],
            [at("gone"), "Only this is left."],
            [at("gone"), at("gone2")],
        ],
    )
    write_mmc4(tmp_path / "mmc4", at)
    write_laion(tmp_path / "laion_2b_en", at, hashlib.md5(pictures[1]).hexdigest())
    manifest = do(tmp_path, ("laion_2b_en", "mmc4", "obelics"))
    books = manifest.books
    assert {name: (books[name].rows, books[name].kept, books[name].images_lost) for name in books} == {
        "obelics": (4, 3, 2), "mmc4": (2, 1, 1), "laion_2b_en": (6, 2, 0),
    }  # fmt: skip
    assert books["obelics"].quarantined == {"ingest.download_failed": 1}
    assert books["mmc4"].quarantined == {"ingest.malformed_json": 1}
    assert books["laion_2b_en"].quarantined == {"ingest.download_failed": 2, "ingest.missing_field": 2}
    documents = read(tmp_path, "records/obelics", "source_id")
    texts = {key: row["messages"][0]["content"] for key, row in documents.items()}
    assert texts == {
        "http://page/0": "<image>\nA text.\n\nAnother.\n<image>",
        "http://page/1": "Before.\nBetween.\n<image>\nAfter, with &lt;image&gt; in it.",
        "http://page/2": "Only this is left.",
    }
    assert documents["http://page/1"]["image_bytes"] == [pictures[2]]
    assert json.loads(documents["http://page/1"]["extra"])["alt_text"] == {at("gone"): "Alt.", at(2): "Alt."}
    [sentences] = read(tmp_path, "records/mmc4", "source_id").values()
    assert sentences["messages"] == [{"role": "assistant", "content": "One.\n<image>\n<image>\nTwo. Three."}]
    assert [image["uri"] for image in sentences["images"]] == [at(4), at(5)]
    pairs = read(tmp_path, "records/laion_2b_en", "source_id")
    assert [m["content"] for m in pairs["10"]["messages"]] == [
        "<image>\nPlease describe the image.",
        "Zero &amp; more.",
    ]
    assert json.loads(pairs["10"]["extra"]) == {
        "similarity": 0.31, "text": "Zero &amp; more.", "url": at(0), "width": 40,
    }  # fmt: skip
    ledger = read(tmp_path, "ledger", "id")
    lost = ledger[documents["http://page/1"]["id"]]
    assert (lost["outcome"], lost["detail"]) == (
        "kept",
        f"images_lost=1: http_not_found: status 404 {at('gone')}",
    )
    assert (manifest.download.urls, manifest.download.downloaded) == (7, 5)
    assert validate(Location.of(tmp_path / "work")).errors == []
    exported = read(tmp_path, "exports/pq/data", "id")
    by_id = {row["id"]: row for rows in (documents, {"m": sentences}, pairs) for row in rows.values()}
    assert exported.keys() == by_id.keys()
    paths = [*map(str, (tmp_path / "work" / "exports" / "wds").rglob("*.tar"))]
    samples = {sample["__key__"]: sample for sample in webdataset.WebDataset(paths, shardshuffle=False)}
    assert samples.keys() == by_id.keys()
    for key, row in by_id.items():
        assert exported[key]["messages"] == json.loads(samples[key]["json"])["messages"] == row["messages"]
        assert [image["bytes"] for image in exported[key]["images"]] == row["image_bytes"]
        packed = [data for name, data in samples[key].items() if name != "json" and not name.startswith("__")]
        assert packed == row["image_bytes"]


@pytest.mark.slow
def test_documents_that_are_text_alone_are_quarantined_where_the_recipe_says_so(at, tmp_path):
    write_obelics(tmp_path / "obelics", [["a", at("gone")], ["b", at(0), "c", at("gone")], ["d"]])
    kept = do(tmp_path, ["obelics"]).books["obelics"]
    assert (kept.kept, kept.notes) == (3, {"all_images_lost": 1, "images_lost": 2})
    again = do(tmp_path, ["obelics"], "sources.obelics.all_images_lost=quarantine")
    books = again.books["obelics"]
    assert (books.kept, books.quarantined, books.images_lost) == (2, {"ingest.download_failed": 1}, 1)
    assert read(tmp_path, "quarantine/obelics", "source_id")["http://page/0"]["detail"].startswith(
        "all 1 pictures lost, and text alone is not kept: http_not_found"
    )


def test_what_img2dataset_has_downloaded_is_ingested_without_a_request_from_schema(tmp_path):
    root = tmp_path / "downloaded"
    write_shard(root, "webdataset")
    use = SourceUse(name="laion_2b_en", root=Location.of(root).uri, max_quarantined=1.0)
    manifest = ingest_only(use, Location.of(tmp_path / "work"), RunOptions(quiet=True))
    books = manifest.books["laion_2b_en"]
    assert (books.rows, books.kept) == (6, 2)
    assert books.quarantined == {
        "ingest.download_failed": 2, "ingest.missing_field": 1, "ingest.undecodable_image": 1,
    }  # fmt: skip
    assert manifest.download.urls == 0
    details = {row["detail"] for row in read(tmp_path, "ledger", "id").values() if row["reason"] == "download_failed"}
    assert "img2dataset: failed_to_download: HTTP Error 404: Not Found http://a/2.png" in details
