from __future__ import annotations

import json
from math import isclose, sqrt
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.errors import RecipeError
from infinity_mm.synth.mapping import build_weights, mapping_text, parse_mapping
from infinity_mm.synth.rows import Tag
from infinity_mm.synth.seeds import Seed, parse_seeds
from infinity_mm.synth.taxonomy import Taxonomy

LEAVES = Taxonomy.load().leaves


def leaf(name: str) -> Any:
    found = Taxonomy.load().canonical(name)
    assert found is not None
    return found


def seeds(*rows: tuple[str, list[str]]) -> tuple[Seed, ...]:
    lines = (json.dumps({"image": str(n), "tags": tags, "type": name}) for n, (name, tags) in enumerate(rows))
    return parse_seeds("\n".join(lines), "test")


SMALL = seeds(
    ("Parse bar charts", ["bar chart", "number"]),
    ("Parse bar charts", ["bar chart", "legend"]),
    ("Recognize text", ["sign", "text", "number"]),
    ("Count animals", ["dog", "cat", "grass"]),
)


def test_a_tag_of_one_type_tells_more_than_a_tag_of_several() -> None:
    weights = build_weights(SMALL)
    chart = weights["Parse bar charts"]
    assert chart["bar chart"] > chart["legend"] > chart["number"]
    assert chart["chart"] < chart["bar chart"], "the last word alone counts half"
    assert "Recognize color" not in weights
    for terms in weights.values():
        assert isclose(sqrt(sum(weight**2 for weight in terms.values())), 1.0)
    # N = 3 types; "number" is in 2 of them, "legend" in 1.
    from math import log

    assert isclose(chart["legend"] / chart["number"], (1 + log(4 / 2)) / (1 + log(4 / 3)))


def test_scores_prefer_the_type_of_the_tags_and_fall_back_by_level() -> None:
    mapping = parse_mapping(mapping_text(build_weights(SMALL), 4), "m")
    tags = (Tag("bar chart", 5), Tag("legend", 3))
    scores = {one.name: mapping.score(tags, one) for one in LEAVES}
    assert max(scores, key=lambda name: scores[name]) == "Parse bar charts"
    sibling, cousin, stranger = leaf("Parse line charts"), leaf("Predict next action"), leaf("Count animals")
    assert scores[sibling.name] == pytest.approx(0.4 * scores["Parse bar charts"], rel=1e-3)
    assert scores[cousin.name] == pytest.approx(0.16 * scores["Parse bar charts"], rel=1e-3)
    assert scores[stranger.name] == 0.0
    assert mapping.score((Tag("big bar chart", 5), Tag("chart", 5)), leaf("Parse bar charts")) > 0
    assert mapping.score((), sibling) == 0.0


def test_the_file_is_a_persons_to_read_and_change() -> None:
    text = mapping_text(build_weights(SMALL), 4)
    document = yaml.safe_load(text)
    assert document["seeds"] == 4
    assert list(document["types"]) == ["Count animals", "Recognize text", "Parse bar charts"], "order of the taxonomy"
    assert next(iter(document["types"]["Parse bar charts"])) == "bar chart", "the most telling tag first"
    changed = text.replace("Count animals:", "count ANIMALS:").replace(
        "  Recognize text:", "  # mine\n  Recognize text:"
    )
    assert parse_mapping(changed, "m").sha256 == parse_mapping(text, "m").sha256
    document["types"]["Count animals"]["zebra"] = 2.0
    edited = parse_mapping(yaml.safe_dump(document), "m")
    assert edited.sha256 != parse_mapping(text, "m").sha256
    assert edited.score((Tag("zebra", 5),), leaf("Count animals")) > 0.8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("types: [", "no YAML"),
        ("just text", "expected a mapping"),
        ("version: 7\ntypes: {}", "version 7"),
        ("version: 1\nbackoff: 3\ntypes: {}", "backoff"),
        ("version: 1\ntypes: {Parse bar chart: {x: 1}}", "did you mean 'Parse bar charts'"),
        ("version: 1\ntypes: {Image Scene: {x: 1}}", "group of types"),
        ("version: 1\ntypes: {Count animals: [dog]}", "tags with weights"),
        ("version: 1\ntypes: {Count animals: {dog: -1}}", "above 0"),
    ],
)
def test_a_file_that_means_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_mapping(text, "mapping.yaml")


tags = st.lists(st.sampled_from(["dog", "cat", "red car", "car", "text", "sign", "bar chart"]), max_size=5)
rows = st.lists(st.tuples(st.sampled_from([one.name for one in LEAVES[:12]]), tags), max_size=8)


@given(rows=rows, picture=tags, order=st.randoms())
def test_neither_the_order_of_seeds_nor_of_tags_matters_and_scores_are_shares(
    rows: Any, picture: Any, order: Any
) -> None:
    found = seeds(*rows)
    weights = build_weights(found)
    mixed = list(found)
    order.shuffle(mixed)
    assert mapping_text(build_weights(mixed), 1) == mapping_text(weights, 1)
    mapping = parse_mapping(mapping_text(weights, len(found)), "m")
    seen = tuple(Tag(name, 4) for name in dict.fromkeys(picture))
    for one in LEAVES:
        score = mapping.score(seen, one)
        assert 0.0 <= score <= 1.0
        assert score == pytest.approx(mapping.score(seen[::-1], one))
