"""Keys that whoever runs a model would ignore are named, with who ignores them; all others pass."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.errors import RecipeError
from infinity_mm.recipe import load_recipe
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.model_keys import unheeded
from infinity_mm.synth.params import SynthParams

URL = "http://h:8000/v1"


def faults(**models):
    return list(unheeded(SynthParams.model_validate({"images": 1} | models)))


@pytest.mark.parametrize("engine", ["auto", "vllm", "transformers"])
@pytest.mark.parametrize(
    ("key", "value"), [("api_key_env", "KEY"), ("concurrency", 4), ("requests_per_minute", 60), ("timeout_s", 9.0)]
)
def test_what_only_an_endpoint_heeds(engine, key, value):
    (said,) = faults(model={"engine": engine, key: value})
    assert said.startswith(f"synth.model.{key}: only an OpenAI-compatible endpoint heeds it, and ")
    assert ("without base_url" if engine == "auto" else f"engine {engine} runs it") in said
    assert f"leave {key} out, or give base_url" in said


@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_an_address_beside_an_engine_that_runs_here(engine):
    (said,) = faults(judge={"name": "m", "engine": engine, "base_url": URL})
    assert said.startswith("synth.judge.base_url: only an OpenAI-compatible endpoint heeds it")
    assert said.endswith("leave base_url out, or set engine: openai for a model that is served")


@pytest.mark.parametrize("engine", ["auto", "openai"])
@pytest.mark.parametrize(
    ("key", "value", "instead"),
    [
        ("gpus", 1, "where it is started"),
        ("trust_remote_code", True, "where it is started"),
        ("stall_timeout_s", 5.0, "timeout_s bounds a call"),
    ],
)
def test_what_an_endpoint_ignores(engine, key, value, instead):
    (said,) = faults(judge={"name": "m", "engine": engine, "base_url": URL, key: value})
    assert said.startswith(f"synth.judge.{key}: the model is behind an endpoint, which ignores it (")
    assert instead in said
    assert said.endswith(f"leave {key} out")


def test_an_endpoint_needs_its_address_and_counts_with_one_worker():
    assert faults(model={"engine": "openai"}) == [
        "synth.model.base_url: engine openai needs it: the server's address, ending in /v1, as http://HOST:8000/v1"
    ]
    (said,) = faults(model={"base_url": URL, "requests_per_minute": 60, "replicas": 2})
    assert said.startswith("synth.model.replicas: with requests_per_minute one worker asks")
    assert faults(model={"base_url": URL, "requests_per_minute": 60, "replicas": 1}) == []


def test_losses_are_computed_here_whatever_the_key_says():
    said = faults(loss={"model": {"name": "m", "base_url": URL, "concurrency": 2}})
    assert [line.partition(":")[0] for line in said] == ["synth.loss.model.base_url", "synth.loss.model.concurrency"]


@given(st.sampled_from([{}, {"engine": "vllm"}, {"engine": "transformers"}, {"base_url": URL}]), st.booleans())
def test_a_manifests_recipe_with_every_key_stays_valid(model, judged):
    """Every key is in it, most at their defaults."""
    params = SynthParams.model_validate({"images": 1, "model": model} | ({"judge": model} if judged else {}))
    assert params.model.model_fields_set <= ModelSpec.model_fields.keys()
    again = SynthParams.model_validate(params.model_dump(mode="json"))
    assert again.model.model_fields_set == ModelSpec.model_fields.keys()
    assert list(unheeded(params)) == list(unheeded(again)) == []


def test_what_both_heed_may_be_given_for_either():
    both = {"name": "m", "cpus": 2, "replicas": 2, "max_model_len": 4096, "max_image_side": 500, "processor": {"a": 1}}
    assert faults(model=both | {"gpus": 1, "engine": "vllm"}, judge=both | {"base_url": URL, "concurrency": 64}) == []


def test_the_recipe_says_all_of_it_before_any_work(tmp_path):
    path = tmp_path / "r.yaml"
    model = {"engine": "vllm", "requests_per_minute": 60, "timeout_s": 9}
    path.write_text(
        yaml.safe_dump({"name": "r", "sources": [{"name": "gqa", "root": "."}], "synth": {"images": 1, "model": model}})
    )
    with pytest.raises(RecipeError) as error:
        load_recipe(path)
    lines = str(error.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        [str(path), "synth.model.requests_per_minute"],
        [str(path), "synth.model.timeout_s"],
    ]
