"""The generation cache in the main job: what is asked again, and that the bytes are the same."""

import json
import shutil
from collections.abc import Iterator

import pytest

from infinity_mm.fs import Location
from infinity_mm.pipeline.generated import calls_of
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.store import Store
from tests.pipeline.served import Served
from tests.running import digest_of

pytestmark = pytest.mark.usefixtures("shared_ray")
pytest.importorskip("openai")

QUIET = RunOptions(quiet=True)


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def recipe(write_recipe, served):
    """Return a function that loads a small recipe whose model is `served`."""

    def load(*overrides, **synth):
        keys = {"images": 20, "per_image": 2, "model": served.spec()} | synth
        path = write_recipe(sources=("llava_mix665k",), limit=None, synth=keys, partition_rows=100)
        return load_recipe(path, overrides)

    return load


def forget(work):
    """Delete the partitions of the synthesis, and what was counted of them."""
    for folder in ("records/synthetic", "attributes/synth", "state/synth/calls"):
        shutil.rmtree(work / folder)


def test_a_partition_made_again_takes_its_words_from_the_cache(recipe, served, tmp_path):
    work = tmp_path / "w"
    first = run(recipe(), Location.of(work), QUIET)
    before, taken = digest_of(work), served.taken()
    assert taken["tag"] == 20
    assert taken["classify"] == 40
    calls = first.synthesis.calls
    assert {step: one.calls for step, one in calls.items()} == taken
    assert sum(one.prompt_tokens for one in calls.values()) == 100 * sum(taken.values())
    assert sum(one.cached for one in calls.values()) == 0
    served.voice = 1
    forget(work)
    again = run(recipe(), Location.of(work), QUIET)
    assert served.taken() == {}
    assert digest_of(work) == before
    assert {step: one.cached for step, one in again.synthesis.calls.items()} == taken
    assert sum(one.calls for one in again.synthesis.calls.values()) == 0
    assert again.synthesis.yields == first.synthesis.yields
    kept = next(json.loads(line) for line in [first.model_dump_json()])["books"]["synthetic"]["kept"]
    assert kept > 0


def test_explain_knows_where_the_words_came_from(recipe, served, tmp_path):
    work = tmp_path / "w"
    run(recipe(images=3), Location.of(work), QUIET)
    store = Store(Location.of(work))
    (name,) = store.at("records/synthetic").files()
    row = store.read(f"records/synthetic/{name}", ["id", "extra"]).to_pylist()[0]
    made = calls_of(store, row["id"])
    origin = json.loads(row["extra"])["calls"]
    assert {one["step"] for one in made} >= {"classify", "generate", "judge"}
    assert all(one["generation"] == origin[one["step"]]["generation"] for one in made)
    assert not any(one["cached"] for one in made)
    forget(work)
    run(recipe(images=3), Location.of(work), QUIET)
    assert all(one["cached"] for one in calls_of(store, row["id"]))


def test_two_runs_share_a_cache_and_one_without_has_the_same_rows(recipe, served, tmp_path):
    shared = str(tmp_path / "shared")
    run(recipe(cache=shared), Location.of(tmp_path / "one"), QUIET)
    assert sum(served.taken().values()) > 0
    run(recipe(cache=shared), Location.of(tmp_path / "two"), QUIET)
    assert served.taken() == {}
    run(recipe(cache=False), Location.of(tmp_path / "three"), QUIET)
    assert sum(served.taken().values()) > 0
    assert digest_of(tmp_path / "one") == digest_of(tmp_path / "two") == digest_of(tmp_path / "three")
    assert (tmp_path / "shared").is_dir()
    assert not any((tmp_path / name / "cache").exists() for name in ("one", "two", "three"))


def test_a_changed_step_asks_for_itself(recipe, served, tmp_path):
    work = Location.of(tmp_path / "w")
    run(recipe(), work, QUIET)
    taken = served.taken()
    run(recipe(min_score=3), work, QUIET)
    assert served.taken() == {}, "a threshold asks for nothing"
    run(recipe(draws={"judge": {"temperature": 0.3}}), work, QUIET)
    assert served.taken() == {"judge": taken["judge"]}
    run(recipe(model=served.spec(revision="r2")), work, QUIET)
    assert served.taken() == taken
    run(recipe(images=30), work, QUIET)
    assert served.taken()["tag"] == 10, "pictures that were not drawn before"


def test_failures_are_asked_again(recipe, served, tmp_path):
    work = tmp_path / "w"
    served.refuse = lambda step, body: 400 if step == "judge" and body["seed"] % 3 == 0 else 0
    first = run(recipe(), Location.of(work), QUIET)
    lost = first.synthesis.yields["synth.filter"]["quarantined"]
    assert lost > 0
    served.taken()
    served.refuse = lambda step, body: 0
    forget(work)
    again = run(recipe(), Location.of(work), QUIET)
    assert served.taken() == {"judge": lost}
    assert again.synthesis.yields["synth.filter"]["quarantined"] == 0
