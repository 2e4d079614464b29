"""Shares of instruction types over a whole run: a law of the pictures, not of how they are cut into partitions."""

from collections import Counter

import pytest

from infinity_mm.fs import Location
from infinity_mm.pipeline import synthesis
from infinity_mm.pipeline.estimate import estimate
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.store import Store
from tests.running import digest_of

pytest.importorskip("openai")
pytestmark = pytest.mark.usefixtures("no_ray")

QUIET = RunOptions(quiet=True)
SHARE = 0.1


@pytest.fixture
def make(write_served, tmp_path):
    """Return a function that runs a recipe with limited types in a folder of the given name."""

    def make(name, **synth):
        keys = {"images": 20, "per_image": 2, "candidates": 3, "types": ["OCR", "Image Emotion"]}
        keys |= {"offer": {"mapping": "package", "max_share": SHARE}}
        return run(load_recipe(write_served(**(keys | synth))), Location.of(tmp_path / name), QUIET)

    return make


def attempts_of(work):
    store = Store(Location.of(work))
    folder = "attributes/synth/synthetic"
    return [row for name in store.at(folder).files() for row in store.read(f"{folder}/{name}").to_pylist()]


def ends_of(work):
    """Return attempt -> type and end."""
    fields = ("instruction_type", "outcome", "reason", "generation")
    return {row["source_ref"]: tuple(row[name] for name in fields) for row in attempts_of(work)}


def made_of(manifest):
    return {stage.name: (stage.made, stage.cached) for stage in manifest.stages if stage.name.startswith("synth")}


def test_partitions_change_nothing(make, served, tmp_path):
    first = make("whole", cache=False)
    assert served.taken()["tag"] == 20, "tags are asked for once, also where no cache keeps them"
    whole = ends_of(tmp_path / "whole")
    types = Counter(kind for kind, *_ in whole.values() if kind is not None)
    assert max(types.values()) <= SHARE * 40
    assert len(types) > 3
    second = make("pieces", cache=False, partition_images=3)
    assert made_of(second) == {"synth-tag": (7, 0), "synth-offers": (1, 0), "synth": (7, 0)}
    assert ends_of(tmp_path / "pieces") == whole
    assert first.synthesis.calls == second.synthesis.calls
    assert first.synthesis.yields == second.synthesis.yields
    again = make("pieces", cache=False, partition_images=3)
    assert made_of(again) == {"synth-tag": (0, 7), "synth-offers": (0, 1), "synth": (0, 7)}
    recipe = load_recipe(tmp_path / "small.yaml")
    left = estimate(recipe, Location.of(tmp_path / "pieces"), QUIET, synthesis.Subset())
    assert (left.pictures, left.piloted) == (0, 0)
    left = estimate(recipe, Location.of(tmp_path / "elsewhere"), QUIET, synthesis.Subset())
    assert (left.pictures, left.new) == (20, 20)
    assert left.steps["tag"].calls == 20


def test_writer_and_judge_apart_make_the_same(make, served, tmp_path, monkeypatch):
    judge = served.spec(name="m", revision="judge")
    make("beside", judge=judge)
    taken = served.taken()
    monkeypatch.setattr(synthesis, "apart", lambda params: True)
    make("apart", judge=judge)
    assert served.taken() == taken
    assert digest_of(tmp_path / "beside") == digest_of(tmp_path / "apart")


def test_further_pictures_touch_only_partitions_whose_offers_change(make, served, tmp_path):
    make("w", images=19, partition_images=1)
    before = ends_of(tmp_path / "w")
    served.taken()
    more = make("w", partition_images=1)
    after = ends_of(tmp_path / "w")
    changed = {ref.rpartition("/")[0] for ref in before if after[ref] != before[ref]}
    made, cached = made_of(more)["synth"]
    assert made_of(more)["synth-tag"] == (1, 19)
    assert len(changed) < made < 20
    assert made + cached == 20
    assert served.taken()["tag"] == 1
    digest = digest_of(tmp_path / "w")
    make("new", partition_images=1)
    assert digest_of(tmp_path / "new") == digest, "as if all pictures had been there from the beginning"


def test_a_recipe_without_limits_pays_nothing(make, tmp_path):
    free = make("free", images=4, offer={"mapping": "package"})
    assert set(made_of(free)) == {"synth"}
    assert not (tmp_path / "free/state/synth/tags").exists()


def test_types_that_suit_no_picture_hint_at_the_mapping(write_served, served, tmp_path, capsys):
    served.suited = False
    hint = "warning: 4 of 4 attempts ended as no_suitable_type: without synth.offer.mapping"
    for name, offer, hinted in (("plain", {}, True), ("mapped", {"mapping": "package"}, False)):
        run(load_recipe(write_served(images=4, offer=offer)), Location.of(tmp_path / name), RunOptions())
        assert (hint in capsys.readouterr().err) is hinted, name
