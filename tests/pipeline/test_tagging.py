"""Several taggers in one run: tiny checkpoints beside a model behind an endpoint."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infinity_mm.cli.main import main
from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.store import Store
from tests import checkpoints
from tests.running import digest_of

for package in ("openai", "torch", "transformers"):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)

pytestmark = pytest.mark.usefixtures("no_ray")

QUIET = RunOptions(quiet=True)
VLM = {"kind": "vlm"}
IMAGES = 12


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from infinity_mm.synth.engines import torch_cpu

    torch_cpu.prepare()
    folder = tmp_path_factory.mktemp("tiny")
    checkpoints.clip(folder / "clip")
    checkpoints.classifier(folder / "classifier", ["dog", "cat", "tree", "red car"])
    return folder


@pytest.fixture
def write(write_served: Callable[..., Path]) -> Callable[..., Path]:
    """Return a function that writes a small recipe whose model is `served`, and returns its path."""
    return partial(write_served, limit=60, images=IMAGES)


@pytest.fixture
def eyes(tiny: Path, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "words.txt").write_text("# what there may be\ndog\nboat\nhouse\nred car\n")
    return {"kind": "zero_shot", "name": "eyes", "model": {"name": str(tiny / "clip")}, "vocabulary": "words.txt"}


@pytest.fixture
def head(tiny: Path) -> dict[str, Any]:
    return {"kind": "classifier", "name": "head", "model": {"name": str(tiny / "classifier")}, "top": 2}


def command(*arguments: object) -> Any:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    return ended.value.code


def origins(work: Path) -> list[dict[str, Any]]:
    return [json.loads(row["extra"]) for row in rows(work, "records/synthetic")]


def rows(work: Path, folder: str) -> list[dict[str, Any]]:
    store = Store(Location.of(work))
    return [row for name in sorted(store.at(folder).files()) for row in store.read(f"{folder}/{name}").to_pylist()]


def test_the_tags_of_several_taggers_are_merged_and_traced(
    write: Any, served: Any, eyes: Any, head: Any, tmp_path: Path
) -> None:
    work = tmp_path / "w"
    manifest = run(load_recipe(write(taggers=[VLM, eyes, head])), Location.of(work), QUIET)
    assert served.taken()["tag"] == IMAGES
    first, second = manifest.synthesis.taggers
    assert [one.tagger.name for one in (first, second)] == ["eyes", "head"]
    assert (first.tagger.labels, first.tagger.threshold, second.tagger.top) == (4, 0.5, 2)
    for one in (first, second):
        assert one.pictures == IMAGES == one.tagged + sum(one.reasons.values())
        assert set(one.reasons) <= {"no_tags"}
        assert manifest.synthesis.models[f"tagger {one.tagger.name}"] == one.identity
    by_parent = {}
    for name in ("eyes", "head"):
        for row in rows(work, f"attributes/tags_{name}/synthetic"):
            by_parent[row["id"], name] = {tag["tag"]: tag["score"] for tag in row["tags"]}
    kept = origins(work)
    assert kept
    for origin in kept:
        said = {tag["tag"]: tag["scores"] for tag in origin["tags"]}
        for name in ("eyes", "head"):
            assert {tag: by[name] for tag, by in said.items() if name in by} == by_parent[origin["parent"], name]
        (own,) = (tag for tag in origin["tags"] if "vlm" in tag["scores"])
        assert (own["scores"]["vlm"], own["confidence"]) == (1.0, 5)
        best = [max(tag["scores"].values()) for tag in origin["tags"]]
        assert best == sorted(best, reverse=True)
        assert [one["name"] for one in origin["taggers"]] == ["eyes", "head"]
        assert origin["taggers"][0]["labels_sha256"] == first.tagger.labels_sha256
        assert origin["taggers"][0]["engine"]["revision"] == first.tagger.engine.revision
    assert any("eyes" in tag["scores"] and "head" in tag["scores"] for origin in kept for tag in origin["tags"])
    page = (work / "report/index.html").read_text()
    assert all(words in page for words in ("<h3>Taggers</h3>", "softmax_against_neutral", "a photo of a {}"))


def test_taggers_can_stand_in_for_the_writing_model(
    write: Any, served: Any, eyes: Any, tmp_path: Path, capsys: Any
) -> None:
    work = tmp_path / "w"
    run(load_recipe(write(taggers=[eyes | {"threshold": 0.0}])), Location.of(work), QUIET)
    best = sorted(row["tags"][0]["score"] for row in rows(work, "attributes/tags_eyes/synthetic"))
    capsys.readouterr()
    assert command("synth", write(taggers=[eyes | {"threshold": best[len(best) // 2]}]), "--work", work) == 0
    assert "tag" not in served.taken()
    assert "tagger eyes" in capsys.readouterr().out
    blind = {row["id"] for row in rows(work, "attributes/tags_eyes/synthetic") if not row["tags"]}
    attempts = rows(work, "attributes/synth/synthetic")
    assert {row["parent"] for row in attempts if row["reason"] == "no_tags"} == blind
    assert 0 < len(blind) < IMAGES, "the threshold tells pictures apart, or the test says nothing"
    assert all(row["stage"] == "synth.tag" for row in attempts if row["parent"] in blind)
    for origin in origins(work):
        assert set(origin["calls"]) == {"classify", "generate", "judge"}


def test_the_writing_model_alone_is_as_it_always_was(write: Any, tmp_path: Path) -> None:
    for name, keys in (("a", {}), ("b", {"taggers": [VLM]})):
        run(load_recipe(write(**keys)), Location.of(tmp_path / name), QUIET)
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b")
    origin = origins(tmp_path / "a")[0]
    assert "taggers" not in origin
    assert set(origin["tags"][0]) == {"tag", "confidence"}


def test_what_was_tagged_is_not_tagged_again(
    write: Any, eyes: Any, head: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    work = tmp_path / "w"
    recipe = load_recipe(write(taggers=[VLM, eyes, head]))
    run(recipe, Location.of(work), QUIET)
    before = digest_of(work)
    for folder in ("records/synthetic", "attributes/synth", "attributes/tags_head"):
        shutil.rmtree(work / folder)
    built: list[str] = []

    def build(use: Any) -> Any:
        built.append(use.name)
        return PictureTagger(use)

    from infinity_mm.synth.tagging.models import PictureTagger

    monkeypatch.setattr("infinity_mm.pipeline.tagging.PictureTagger", build)
    again = run(recipe, Location.of(work), QUIET)
    assert built == ["head"]
    assert digest_of(work) == before
    assert {stage.name: stage.made for stage in again.stages if stage.name.startswith("tag-")} == {
        "tag-eyes": 0,
        "tag-head": 1,
    }
    run(load_recipe(write()), Location.of(work), QUIET)
    assert not list((work / "attributes").glob("tags_*/synthetic/*.parquet")), "nobody tags but the writing model"


def test_scores_are_no_matter_of_which_pictures_are_drawn(write: Any, eyes: Any, tmp_path: Path) -> None:
    told = []
    for images in (IMAGES, 2 * IMAGES):
        work = tmp_path / f"w{images}"
        run(load_recipe(write(images=images, taggers=[eyes])), Location.of(work), QUIET)
        told.append({row["id"]: row["tags"] for row in rows(work, "attributes/tags_eyes/synthetic")})
    assert len(told[1]) > len(told[0])
    assert told[0].items() <= {name: told[1][name] for name in told[0]}.items()


def test_where_the_writer_goes_first_the_rows_are_the_same(
    write: Any, eyes: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    recipe = load_recipe(write(taggers=[VLM, eyes]))
    run(recipe, Location.of(tmp_path / "a"), QUIET)
    monkeypatch.setattr("infinity_mm.pipeline.synthesis.apart", lambda params: True)
    run(recipe, Location.of(tmp_path / "b"), QUIET)
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b")


def test_shares_over_the_run_are_settled_by_the_tags_of_all_taggers(
    write: Any, served: Any, eyes: Any, tmp_path: Path
) -> None:
    offer = {"mapping": "package", "max_share": 0.1}
    for taggers, calls in (([VLM, eyes], IMAGES), ([eyes], 0)):
        work = tmp_path / f"w{calls}"
        recipe = load_recipe(write(taggers=taggers, offer=offer))
        run(recipe, Location.of(work), QUIET)
        assert served.taken().get("tag", 0) == calls
        found = {row["parent"]: json.loads(row["tags"]) for row in rows(work, "state/synth/tags")}
        seen = {row["id"]: row["tags"] for row in rows(work, "attributes/tags_eyes/synthetic")}
        for parent, tags in found.items():
            said = {tag["name"]: dict(tag["scores"]) for tag in tags}
            assert {name: by["eyes"] for name, by in said.items() if "eyes" in by} == {
                tag["tag"]: tag["score"] for tag in seen[parent]
            }
        before = digest_of(work)
        again = run(recipe, Location.of(work), QUIET)
        assert (served.taken(), digest_of(work)) == ({}, before)
        assert all(not stage.made for stage in again.stages if stage.name.startswith(("tag-", "synth")))


def test_a_changed_vocabulary_is_a_change_of_the_tags(
    write: Any, served: Any, eyes: Any, tmp_path: Path, capsys: Any
) -> None:
    work = tmp_path / "w"
    assert command("synth", write(taggers=[VLM, eyes]), "--work", work) == 0
    capsys.readouterr()
    served.taken()
    (tmp_path / "words.txt").write_text("boat\nred car\nhouse\nDog\n")
    assert command("synth", write(taggers=[VLM, eyes]), "--work", work, "--changed") == 0
    assert "nothing to do" in capsys.readouterr().out
    (tmp_path / "words.txt").write_text("boat\nsky\n")
    assert command("synth", write(taggers=[VLM, eyes]), "--work", work, "--changed") == 0
    told = capsys.readouterr().out
    assert "changed: tagger eyes: weights" in told
    assert "asked again: tag, for 12 pictures" in told
    assert "tag" not in served.taken(), "the writing model's own tags are in the cache"
    assert command("synth", write(taggers=[eyes]), "--work", work, "--changed") == 0
    assert "changed: prompt of tag: tag.v1" in capsys.readouterr().out
    assert command("synth", write(), "--work", work, "--changed") == 0
    assert "changed: tagger eyes" in capsys.readouterr().out


def test_an_estimate_counts_the_pictures_of_each_tagger(write: Any, eyes: Any, tmp_path: Path, capsys: Any) -> None:
    path, work = write(images=24, taggers=[eyes]), tmp_path / "w"
    assert command("synth", path, "--work", work, "--estimate", "--json") == 0
    found = json.loads(capsys.readouterr().out)["estimate"]
    assert (found["pictures"], found["piloted"]) == (24, 16)
    assert found["steps"]["tagger eyes"]["calls"] == 24
    assert found["steps"]["tag"]["calls"] == 0
    assert command("synth", path, "--work", work, "--estimate") == 0
    assert "tagger eyes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"vocabulary": "nowhere.txt"}, 2, "synth.taggers.eyes.vocabulary: cannot read"),
        ({"vocabulary": "empty.txt"}, 2, "synth.taggers.eyes.vocabulary: "),
        ({"threshhold": 0.4}, 2, "did you mean 'threshold'?"),
        ({"kind": "classifier", "vocabulary": ...}, 2, "of type 'clip', without labels of its own"),
    ],
)
def test_mistakes_are_found_before_any_work(
    write: Any, eyes: Any, tmp_path: Path, capsys: Any, changes: dict[str, Any], status: int, words: str
) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n")
    use = {key: value for key, value in (eyes | changes).items() if value is not ...}
    assert command("synth", write(taggers=[use]), "--work", tmp_path / "w") == status
    assert words in capsys.readouterr().err
    assert not (tmp_path / "w/records").exists()
