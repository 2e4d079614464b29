"""Pictures in a tar.gz that its publisher cut into pieces: looked up in place, indexed once, missing pieces told."""

import gzip
import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from infinity_mm.fs import Location
from infinity_mm.pipeline.indexing import list_indexed
from infinity_mm.pipeline.ingest_only import ingest_only
from infinity_mm.pipeline.preflight import sample_pictures
from infinity_mm.pipeline.run import RunOptions
from infinity_mm.recipe import SourceUse
from infinity_mm.store import Store

pytestmark = pytest.mark.usefixtures("shared_ray")

OPTIONS = RunOptions(quiet=True)
ROWS = 60


@pytest.fixture
def use(tmp_path) -> SourceUse:
    """DocDownstream as published: rows in JSON Lines, their pictures in a tar.gz in three pieces."""
    root = tmp_path / "root"
    root.mkdir()
    out, lines = io.BytesIO(), []
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number in range(ROWS):
            name = f"imgs/DUE/pngs/{number}.png"
            picture = io.BytesIO()
            noise = np.random.default_rng(number).integers(0, 256, (48, 64), dtype=np.uint8)
            Image.fromarray(noise).save(picture, "PNG")
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = picture.tell()
            picture.seek(0)
            tar.addfile(entry, picture)
            turns = [
                {"role": "user", "content": f"<|image|>what is page {number}?"},
                {"role": "assistant", "content": "noise"},
            ]
            lines.append(json.dumps({"image": [f"./{name}"], "messages": turns, "dataset_name": "DocVQA"}))
    packed = gzip.compress(out.getvalue(), mtime=0)
    third = len(packed) // 3 + 1
    for piece in range(3):
        (root / f"partial-imgs.{piece:02d}").write_bytes(packed[piece * third : (piece + 1) * third])
    (root / "train.jsonl").write_text("\n".join(reversed(lines)) + "\n")
    return SourceUse(name="docdownstream", root=Location.of(root).uri, max_quarantined=1.0)


@pytest.mark.slow
def test_pieces_are_indexed_once_and_a_lost_one_costs_its_rows(use, tmp_path):
    work, store = Location.of(tmp_path / "work"), Store(Location.of(tmp_path / "work"))
    before = sample_pictures(use, None, store=store)
    assert before.unindexed
    assert "partial-imgs is searched only after a run has indexed it" in before.line()

    first = ingest_only(use, work, OPTIONS)
    assert first.books["docdownstream"].kept == ROWS
    assert {stage.name: stage.made for stage in first.stages}["index"] == 1
    after = sample_pictures(use, None, store=store)
    assert (after.found, after.named, after.unindexed) == (ROWS, ROWS, False)
    again = ingest_only(use, work, OPTIONS)
    assert {stage.name: stage.cached for stage in again.stages}["index"] == 1
    assert {stage.name: stage.made for stage in again.stages}["index"] == 0

    (tmp_path / "root/partial-imgs.02").unlink()
    assert list_indexed(store, use) is None, "other files, another index"
    cut = ingest_only(use, Location.of(tmp_path / "cut"), OPTIONS).books["docdownstream"]
    assert cut.rows == ROWS
    assert 0.5 < cut.kept / ROWS < 0.7
    assert sum(cut.quarantined.values()) == ROWS - cut.kept
    assert set(cut.quarantined) <= {"ingest.malformed_archive", "ingest.missing_image"}
    # The picture across the cut, unless this zlib's cut falls between two.
    assert cut.quarantined.get("ingest.malformed_archive", 0) <= 1
    lost = [
        row for part in sorted((tmp_path / "cut/quarantine/docdownstream").glob("*.parquet")) for row in rows_of(part)
    ]
    assert all("ends early" in row["detail"] for row in lost)


def rows_of(path) -> list[dict[str, str]]:
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pylist()
