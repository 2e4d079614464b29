"""Family, checkpoint and recipe together."""

import json

import pytest

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.models.resolving import check_engine, model_rules


def checkpoint(folder, config, processor=None, name="preprocessor_config.json"):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if processor is not None:
        (folder / name).write_text(json.dumps(processor))
    return folder


def test_the_context_bounds_a_picture_and_the_processor_is_told():
    spec = ModelSpec(name="OpenGVLab/InternVL3-8B-hf", max_model_len=4096)
    rules = model_rules(spec)
    assert rules.pictures.most() <= 2048
    assert rules.processor == {"max_patches": 6}
    assert rules.engine_arguments() == {
        "mm_processor_kwargs": {"max_patches": 6},
        "limit_mm_per_prompt": {"video": 0},
    }


def test_where_everything_fits_nothing_is_told():
    rules = model_rules(ModelSpec(name="HuggingFaceM4/Idefics3-8B-Llama3"))
    assert (rules.processor, rules.engine_arguments()) == ({}, {})


def test_max_image_side_bounds_the_area_of_a_model_that_takes_any():
    rules = model_rules(ModelSpec(name="Qwen/Qwen2.5-VL-7B-Instruct", max_image_side=560))
    assert rules.processor["size"]["longest_edge"] == 560 * 560
    assert rules.picture_tokens(560, 560) == 20 * 20 + 2


def test_the_recipe_has_the_last_word():
    spec = ModelSpec(
        name="openbmb/MiniCPM-V-4.6",
        max_image_tokens=200,
        processor={"downsample_mode": "4x"},
        chat_template={"enable_thinking": True, "x": 1},
    )
    rules = model_rules(spec)
    assert rules.processor == {"max_slice_nums": 1, "downsample_mode": "4x"}
    assert rules.template == {"enable_thinking": True, "x": 1}


@pytest.mark.parametrize("name", ["preprocessor_config.json", "processor_config.json"])
def test_a_checkpoint_tells_more_than_its_name(tmp_path, name):
    processor = {"size": {"longest_edge": 512}, "max_image_size": {"longest_edge": 128}, "image_seq_len": 16}
    nested = {"image_processor": processor, "image_seq_len": 16} if name == "processor_config.json" else processor
    folder = checkpoint(tmp_path / "my-qwen2.5-vl-killer", {"model_type": "idefics3"}, nested, name)
    rules = model_rules(ModelSpec(name=str(folder), max_model_len=8192), folder)
    assert rules.family.name == "Idefics3"
    assert (rules.pictures.size, rules.pictures.tile, rules.pictures.tile_tokens) == (512, 128, 16)


def test_a_recipe_names_the_family_of_a_name_that_says_nothing():
    assert model_rules(ModelSpec(name="our-vlm")).family is None
    named = ModelSpec(name="our-vlm", family="qwen3_vl")
    assert (model_rules(named).family.name, named.max_model_len) == ("Qwen3-VL", 8192)


def test_an_unknown_model_keeps_what_the_recipe_says(tmp_path):
    folder = checkpoint(tmp_path, {"model_type": "llava"})
    rules = model_rules(ModelSpec(name=str(folder), processor={"a": 1}), folder)
    assert (rules.family, rules.pictures, rules.processor) == (None, None, {"a": 1})
    assert rules.picture_tokens(1000, 1000) == 0
    assert rules.engine_arguments() == {"mm_processor_kwargs": {"a": 1}}
    (folder / "config.json").write_text("[broken")
    assert model_rules(ModelSpec(name=str(folder)), folder).family is None


def test_a_budget_that_no_setting_meets():
    with pytest.raises(ModelError, match=r"InternVL.*more than 200 tokens.*max_image_tokens"):
        model_rules(ModelSpec(name="OpenGVLab/InternVL3-1B-hf", max_image_tokens=200))


@pytest.mark.parametrize(
    ("name", "engine", "word"),
    [
        ("openbmb/MiniCPM-V-2_6", "vllm", "trust_remote_code: true"),
        ("OpenGVLab/InternVL3-8B", "vllm", "trust_remote_code: true"),
        ("OpenGVLab/InternVL3-8B", "transformers", "transformers has no class"),
        ("OpenGVLab/InternVL3-8B", "openai", None),
        ("OpenGVLab/InternVL3-8B-hf", "vllm", None),
        ("Qwen/Qwen3-VL-8B-Instruct", "transformers", None),
        ("google/gemma-3-4b-it", "vllm", None),
    ],
)
def test_what_an_engine_needs_is_said_before_anything_is_loaded(name, engine, word):
    spec = ModelSpec(name=name)
    if word is None:
        check_engine(spec, model_rules(spec), engine)
        return
    with pytest.raises(ModelError, match=word):
        check_engine(spec, model_rules(spec), engine)
    if engine == "vllm":
        allowed = ModelSpec(name=name, trust_remote_code=True)
        check_engine(allowed, model_rules(allowed), engine)


def test_a_package_that_is_absent_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    spec = ModelSpec(name="HuggingFaceTB/SmolVLM2-2.2B-Instruct")
    with pytest.raises(ModelError, match="pip install num2words"):
        check_engine(spec, model_rules(spec), "vllm")
