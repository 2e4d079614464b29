"""Real checkpoints are known by their names, and by nothing that only looks like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.models.families import FAMILIES, FamilyName, family_of_name, family_of_type

NAMES = {
    "Qwen/Qwen2-VL-2B-Instruct": "Qwen2-VL",
    "Qwen/Qwen2.5-VL-3B-Instruct": "Qwen2.5-VL",
    "Qwen/Qwen2.5-VL-72B-Instruct-AWQ": "Qwen2.5-VL",
    "Qwen/Qwen3-VL-8B-Instruct": "Qwen3-VL",
    "Qwen/Qwen3-VL-30B-A3B-Instruct-FP8": "Qwen3-VL",
    "openbmb/MiniCPM-V-2_6": "MiniCPM-V 2.6 to 4.5",
    "openbmb/MiniCPM-o-2_6": "MiniCPM-V 2.6 to 4.5",
    "openbmb/MiniCPM-V-4": "MiniCPM-V 2.6 to 4.5",
    "openbmb/MiniCPM-V-4_5-int4": "MiniCPM-V 2.6 to 4.5",
    "openbmb/MiniCPM-V-4.6": "MiniCPM-V 4.6",
    "OpenGVLab/InternVL3-8B-hf": "InternVL (-hf)",
    "OpenGVLab/InternVL3_5-4B-HF": "InternVL (-hf)",
    "OpenGVLab/InternVL3-8B": "InternVL",
    "OpenGVLab/InternVL3_5-38B": "InternVL",
    "OpenGVLab/InternVL2_5-4B": "InternVL",
    "HuggingFaceTB/SmolVLM-256M-Instruct": "SmolVLM",
    "HuggingFaceTB/SmolVLM2-2.2B-Instruct": "SmolVLM",
    "HuggingFaceM4/Idefics3-8B-Llama3": "Idefics3",
    "/models/qwen2.5-vl-7b-instruct/": "Qwen2.5-VL",
}
OTHERS = [
    "embedded",
    "random",
    "Qwen/Qwen2.5-7B-Instruct",
    "Qwen/Qwen3-8B",
    "openbmb/MiniCPM3-4B",
    "google/gemma-3-4b-it",
    "owner/qwen2.5-vl-data/other-model",
]


@pytest.mark.parametrize(("name", "family"), NAMES.items())
def test_names_of_the_hub(name, family):
    assert family_of_name(name).name == family
    assert sum(1 for one in FAMILIES if one is family_of_name(name)) == 1


@pytest.mark.parametrize("name", OTHERS)
def test_names_of_others(name):
    assert family_of_name(name) is None


def test_every_name_a_recipe_may_give_is_a_family_s():
    given = [family_of_type(name) for name in FamilyName.__args__]
    assert set(map(id, given)) == set(map(id, FAMILIES))
    types = [model_type for family in FAMILIES for model_type in family.model_types]
    assert len(types) == len(set(types))
    assert family_of_type(None) is None
    assert family_of_type("llava") is None


@given(
    st.sampled_from([*NAMES, *OTHERS]),
    st.none() | st.integers(64, 9999),
    st.none() | st.integers(14, 3000),
)
def test_the_family_s_lengths_hold_unless_the_recipe_says_otherwise(name, length, side):
    told = {key: value for key, value in (("max_model_len", length), ("max_image_side", side)) if value is not None}
    spec = ModelSpec.model_validate({"name": name} | told)
    generic = (2048, 448) if family_of_name(name) is None else (8192, 1024)
    assert (spec.max_model_len, spec.max_image_side) == (length or generic[0], side or generic[1])
    assert ModelSpec.model_validate_json(spec.model_dump_json()) == spec
