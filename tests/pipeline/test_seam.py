"""Everything goes through the one seam to storage: a source and a run folder that lie on no disk at all.

The file system is fsspec's in memory, which stands for any object store: no path of it exists on this machine.
"""

import gzip
import io
import json
import tarfile

import fsspec
import pytest
from PIL import Image

from infinity_mm.fs import Location
from infinity_mm.pipeline.indexing import IndexTask, index_archive, list_archives, list_indexed
from infinity_mm.pipeline.ingest import ingest_split, make_tasks
from infinity_mm.pipeline.planning import make_task, plan_source, read_plan
from infinity_mm.pipeline.preflight import check_inputs, picture_roots, sample_pictures
from infinity_mm.recipe import Recipe, SourceUse
from infinity_mm.sources.catalogue import load
from infinity_mm.store import Store


@pytest.fixture
def root() -> Location:
    """Six rows of DocDownstream: two pictures in a folder, four in a tar.gz in two pieces."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    root = Location.of("fsspec+memory://bucket/source")
    out = io.BytesIO()
    rows = []
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number in range(6):
            picture = io.BytesIO()
            Image.effect_noise((40, 30), 70).save(picture, "PNG")
            if number < 2:
                (root / f"imgs/{number}.png").write_bytes(picture.getvalue())
            else:
                entry = tarfile.TarInfo(f"imgs/{number}.png")
                entry.size = len(picture.getvalue())
                tar.addfile(entry, io.BytesIO(picture.getvalue()))
            turns = [{"role": "user", "content": "<|image|>What?"}, {"role": "assistant", "content": f"noise {number}"}]
            rows.append(json.dumps({"image": [f"./imgs/{number}.png"], "messages": turns}))
    packed = gzip.compress(out.getvalue())
    (root / "partial-imgs.00").write_bytes(packed[:1_000])
    (root / "partial-imgs.01").write_bytes(packed[1_000:])
    (root / "train.jsonl").write_bytes("\n".join(rows).encode())
    yield root
    memory.store.clear()


def test_a_source_is_checked_indexed_and_ingested_on_an_object_store(root):
    store = Store(Location.of("fsspec+memory://bucket/work"))
    use = SourceUse(name="docdownstream", root=root.uri)
    listings = check_inputs(Recipe(name="r", sources=(use,)))
    assert {name: [one.path for one in found] for name, found in listings.items()} == {"docdownstream": ["train.jsonl"]}
    assert picture_roots(load(use.name), root)[0] == ("", "partial-imgs.*")
    assert sample_pictures(use, None, store=store).found == 2

    for archive in list_archives(use):
        index_archive(IndexTask(store.work.uri, use.root, archive.files, archive.index))
    archives = list_indexed(store, use)
    assert archives is not None
    assert sample_pictures(use, None, store=store).found == 6

    task = make_task(store, use, 100)
    plan_source(task)
    (ingest,) = make_tasks(store.work, use, load(use.name), read_plan(store, task.output), archives=archives)
    ingest_split(ingest)
    rows = store.read(ingest.part.records).to_pylist()
    assert [row["messages"][1]["content"] for row in rows] == [f"noise {number}" for number in range(6)]
    assert all(len(row["image_bytes"][0]) > 500 for row in rows)
    assert store.rows(ingest.part.quarantine) == 0
