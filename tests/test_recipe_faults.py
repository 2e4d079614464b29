"""Faults of a recipe are told in its own words; every field that takes a list says so, and shows one."""

from pathlib import Path
from typing import get_origin

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from infinity_mm.recipe import Recipe, load_recipe
from infinity_mm.recipe_faults import _models_in, explain

ROOT = {"name": "r", "sources": [{"name": "gqa", "root": "."}], "synth": {"images": 1}}


def said_of(tree, model=Recipe):
    with pytest.raises(ValidationError) as error:
        model.model_validate(tree)
    return explain(Path("r.yaml"), model, error.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"synth": {"images": 1, "types": "Logic"}}, "synth.types: expected a list, e.g. [Logic], got 'Logic'"),
        ({"synth": {"images": 1, "types": "Logic, OCR"}}, "e.g. [Logic, OCR], got 'Logic, OCR'"),
        ({"synth": {"images": 1, "sources": "gqa"}}, "synth.sources: expected a list, e.g. [gqa], got 'gqa'"),
        ({"synth": {"images": 1, "taggers": "vlm"}}, "synth.taggers: expected a list, e.g. [{kind: vlm}], got 'vlm'"),
        ({"filters": "text"}, "filters: expected a list, e.g. [{use: text}], got 'text'"),
        ({"filters": {"use": "text"}}, "filters: expected a list, e.g. [{use: text}], got {'use': 'text'}"),
        ({"export": None}, "export: expected a list, e.g. [], got None"),
        ({"takedown": "out.txt"}, "takedown: expected a list, e.g. [{file: out.txt}], got 'out.txt'"),
        ({"sources": [{"name": "gqa", "root": ".", "files": 7}]}, "sources.0.files: expected a list, e.g. [7], got 7"),
        ({"dedup": "pair"}, "dedup: expected keys and values, got 'pair'"),
    ],
)
def test_what_was_expected_and_what_came(keys, said):
    assert said in said_of(ROOT | keys)


def test_an_example_that_is_too_long_is_left_out():
    said = said_of(ROOT | {"synth": {"images": 1, "types": "x" * 200}})
    assert said.startswith("r.yaml: synth.types: expected a list, got 'xxx")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30))
def test_the_example_is_yaml_that_means_a_list(text):
    said = said_of(ROOT | {"synth": {"images": 1, "types": text}})
    shown = said.partition("e.g. ")[2].rpartition(", got ")[0]
    if shown:
        assert yaml.safe_load(shown) == [part.strip() for part in text.split(",")]


def test_the_same_from_the_command_line(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump(ROOT))
    with pytest.raises(Exception, match=r"synth\.types: expected a list, e\.g\. \[Logic\], got 'Logic'"):
        load_recipe(path, ["synth.types=Logic"])


def models(model):
    yield model
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            yield from models(inner)


def lists(model):
    return [
        field.alias or name
        for name, field in model.model_fields.items()
        if get_origin(field.annotation) is tuple
        or any(get_origin(one) is tuple for one in getattr(field.annotation, "__args__", ()))
    ]


CASES = sorted({(model, key) for model in models(Recipe) for key in lists(model)}, key=str)


@pytest.mark.parametrize(("model", "key"), CASES, ids=lambda one: getattr(one, "__name__", one))
def test_no_list_of_a_recipe_is_called_a_tuple(model: type[BaseModel], key: str):
    said = said_of({key: "word"}, model)
    assert f"r.yaml: {key}: expected a list, e.g. [" in said
    assert "tuple" not in said
