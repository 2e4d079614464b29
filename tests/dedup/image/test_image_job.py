"""Folders and tables of pictures, with copies planted whose fate is known."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images

from infinity_mm.dedup.image.facts import SCALED_SIDE, PictureFacts, picture_facts
from infinity_mm.dedup.image.inputs import Columns, find_units
from infinity_mm.dedup.image.job import Job, deduplicate_images
from infinity_mm.dedup.image.params import ImageParams
from infinity_mm.errors import StageError, UsageError
from infinity_mm.fs import Location
from infinity_mm.images import ImageFault, ImageLimits, measure_image
from infinity_mm.progress import Reporter


@pytest.fixture(scope="session")
def photos() -> list[Image.Image]:
    return [Image.fromarray(pixels) for pixels in load_sample_images().images]


def encoded(image: Image.Image, format_name: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def run(folder: Path, out: Path, workers: int = 2, columns: Columns | None = None, **params: object) -> dict:
    job = Job(str(folder), columns or Columns(), ImageParams(**params), Location.of(str(out)), workers)
    summary = deduplicate_images(job, Reporter(quiet=True))
    assert json.loads((out / "summary.json").read_bytes()) == summary
    return summary


def removed(out: Path) -> dict[str, tuple[str, int]]:
    rows = pq.read_table(out / "removed.parquet").to_pylist()
    return {row["id"]: (row["winner"], row["distance"]) for row in rows}


@pytest.fixture
def folder(tmp_path: Path, photos: list[Image.Image]) -> Path:
    """Two photographs with copies; blank pictures; two charts of one template; what is no picture."""
    place = tmp_path / "pictures"
    (place / "deep/er").mkdir(parents=True)
    china, flower = photos
    (place / "china.png").write_bytes(encoded(china, "PNG"))
    (place / "deep/china-90.jpg").write_bytes(encoded(china, quality=90))
    (place / "deep/er/china-small.jpg").write_bytes(encoded(china.resize((400, 267)), quality=60))
    (place / "flower.jpg").write_bytes(encoded(flower, quality=95))
    (place / "flower-copy.jpg").write_bytes(encoded(flower, quality=95))
    for number, tone in enumerate((200, 201)):
        (place / f"blank-{number}.png").write_bytes(encoded(Image.new("RGB", (300, 300), (tone,) * 3), "PNG"))
    (place / "blank-2.bmp").write_bytes(encoded(Image.new("RGB", (300, 300), (200,) * 3), "BMP"))
    for number in range(2):
        chart = Image.new("RGB", (400, 300), "white")
        ImageDraw.Draw(chart).rectangle((50, 250 - 8 * number, 90, 280), fill="black")
        (place / f"chart-{number}.png").write_bytes(encoded(chart, "PNG"))
    (place / "cut.jpg").write_bytes(encoded(china)[:5_000])
    (place / "notes.txt").write_text("no picture")
    return place


def test_copies_go_and_lookalikes_stay(folder, tmp_path):
    summary = run(folder, tmp_path / "out")
    lost = removed(tmp_path / "out")
    assert {key: winner for key, (winner, _) in lost.items()} == {
        "deep/china-90.jpg": "china.png",
        "deep/er/china-small.jpg": "china.png",
        "flower.jpg": "flower-copy.jpg",
        "blank-0.png": "blank-2.bmp",
    }
    assert all(distance <= 8 for _, distance in lost.values())
    assert (summary["pictures"], summary["kept"], summary["removed"]) == (11, 6, 4)
    assert summary["unreadable"] == {"undecodable_image": 1}
    assert summary["files_without_a_picture_suffix"] == 1
    faults = pq.read_table(tmp_path / "out/unreadable.parquet").to_pylist()
    assert [row["id"] for row in faults] == ["cut.jpg"]


def test_the_same_for_any_workers_and_after_a_stop(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("infinity_mm.dedup.image.inputs.UNIT_FILES", 2)
    run(folder, tmp_path / "one", workers=1)
    run(folder, tmp_path / "four", workers=4)
    hashes = sorted((tmp_path / "four/state/hashes").iterdir())
    assert len(hashes) == 6
    hashes[2].unlink()
    hashes[4].unlink()
    before = {path: path.stat().st_mtime_ns for path in hashes if path.exists()}
    (tmp_path / "four/removed.parquet").unlink()
    run(folder, tmp_path / "four")
    assert {path: path.stat().st_mtime_ns for path in before} == before  # hashed once
    for name in ("removed.parquet", "unreadable.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "four" / name).read_bytes()


def test_a_changed_file_is_hashed_again(folder, tmp_path, photos):
    run(folder, tmp_path / "out")
    (folder / "flower-copy.jpg").write_bytes(encoded(photos[0].rotate(90), quality=95))
    run(folder, tmp_path / "out")
    assert "flower.jpg" not in removed(tmp_path / "out")


def test_first_keeps_the_first_id(folder, tmp_path):
    run(folder, tmp_path / "out", keep="first")
    winners = {winner for winner, _ in removed(tmp_path / "out").values()}
    assert winners == {"china.png", "flower-copy.jpg", "blank-0.png"}


@pytest.mark.parametrize("cell", ["bytes", "struct", "list"])
def test_a_column_of_parquet(tmp_path, photos, cell):
    data = [encoded(photos[0], quality=95), encoded(photos[0], quality=70), encoded(photos[1])]
    shaped = {
        "bytes": data,
        "struct": [{"bytes": one, "path": "x.jpg"} for one in data],
        "list": [[one] for one in data],
    }
    table = pa.table({"key": [7, 8, 9], "picture": [*shaped[cell]]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    summary = run(tmp_path / "a.parquet", tmp_path / "out", columns=Columns("picture", "key"))
    assert {key: winner for key, (winner, _) in removed(tmp_path / "out").items()} == {"8": "7"}
    assert summary["pictures"] == 3


def test_globs_name_files_by_what_lies_below_their_fixed_part(folder):
    units, _ = find_units(f"{folder}/**/*.jpg", Columns())
    assert [identity for unit in units for _, identity, _, _ in unit.files] == [
        "cut.jpg", "deep/china-90.jpg", "deep/er/china-small.jpg", "flower-copy.jpg", "flower.jpg",
    ]  # fmt: skip


def test_what_cannot_be_done_is_said(tmp_path, photos):
    with pytest.raises(UsageError, match="nothing at"):
        find_units(str(tmp_path / "absent"), Columns())
    with pytest.raises(UsageError, match="names no picture"):
        find_units(str(tmp_path), Columns())
    pq.write_table(pa.table({"id": [1, 1], "img": [b"", b""]}), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="has no column 'image'"):
        find_units(str(tmp_path), Columns())
    with pytest.raises(StageError, match="'1'"):
        run(tmp_path, tmp_path / "out", columns=Columns("img", "id"))
    (tmp_path / "a.jpg").write_bytes(encoded(photos[0]))
    units, _ = find_units(str(tmp_path), Columns())  # tables beside pictures describe them
    assert (len(units), units[0].table) == (1, None)


def test_a_cluster_above_its_limit_stops_the_job(tmp_path, photos):
    (tmp_path / "in").mkdir()
    for number in range(4):
        (tmp_path / f"in/{number}.jpg").write_bytes(encoded(photos[0], quality=80 + number))
    with pytest.raises(StageError, match="would stand for 3 others"):
        run(tmp_path / "in", tmp_path / "out", max_cluster=2)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**16), st.integers(256, 900), st.integers(256, 900), st.integers(40, 95))
def test_scaled_decoding_moves_hashes_by_few_bits(photos, seed, width, height, quality):
    rng = np.random.default_rng(seed)
    left, top = int(rng.integers(0, 200)), int(rng.integers(0, 100))
    crop = photos[seed % 2].crop((left, top, left + 400, top + 300)).resize((width, height))
    data = encoded(crop, quality=quality)
    scaled = picture_facts(data, ImageParams(), ImageLimits())
    full = measure_image(data, ImageLimits())
    assert isinstance(scaled, PictureFacts)
    assert not isinstance(full, ImageFault)
    assert (scaled.width, scaled.height) == (full.width, full.height)
    # Of 400 such pictures, the worst: 4 bits, and 2.3 of 255 on average; the limits of near-duplicates are 8 and 4.
    assert (scaled.phash ^ full.phash).bit_count() <= 6
    gap = np.abs(np.frombuffer(scaled.thumb, np.uint8).astype(int) - np.frombuffer(full.thumb, np.uint8))
    assert gap.mean() < 3


def test_full_decoding_gives_the_hashes_of_ingestion(photos):
    data = encoded(photos[0].resize((1280, 854)))
    facts, measured = picture_facts(data, ImageParams(decode="full"), ImageLimits()), measure_image(data, ImageLimits())
    assert isinstance(facts, PictureFacts)
    assert (facts.phash, facts.content, facts.thumb) == (measured.phash, measured.pixel_sha256, measured.thumb)


def test_a_bomb_and_a_cut_file_are_faults(photos):
    small = ImageLimits(max_pixels=1_000)
    fault = picture_facts(encoded(photos[0]), ImageParams(), small)
    assert isinstance(fault, ImageFault)
    assert fault.reason == "image_too_large"
    for data in (b"", b"GIF", encoded(photos[0].resize((4 * SCALED_SIDE,) * 2))[:-2_000]):
        assert isinstance(picture_facts(data, ImageParams(), ImageLimits()), ImageFault)
