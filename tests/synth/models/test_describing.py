"""What `plan` and a run tell of a recipe's models."""

import json

import pytest

from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines.checkpoint import folder_at_hand
from infinity_mm.synth.models import describing


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "none"))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path / "none"), raising=False)
    monkeypatch.setattr(describing, "_gpu_memory", lambda: [80 * 10**9])


def test_a_known_model_that_is_not_here():
    line = describing.describe(ModelSpec(name="Qwen/Qwen2.5-VL-7B-Instruct", gpus=1))
    assert "Qwen2.5-VL, a picture of 1024 x 1024 takes 1,371 of 8,192 tokens" in line
    assert "weights not here, to be downloaded, by its name about 14.0 GB, which fit in 80% of 1 GPU of 80 GB" in line
    assert "do not fit" in describing.describe(ModelSpec(name="Qwen/Qwen2.5-VL-72B-Instruct", gpus=1))


@pytest.mark.parametrize(
    ("name", "size"),
    [("Qwen3-VL-30B-A3B-Instruct", 60e9), ("SmolVLM-256M-Instruct", 512e6), ("InternVL3_5-8B-HF", 16e9), ("mine", 0)],
)
def test_size_by_name(name, size):
    assert describing._size_by_name(f"o/{name}") == size


def test_a_folder_here(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "smolvlm"}))
    (tmp_path / "model.safetensors").write_bytes(bytes(2_000_000))
    spec = ModelSpec(name=str(tmp_path), max_model_len=4096)
    assert folder_at_hand(spec) == tmp_path
    assert "weights here, 0.0 GB" in describing.describe(spec)
    assert describing.warning(spec) is None


def test_a_model_of_no_known_family_is_warned_of():
    spec = ModelSpec(name="google/gemma-3-4b-it")
    assert "no known family" in describing.describe(spec)
    assert "max_image_side (448)" in describing.warning(spec)
    assert describing.warning(ModelSpec()) is None
    assert describing.describe(ModelSpec()) == "ships with the package"


def test_thinking_models_are_told_of():
    assert "Instruct" in describing.describe(ModelSpec(name="Qwen/Qwen3-VL-8B-Thinking"))


def test_an_endpoint_has_no_weights_here():
    spec = ModelSpec(name="Qwen/Qwen3-VL-8B-Instruct", base_url="http://h/v1")
    assert "weights" not in describing.describe(spec)
