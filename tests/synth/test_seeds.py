from __future__ import annotations

import json

import pytest

from infinity_mm.errors import RecipeError
from infinity_mm.synth.annotated import package_seeds
from infinity_mm.synth.rows import Generated
from infinity_mm.synth.rules import judge_by_rule
from infinity_mm.synth.seeds import SeedFile, by_type, parse_seeds, seed_line

LINE = {
    "image": "kitchen", "tags": ["stove", {"tag": "kettle", "confidence": 3}], "type": "count objects",
    "question": "How many pots are there?", "answer": "two", "format": "word_or_phrase",
}  # fmt: skip


def test_a_row_is_read_under_its_canonical_type_and_written_back() -> None:
    (seed,) = parse_seeds(json.dumps(LINE) + "\n\n" + json.dumps(LINE), "f")
    assert seed.leaf.name == "Count objects"
    assert [(tag.tag, tag.confidence) for tag in seed.row.tags] == [("stove", 5), ("kettle", 3)]
    assert seed.is_example
    assert parse_seeds(seed_line(seed.row), "f") == (seed,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "Count objets"}, "did you mean 'Count objects'"),
        ({"type": "Image Scene"}, "group of types"),
        ({"tags": [{"tag": "x", "confidence": 9}]}, "line 2"),
        ({"format": "multiple_choice"}, "4 options"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_line_that_is_no_seed_is_named(change: dict[str, object], message: str) -> None:
    text = json.dumps(LINE) + "\n" + json.dumps(LINE | change)
    with pytest.raises(RecipeError, match=message):
        parse_seeds(text, "seeds.jsonl")


def test_rows_without_a_question_are_no_examples() -> None:
    tagged = {"image": "a", "tags": ["car"], "type": "Recognize color"}
    seeds = parse_seeds(json.dumps(LINE) + "\n" + json.dumps(tagged), "f")
    assert {name: len(found) for name, found in by_type(seeds).items()} == {"Count objects": 1}


def test_the_packages_own_seeds_pass_the_rules_of_generated_rows(kit) -> None:  # type: ignore[no-untyped-def]
    seeds = SeedFile(file="package", text=package_seeds()).parse()
    assert len(seeds) >= 60
    assert len(by_type(seeds)) >= 50
    for seed in seeds:
        row = seed.row
        typed = kit.typed(row.format, seed.leaf.name)
        drop = judge_by_rule(Generated(typed, row.question, row.answer, row.options), (), kit.params.rules)
        assert drop is None, (row, drop)
