"""Pictures alone through the main job: written about, compared, taken down and never exported."""

import io
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from infinity_mm.errors import RecipeError, StageError
from infinity_mm.explain import explain
from infinity_mm.export.validate import validate
from infinity_mm.fs import Location
from infinity_mm.pipeline.forecast import preview
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import Recipe, load_recipe
from infinity_mm.schema import validate_records
from infinity_mm.store import Store
from tests.decontam.sets import make
from tests.running import digest_of
from tests.sources.own.making import lines, pictures
from tests.sources.own.test_pictures import tar_of, zip_of

pytestmark = pytest.mark.usefixtures("no_ray")


def photo(number: int, **save: object) -> bytes:
    """Return a picture with a hash of its own."""
    noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC).save(stream, **{"format": "PNG"} | save)
    return stream.getvalue()


@pytest.fixture
def photos(tmp_path):
    """A folder of ten pictures: two equal, one damaged; and captions of two more, one of them in the folder too."""
    for number in range(8):
        path = tmp_path / "photos" / ("day" if number % 2 else "") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(number))
    (tmp_path / "photos/again.png").write_bytes(photo(0))
    (tmp_path / "photos/cut.png").write_bytes(photo(9)[:90])
    rows = [{"image": f"{number}.png", "caption": f"Coloured clouds, sheet {number}."} for number in (2, 20)]
    lines(tmp_path / "captions/rows.jsonl", *rows)
    for number in (2, 20):
        (tmp_path / f"captions/{number}.png").write_bytes(photo(number))
    return tmp_path


@pytest.fixture
def write(photos, served):
    """Return a function that writes a recipe over both; keyword arguments replace its keys."""

    def write(**keys: object):
        tree = {
            "name": "pictures",
            "partition_rows": 3,
            "sources": [
                {"name": "photos", "root": "photos", "family": "image_only", "license": "CC0-1.0", "priority": 1},
                {"name": "captions", "root": "captions", "family": "image_text_pairs"},
            ],
            "filters": [{"use": "structure"}, {"use": "image"}, {"use": "text"}, {"use": "language"}],
            "dedup": {"mode": "pair", "max_drop": 1.0},
            "synth": {"model": served.spec(), "judge_probe": {"rows": 0}, "images": 50, "per_image": 2},
            "export": [
                {"name": "pq", "format": "parquet", "samples_per_shard": 500},
                {"name": "wds", "format": "webdataset", "samples_per_shard": 500},
            ],
        }
        path = photos / "recipe.yaml"
        path.write_text(yaml.safe_dump(tree | keys))
        return path

    return write


def run_it(path, work):
    return run(load_recipe(path), Location.of(work), RunOptions(quiet=True))


def exported(work):
    shards = sorted((work / "exports/pq").rglob("*.parquet"))
    return [row for shard in shards for row in pq.read_table(shard).to_pylist()]


def test_pictures_alone_are_written_about_and_never_exported(write, tmp_path):
    work = tmp_path / "work"
    manifest = run_it(write(), work)
    books = manifest.books["photos"]
    assert (books.rows, books.kept, books.quarantined) == (10, 0, {"ingest.undecodable_image": 1})
    assert books.dropped == {"dedup.exact_pair": 1, "mixture.image_only": 8}
    assert manifest.books["captions"].kept == 2, "no caption loses to a picture alone"
    made = manifest.books["synthetic"]
    assert made.rows == 2 * 9, "eight pictures of the folder and one more with a caption, each drawn once"
    assert made.kept > 0

    rows = exported(work)
    assert {row["source"] for row in rows} == {"captions", "synthetic"}
    assert len(rows) == made.kept + 2 == manifest.exports[0].samples == manifest.exports[1].samples
    assert all(row["messages"] for row in rows)
    ledger = pq.read_table(work / "ledger").to_pylist()
    alone = {row["id"] for row in ledger if row["source"] == "photos"}
    about = [row for row in rows if row["parent"] in alone]
    assert len(about) > 0
    for row in about:
        assert row["license"] == "CC0-1.0"
        assert Image.open(io.BytesIO(row["images"][0]["bytes"])).size == (160, 120)
    for name in ("pq", "wds"):
        assert validate(Location.of(work / "exports" / name)).errors == []

    life = explain(Store(Location.of(work)), about[0]["parent"])
    assert (life.ledger["outcome"], life.ledger["stage"], life.ledger["reason"]) == ("dropped", "mixture", "image_only")
    assert about[0]["id"] in life.children
    assert life.record["messages"] == []


def test_again_is_nothing_and_a_picture_more_is_a_folder_more(write, served, photos, tmp_path):
    work, path = tmp_path / "work", write()
    first = run_it(path, work)
    before, calls = digest_of(work), served.taken()
    again = run_it(path, work)
    assert [stage.name for stage in again.stages if stage.made] == []
    assert (digest_of(work), served.taken()) == (before, {})
    (photos / "photos/night").mkdir()
    (photos / "photos/night/30.png").write_bytes(photo(30))
    more = run_it(path, work)
    assert {stage.name: stage.made for stage in more.stages}["ingest"] == 1
    assert more.books["synthetic"].rows == first.books["synthetic"].rows + 2
    assert 0 < sum(served.taken().values()) < sum(calls.values()) / 4, "only the new picture is asked about"
    fresh = run_it(path, tmp_path / "fresh")
    assert fresh.books == more.books
    assert exported(tmp_path / "fresh") == exported(work)


@pytest.mark.parametrize("mode", ["image", "text", "off"])
def test_in_every_mode_of_comparison_texts_stay(write, tmp_path, mode):
    manifest = run_it(write(dedup={"mode": mode, "max_drop": 1.0}), tmp_path / "work")
    lost = {"image": {"dedup.same_image": 2, "mixture.image_only": 7}}.get(mode, {"mixture.image_only": 9})
    assert manifest.books["photos"].dropped == lost
    assert manifest.books["captions"].kept == 2
    assert {row["source"] for row in exported(tmp_path / "work")} == {"captions", "synthetic"}


def test_merging_conversations_leaves_pictures_alone(write, tmp_path):
    manifest = run_it(write(dedup={"mode": "image", "merge": True, "max_drop": 1.0}), tmp_path / "work")
    assert manifest.books["captions"].kept == 2
    assert not any("image_only" in reason for reason in manifest.books["captions"].dropped)
    captions = [row for row in exported(tmp_path / "work") if row["source"] == "captions"]
    assert sorted(len(row["messages"]) for row in captions) == [2, 2]


def test_filters_of_pictures_and_takedowns_hold_for_them(write, photos, tmp_path):
    pictures(photos / "photos", "tiny.png")
    first = run_it(write(filters=[{"use": "image", "with": {"min_side": 28}}]), tmp_path / "work")
    assert first.books["photos"].dropped["image.side_too_small"] == 1
    ledger = pq.read_table(tmp_path / "work/ledger").to_pylist()
    gone = next(row["id"] for row in ledger if row["source_ref"] == "day#member=3.png")
    (photos / "gone.txt").write_text(gone + "\n")
    later = run_it(write(takedown=["gone.txt"]), tmp_path / "work")
    assert later.books["photos"].dropped["takedown.taken_down"] == 1
    assert not any(row["parent"] == gone for row in exported(tmp_path / "work"))


def test_what_can_come_of_nothing_is_told(write, tmp_path, capsys):
    recipe = load_recipe(write(synth=None))
    pq.write_table(pa.table({"image": [b"x"]}), tmp_path / "photos/train.parquet")
    found = preview(recipe, Location.of(tmp_path / "w"))
    assert "mixture   photos: pictures alone, never exported" in found.stages
    idle, beside = found.warnings
    assert "source 'photos' has pictures alone, and the recipe has no synth section" in idle
    assert "not the tables beside them, train.parquet: if the pictures are in the tables" in beside
    manifest = run(recipe, Location.of(tmp_path / "work"), RunOptions())
    assert manifest.exports[0].samples == 2
    out = "".join(capsys.readouterr())
    assert "warning: source 'photos' has pictures alone, and the recipe has no synth section" in out
    with pytest.raises(RecipeError, match=r"mixture\.rates\.photos: its rows are pictures alone"):
        load_recipe(write(mixture={"rates": {"photos": 0.5}}))


def test_a_plan_looks_pictures_up_and_counts_them(write, photos, tmp_path):
    shutil.rmtree(photos / "photos/day")
    (source, _) = preview(load_recipe(write()), Location.of(tmp_path / "w")).sources
    assert (source.files, source.pictures.named, source.pictures.found) == (1, 6, 6)
    assert source.bytes == sum(path.stat().st_size for path in (photos / "photos").iterdir())


def test_pictures_of_evaluation_sets_are_not_written_about(write, photos, tmp_path):
    items = [{"question_id": "q1", "image": {"bytes": photo(5)}, "question": "What is this?"}]
    pq.write_table(pa.Table.from_pylist(items), tmp_path / "set.parquet")
    make("textvqa", tmp_path / "set.parquet", tmp_path / "index")
    manifest = run_it(write(decontaminate={"index": str(tmp_path / "index"), "max_drop": 0.9}), tmp_path / "work")
    assert manifest.books["photos"].dropped["decontaminate.benchmark_image"] == 1
    ledger = pq.read_table(tmp_path / "work/ledger").to_pylist()
    (leaked,) = (row["id"] for row in ledger if row["stage"] == "decontaminate")
    assert manifest.books["synthetic"].rows == 2 * 8
    assert not any(row["parent"] == leaked for row in exported(tmp_path / "work"))


def test_a_record_of_a_picture_alone_has_pictures_and_nothing_else(write, tmp_path):
    run_it(write(), tmp_path / "work")
    (path, *_) = sorted((tmp_path / "work/records/photos").iterdir())
    row = pq.read_table(path).to_pylist()[0]
    said = [{"role": "user", "content": "x"}]
    assert validate_records([row]) == [None]
    faults = validate_records([row | {"messages": said}, row | {"images": [], "image_bytes": []}])
    assert ["0 messages and 0 images" in fault or "1 messages and 1 images" in fault for fault in faults] == [
        True,
        True,
    ]
    assert validate_records([row | {"category": "general", "messages": said}]) == [None]


def test_a_picture_alone_that_reached_an_export_would_stop_it(write, tmp_path, monkeypatch):
    monkeypatch.setattr(Recipe, "image_only", frozenset())
    with pytest.raises(StageError, match="pictures without texts among the kept rows, and they are never exported"):
        run_it(write(synth=None), tmp_path / "work")
    assert not (tmp_path / "work/exports").exists()


def test_the_whole_of_a_mixed_root_is_accounted_for(write, photos, tmp_path):
    zip_of(photos / "photos/z.zip", [("a.png", photo(40)), ("inner.zip", b"x"), ("b.png", photo(0))])
    tar_of(photos / "photos/t.tar", [("./a.png", photo(41)), ("notes.txt", b"x")])
    (photos / "photos/rest.tar.gz").write_bytes(b"x")
    (photos / "photos/gone.png").symlink_to("nowhere.png")
    (photos / "photos/ 2.png").write_bytes(photo(42))
    manifest = run_it(write(), tmp_path / "work")
    books = manifest.books["photos"]
    assert (books.rows, books.kept) == (17, 0)
    assert books.quarantined == {
        "ingest.missing_image": 1,
        "ingest.undecodable_image": 1,
        "ingest.unopened_archive": 2,
    }
    assert books.dropped == {"dedup.exact_pair": 2, "mixture.image_only": 11}
    assert manifest.books["synthetic"].rows == 2 * 12
    assert validate(Location.of(tmp_path / "work/exports/pq")).errors == []
