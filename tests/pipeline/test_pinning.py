"""Roots on the hub, against a server on loopback that speaks its protocol: pinned, gated, absent, out of reach."""

import json

import huggingface_hub.constants
import pytest
from huggingface_hub import HfFileSystem

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.pipeline.ingest import ingest_split, make_tasks
from infinity_mm.pipeline.pinning import pin_roots, remember
from infinity_mm.pipeline.planning import make_task, plan_source, read_plan
from infinity_mm.pipeline.preflight import check_inputs, sample_pictures
from infinity_mm.recipe import Recipe, SourceUse
from infinity_mm.sources.catalogue import load
from infinity_mm.store import Store
from tests.hubserver import Hub, serve

OLD, NEW = "a" * 40, "b" * 40


def files(*answers: str) -> dict[str, bytes]:
    rows = [
        {"id": str(n), "conversations": [{"from": "human", "value": f"Question {n}?"}, {"from": "gpt", "value": text}]}
        for n, text in enumerate(answers)
    ]
    return {"README.md": b"", "llava_v1_5_mix665k.json": json.dumps(rows).encode(), "images/a.png": b"a"}


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "the-token")
    data = Hub("owner/set", {OLD: files("old"), NEW: files("new", "newer")}, {"main": OLD})
    with serve(data):
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", data.url)
        template = data.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        HfFileSystem.clear_instance_cache()
        yield data
    HfFileSystem.clear_instance_cache()


def recipe(root: str = "hf://datasets/owner/set") -> Recipe:
    return Recipe(name="r", sources=(SourceUse(name="llava_mix665k", root=root),))


def ingested(store: Store, use: SourceUse) -> list[str]:
    """Plan and ingest without Ray; returns the answers."""
    task = make_task(store, use, 100)
    plan_source(task)
    tasks = make_tasks(store.work, use, load(use.name), read_plan(store, task.output))
    for one in tasks:
        ingest_split(one)
    return [row["messages"][-1]["content"] for one in tasks for row in store.read(one.part.records).to_pylist()]


def test_a_run_folder_keeps_to_the_commit_that_it_saw_first(hub, tmp_path):
    store = Store(Location.of(tmp_path / "work"))
    first = pin_roots(recipe(), store)
    assert first.revisions == {"owner/set@main": OLD}
    (use,) = first.recipe.sources
    assert use.root == f"hf://datasets/owner/set@{OLD}"
    remember(store, first.revisions)
    assert ingested(store, use) == ["old"]

    hub.branches["main"] = NEW  # somebody pushes
    again = pin_roots(recipe(), store)
    assert again == first
    assert ingested(store, again.recipe.sources[0]) == ["old"]

    fresh = Store(Location.of(tmp_path / "fresh"))
    assert ingested(fresh, pin_roots(recipe(), fresh).recipe.sources[0]) == ["new", "newer"]


def test_another_commit_makes_other_parts_also_where_only_pictures_changed(hub, tmp_path):
    store = Store(Location.of(tmp_path / "work"))
    hub.commits[NEW] = files("old") | {"images/a.png": b"another"}
    names = []
    for commit in (OLD, NEW):
        (use,) = pin_roots(recipe(f"hf://datasets/owner/set@{commit}"), store).recipe.sources
        task = make_task(store, use, 100)
        plan_source(task)
        names.append(make_tasks(store.work, use, load(use.name), read_plan(store, task.output))[0].part.fingerprint)
    assert names[0] != names[1]


def test_files_are_found_sampled_and_missed_as_anywhere(hub, tmp_path):
    pinned = pin_roots(recipe(), Store(Location.of(tmp_path))).recipe
    assert [one.path for one in check_inputs(pinned)["llava_mix665k"]] == ["llava_v1_5_mix665k.json"]
    assert sample_pictures(pinned.sources[0], None).rows == 1
    hub.commits[OLD] = {"README.md": b""}
    HfFileSystem.clear_instance_cache()
    with pytest.raises(SourceError, match=r"expected one of: llava_v1_5_mix665k\.json"):
        check_inputs(pinned)
    with pytest.raises(SourceError, match="no folder at hf://"):
        pin_roots(recipe("hf://datasets/owner/set/nowhere"), Store(Location.of(tmp_path)))


def test_a_gate_opens_with_a_token_and_says_so_without(hub, monkeypatch, tmp_path):
    hub.token = "the-token"
    store = Store(Location.of(tmp_path))
    assert ingested(store, pin_roots(recipe(), store).recipe.sources[0]) == ["old"]
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(SourceError, match=r"owner/set is gated: accept the terms at .*/owner/set .* set HF_TOKEN"):
        pin_roots(recipe(), Store(Location.of(tmp_path / "other")))


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ("hf://datasets/owner/nothing", "no data set owner/nothing that may be read: check the name"),
        ("hf://datasets/owner/set@nowhere", "has no revision 'nowhere'"),
        ("hf://owner/set", "expected hf://datasets/OWNER/NAME"),
    ],
)
def test_what_the_hub_does_not_have(hub, tmp_path, root, words):
    with pytest.raises(SourceError, match=words):
        pin_roots(recipe(root), Store(Location.of(tmp_path)))


def test_a_hub_out_of_reach_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SourceError, match=r"cannot reach the hub for owner/set@main: .*HF_HUB_OFFLINE; or fetch it"):
        pin_roots(recipe(), Store(Location.of(tmp_path)))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SourceError, match="cannot reach the hub"):
        pin_roots(recipe(), Store(Location.of(tmp_path)))
