"""What a run folder holds after the recipe, the files or the packages changed: this run's results and no other's."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from infinity_mm import versions
from infinity_mm.errors import RecipeError
from infinity_mm.explain import explain
from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.status import read_status
from infinity_mm.store import Store

pytestmark = pytest.mark.usefixtures("shared_ray")

QUIET = RunOptions(quiet=True)
ROWS = 6


def make_source(root: Path, file: str, rows: int = ROWS, first: int = 0) -> str:
    root.mkdir()
    for n in range(rows):
        pixels = np.random.default_rng(n + first).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{n}.png")
    names = [f"{n}.png" for n in range(rows)]
    turns = [
        [{"from": "human", "value": f"<image>\nWhat is {n}?"}, {"from": "gpt", "value": f"It is {n}."}] for n in names
    ]
    tree = [
        {"id": n, "image": name, "conversations": said} for n, (name, said) in enumerate(zip(names, turns, strict=True))
    ]
    (root / file).write_text(
        json.dumps([*tree, {"id": rows, "image": "no.png", "conversations": turns[0]}] if rows else [])
    )
    return str(root)


@pytest.fixture
def recipe(tmp_path):
    """Return a function that loads the recipe over two sources, with keys replaced."""
    sources = [
        {"name": "llava_cc3m_595k", "root": make_source(tmp_path / "cc3m", "chat.json")},
        {"name": "llava_mix665k", "root": make_source(tmp_path / "mix", "llava_v1_5_mix665k.json", first=50)},
    ]
    exports = [{"name": name, "format": name, "samples_per_shard": 4} for name in ("webdataset", "parquet")]

    def load(**keys):
        tree = {
            "name": "changes",
            "sources": sources,
            "filters": [{"use": "structure"}, {"use": "text"}],
            "export": exports,
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(tree | keys))
        return load_recipe(path)

    load.sources = sources
    return load


def below(folder: Path, *names: str) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for name in names for path in (folder / name).rglob("*") if path.is_file()
    )


def test_nothing_of_an_earlier_recipe_is_read_as_this_ones(recipe, tmp_path):
    work = tmp_path / "work"
    run(recipe(mixture={"rates": {"llava_cc3m_595k": 0.9}}), Location.of(work), QUIET)
    only = [recipe.sources[1]]
    manifest = run(
        recipe(sources=only, filters=[{"use": "structure"}], dedup={"mode": "off"}), Location.of(work), QUIET
    )
    assert list(manifest.books) == ["llava_mix665k"]
    assert "llava_cc3m_595k" not in (work / "report/index.html").read_text()
    store = Store(Location.of(work))
    row = store.read(below(work, "ledger")[0]).to_pylist()[0]
    assert set(explain(store, row["id"]).attributes) == {"identity", "ingest", "screen", "structure"}
    assert {line.name for line in read_status(store).passes} == {stage.name for stage in manifest.stages}


def test_an_export_of_nothing_and_one_of_another_format_leave_no_shard_behind(recipe, tmp_path):
    work, only = tmp_path / "work", [recipe.sources[0]]
    run(recipe(sources=only), Location.of(work), QUIET)
    assert [name for name in below(work, "exports") if name.endswith((".tar", ".parquet"))] != []
    nothing = recipe(sources=only, mixture={"limits": {"llava_cc3m_595k": 0}})
    switched = [{"name": "webdataset", "format": "parquet"}, {"name": "parquet", "format": "webdataset"}]
    run(recipe(sources=only, export=switched), Location.of(work), QUIET)
    for name, suffixes in (("webdataset", {".parquet", ".md"}), ("parquet", {".tar"})):
        assert {Path(path).suffix for path in below(work, f"exports/{name}")} == suffixes | {".json"}
    manifest = run(nothing, Location.of(work), QUIET)
    assert [export.samples for export in manifest.exports] == [0, 0]
    assert [name for name in below(work, "exports") if name.endswith((".tar", ".parquet"))] == []


def test_a_source_without_rows_is_in_the_books(recipe, tmp_path):
    empty = {"name": "infinity_instruct", "root": make_source(tmp_path / "empty", "train.jsonl", rows=0)}
    manifest = run(recipe(sources=[empty]), Location.of(tmp_path / "work"), QUIET)
    assert {name: book.rows for name, book in manifest.books.items()} == {"infinity_instruct": 0}
    manifest = run(recipe(sources=[empty, recipe.sources[0]]), Location.of(tmp_path / "work"), QUIET)
    assert {name: book.rows for name, book in manifest.books.items()} == {
        "infinity_instruct": 0,
        "llava_cc3m_595k": ROWS + 1,
    }


def test_a_moved_run_folder_goes_on_and_old_plans_are_cleared_away(recipe, tmp_path):
    source = recipe.sources[0]
    run(recipe(), Location.of(tmp_path / "work"), QUIET)
    shutil.move(tmp_path / "work", tmp_path / "moved")
    shutil.rmtree(tmp_path / "moved/records")
    manifest = run(recipe(), Location.of(tmp_path / "moved"), QUIET)
    assert {book.kept for book in manifest.books.values()} == {ROWS}
    (Path(source["root"]) / "chat.json").write_text("[null]")
    run(recipe(sources=[source | {"max_quarantined": 1.0}]), Location.of(tmp_path / "moved"), QUIET)
    assert len(below(tmp_path / "moved", "state/plans/llava_cc3m_595k")) == 2


def test_an_upgraded_decoder_or_classifier_makes_its_parts_again(recipe, tmp_path, monkeypatch):
    def made() -> set[str]:
        stages = run(recipe(), Location.of(tmp_path / "work"), QUIET).stages
        return {stage.name for stage in stages if stage.made}

    assert {"ingest", "measure"} <= made()
    installed = versions.metadata.version
    monkeypatch.setattr(versions.metadata, "version", lambda name: "99" if name == "ftfy" else installed(name))
    assert {"ingest", "measure"} & made() == {"measure"}
    monkeypatch.setattr(versions.metadata, "version", lambda name: "99" if name == "pillow" else installed(name))
    assert "ingest" in made()


def test_a_synthesis_that_cannot_be_is_found_before_any_work(recipe, tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match="max_model_len"):
        run(
            recipe(synth={"images": 1, "model": {"max_model_len": 64, "engine": "vllm"}}),
            Location.of(tmp_path / "w"),
            QUIET,
        )
    monkeypatch.setattr("infinity_mm.synth.engines.select._installed", lambda package: False)
    with pytest.raises(RecipeError, match="pip install"):
        run(recipe(synth={"images": 1}), Location.of(tmp_path / "w"), QUIET)
    assert not (tmp_path / "w").exists()
