"""Models that are not there, not whole, or not to be run here end a run before its first pass."""

import pytest

from infinity_mm.errors import EngineError, ModelError, RecipeError
from infinity_mm.pipeline.required import check_models, check_synthesis
from infinity_mm.resources import Resources
from infinity_mm.synth.params import SynthParams
from tests.checkpoints import whole_folder


@pytest.fixture
def folder(tmp_path):
    return whole_folder(tmp_path)


class Node:
    """An embedded node without GPUs."""

    gpus = 0.0

    def check_room(self, who, need):
        if need != Resources():
            raise EngineError(who)


def params(**models):
    return SynthParams.model_validate({"images": 1} | models)


def test_the_role_and_the_nearest_folder_are_named(folder):
    (folder / "right").mkdir()
    (folder / "right/config.json").write_text("{}")
    asked = params(judge={"name": str(folder / "wright"), "engine": "vllm"})
    with pytest.raises(
        RecipeError, match=r"^synth\.judge: .*neither a folder here nor a hub name.*did you mean 'right'"
    ):
        check_synthesis(asked)


def test_a_package_that_is_absent_is_named(folder, monkeypatch):
    monkeypatch.setattr("infinity_mm.synth.models.resolving._absent", lambda packages: [*packages])
    with pytest.raises(RecipeError, match=r"^synth\.model: .*Qwen2\.5-VL\) needs torchvision: pip install torchvision"):
        check_synthesis(params(model={"name": str(folder), "engine": "vllm"}))


def test_a_family_that_config_json_contradicts(folder, every_package):
    model = {"name": str(folder), "engine": "vllm"}
    check_synthesis(params(model=model))
    with pytest.raises(RecipeError, match=r"^synth\.model: .*is Qwen2\.5-VL by its config\.json.*leave family out"):
        check_synthesis(params(model=model | {"family": "internvl"}))


def test_taggers_and_reference_models_are_looked_for_too(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(RecipeError, match=r"^synth\.loss\.model: .*no weights"):
        check_synthesis(params(loss={"model": {"name": str(folder)}}))


def test_a_node_without_gpus_is_told_of_the_judge_that_takes_one():
    with pytest.raises(EngineError, match=r"^synth\.judge \(embedded\)$"):
        check_models(Node(), params(judge={"name": "embedded", "engine": "transformers", "gpus": 1, "cpus": 2}))
    check_models(Node(), params(model={"engine": "transformers"}))


def test_a_hub_that_is_away_is_found_before_work(monkeypatch, every_package):
    def away(name, **asked):
        assert asked["allow_patterns"] == ["config.json"], "weights are not asked for before work"
        raise ConnectionError("no route to host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", away)
    asked = params(model={"name": "Qwen/Qwen2.5-VL-7B-Instruct", "engine": "vllm"})
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *given, **named: None)
    check_synthesis(asked)
    with pytest.raises(ModelError, match=r"no folder here, and could not be had from the hub: no route to host\. "):
        check_models(Node(), asked)
