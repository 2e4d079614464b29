"""Exports of a run: one by one or together the same bytes, and books that know all of them."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from infinity_mm.cli.main import cli
from infinity_mm.cli.tables import summary_lines
from infinity_mm.errors import StageError
from infinity_mm.export.validate import validate
from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.status import read_status
from infinity_mm.store import Store
from tests.running import digest_of

pytestmark = pytest.mark.usefixtures("shared_ray")

QUIET = RunOptions(quiet=True)
SOURCES = {"llava_mix665k": 20, "infinity_instruct": 20}


@pytest.fixture(scope="module")
def write(demo_input, tmp_path_factory):
    """Return a function that writes the recipe, with keys replaced, and returns its path."""

    def write(**keys):
        tree = {
            "name": "exporting",
            "sources": [
                {"name": name, "root": str(demo_input / name), "limit": limit} for name, limit in SOURCES.items()
            ],
            "filters": [{"use": "structure"}],
            "export": [
                {"name": "wds", "format": "webdataset", "samples_per_shard": 10},
                {"name": "pq", "format": "parquet", "samples_per_shard": 10},
            ],
        }
        path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
        path.write_text(yaml.safe_dump(tree | keys))
        return path

    return write


@pytest.fixture(scope="module")
def whole(write, tmp_path_factory):
    """A run folder with both exports; not to be changed."""
    work = tmp_path_factory.mktemp("whole") / "work"
    run(load_recipe(write()), Location.of(work), QUIET)
    return work


@pytest.fixture
def work(whole, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(whole, tmp_path / "work"))


def exports_of(work):
    """Return name -> entry of the manifest."""
    return {entry["name"]: entry for entry in json.loads((work / "manifest.json").read_text())["exports"]}


def test_an_export_by_name_is_the_one_of_the_run(write, whole, work):
    passes = {line.name for line in read_status(Store(Location.of(whole))).passes}
    shutil.rmtree(work / "exports/wds")
    run(load_recipe(write()), Location.of(work), QUIET, exports=["wds"])
    assert digest_of(work) == digest_of(whole)
    assert exports_of(work) == exports_of(whole)
    assert list(exports_of(work)) == ["wds", "pq"]
    assert {line.name for line in read_status(Store(Location.of(work))).passes} == passes


def test_the_command_writes_what_it_names_and_nothing_else(write, whole, work):
    for folder in ("exports", "state/exports", "state/shards"):
        shutil.rmtree(work / folder)
    command = ["export", str(write()), "--work", str(work), "--workers", "1", "--name"]
    cli.main([*command, "pq"], standalone_mode=False)
    assert list(exports_of(work)) == ["pq"]
    assert digest_of(work, ("exports",)) == digest_of(whole, ("exports/pq",))
    cli.main([*command, "wds"], standalone_mode=False)
    assert digest_of(work) == digest_of(whole)
    assert exports_of(work) == exports_of(whole)


def test_an_export_of_an_earlier_recipe_is_told(write, work):
    changed = load_recipe(write(mixture={"limits": {"infinity_instruct": 3}}))
    manifest = run(changed, Location.of(work), QUIET, exports=["wds"])
    assert {export.name: export.current for export in manifest.exports} == {"wds": True, "pq": False}
    lines = [line for line in summary_lines(manifest, Location.of(work)) if "earlier recipe" in line]
    assert [line.split()[:2] for line in lines] == [["export", "pq:"]]


def test_a_damaged_shard_is_mended_as_validate_says(write, whole, work):
    shard = work / "exports/wds/shard-000000.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[:700] + bytes([content[700] ^ 1]) + content[701:])
    faults = validate(Location.of(work)).errors
    assert {fault.file for fault in faults} == {"exports/wds/shard-000000.tar"}
    assert any("delete that file and export again" in fault.problem for fault in faults)
    shard.unlink()
    run(load_recipe(write()), Location.of(work), QUIET, exports=["wds"])
    assert digest_of(work) == digest_of(whole)


def test_shards_are_bounded_by_bytes(write, work):
    limits = {"samples_per_shard": 50, "max_shard_bytes": 300_000}
    exports = [{"name": name, "format": name, **limits} for name in ("webdataset", "parquet")]
    manifest = run(load_recipe(write(export=exports)), Location.of(work), QUIET)
    assert validate(Location.of(work)).errors == []
    for export in manifest.exports:
        index = json.loads((work / f"exports/{export.name}/index.json").read_text())
        assert index["limits"] == {**limits, "shards_multiple_of": 1}
        counts = [shard["samples"] for shard in index["shards"]]
        assert len(counts) > 2
        assert max(counts) - min(counts) <= 1


def test_a_changed_picture_stops_the_export_and_is_named(write, whole, work):
    shutil.rmtree(work / "exports")
    part = next((work / "records/llava_mix665k").iterdir())
    kept = {row["id"] for row in pq.read_table(work / "ledger").to_pylist() if row["outcome"] == "kept"}
    row = next(row for row in pq.read_table(part).to_pylist() if row["id"] in kept and row["images"])
    data = row["image_bytes"][0]
    content = part.read_bytes()
    at = content.index(len(data).to_bytes(4, "little") + data) + 200
    part.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises(StageError, match=rf"{row['id']}: picture 0, in records/.*{part.name}, .* delete .*{part.name}"):
        run(load_recipe(write()), Location.of(work), QUIET)
    part.unlink()
    run(load_recipe(write()), Location.of(work), QUIET)
    assert digest_of(work) == digest_of(whole)
