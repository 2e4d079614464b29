from __future__ import annotations

import json
from pathlib import Path

import pytest

from infinity_mm.errors import RecipeError
from infinity_mm.synth.taxonomy import SEPARATOR, Taxonomy

PUBLISHED = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "taxonomy.json"


def test_counts_are_those_the_file_states() -> None:
    taxonomy = Taxonomy.load()
    assert len({leaf.level1 for leaf in taxonomy.leaves}) == 6
    assert len({(leaf.level1, leaf.level2) for leaf in taxonomy.leaves}) == 19
    assert len(taxonomy.leaves) == 134
    assert sum(len(leaf.raw) for leaf in taxonomy.leaves) == 198


def test_canonical_names_are_unique_and_each_raw_path_has_one_leaf() -> None:
    leaves = Taxonomy.load().leaves
    names = [leaf.name.casefold() for leaf in leaves]
    paths = [path for leaf in leaves for path in leaf.raw]
    assert len(set(names)) == len(names)
    assert len(set(paths)) == len(paths) == 198
    assert all(leaf.asks and not leaf.asks.endswith(".") for leaf in leaves)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published list is not at hand")
def test_every_published_leaf_maps() -> None:
    taxonomy = Taxonomy.load()
    published = json.loads(PUBLISHED.read_text())
    paths = {
        SEPARATOR.join((top, middle, leaf))
        for top, below in published.items()
        for middle, leaves in below.items()
        for leaf in leaves
    }
    assert paths == {path for leaf in taxonomy.leaves for path in leaf.raw}
    unmapped = {path for path in paths if taxonomy.canonical(path) is None}
    assert unmapped == set()
    bare = {path.split(SEPARATOR)[-1] for path in paths}
    assert {name for name in bare if taxonomy.canonical(name) is None} == {"direct"}


@pytest.mark.parametrize(
    ("raw", "leaf"),
    [
        ("Transcribe text from image", "Transcribe text"),
        ("extract  text from IMAGES", "Transcribe text"),
        ("Recognize text in images", "Transcribe text"),
        ("New tag", "Other function reasoning"),
        ("Other", "Other image scenes"),
        ("Identify number of people", "Count people"),
        ("Relation Reasoning > Social Relation > Other social relations", "Other social relations"),
        ("Fine-grained Perception (single-instance) > Detect presence > direct", "Detect presence"),
        (
            "Fine-grained Perception (cross-instance) > Determine relative position > direct",
            "Determine relative position",
        ),
        ("Compare material", "Compare materials"),
        ("Extract key information", "Extract key information"),
    ],
)
def test_variants_meet_in_one_leaf(raw: str, leaf: str) -> None:
    found = Taxonomy.load().canonical(raw)
    assert found is not None
    assert found.name == leaf


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Identify people", "Count people"),
        ("Identify presence of people", "Identify people"),
        ("Recognize text", "Transcribe text"),
        ("Identify time", "Identify time of day"),
        ("Parse charts", "Identify chart content"),
    ],
)
def test_different_tasks_stay_apart(one: str, other: str) -> None:
    taxonomy = Taxonomy.load()
    assert taxonomy.canonical(one) != taxonomy.canonical(other)


def test_path_names_all_three_levels() -> None:
    taxonomy = Taxonomy.load()
    assert taxonomy.path("count people") == (
        "Fine-grained Perception (single-instance)",
        "Object Localization",
        "Count people",
    )
    with pytest.raises(KeyError):
        taxonomy.path("direct")


def test_select_takes_leaves_and_levels_in_the_order_of_the_file() -> None:
    taxonomy = Taxonomy.load()
    assert taxonomy.select(None) == taxonomy.leaves
    chosen = taxonomy.select(["Count people", "image style", "Count people"])
    assert [leaf.name for leaf in chosen] == ["Identify image category", "Other image styles", "Count people"]
    assert {leaf.level1 for leaf in taxonomy.select(["Relation Reasoning"])} == {"Relation Reasoning"}


def test_select_names_the_nearest_type() -> None:
    with pytest.raises(RecipeError, match=r"'Cuont people'.*did you mean 'Count people'"):
        Taxonomy.load().select(["Cuont people"])
    with pytest.raises(RecipeError, match="empty"):
        Taxonomy.load().select([])
