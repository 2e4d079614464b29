"""What a checkpoint's config.json says of its context is what vLLM makes of it, and more is refused before it loads."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.errors import RecipeError
from infinity_mm.pipeline.required import check_synthesis
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines import torch_cpu
from infinity_mm.synth.models.lengths import own_length, too_long
from infinity_mm.synth.params import SynthParams
from tests.checkpoints import whole_folder

TOLD = {"max_position_embeddings": 4096}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}
LLAMA3 = YARN | {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
#: Keys of a language model's config -> the context that vLLM 0.32 gives it.
LENGTHS = [
    (TOLD, 4096),
    (TOLD | {"rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]}}, 4096),
    (TOLD | {"rope_scaling": {"type": "linear", "factor": 2.0}}, 8192),
    (TOLD | {"rope_scaling": {"rope_type": "dynamic", "factor": 2.5}}, 10240),
    (TOLD | {"rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 10000.0}}, 12288),
    (TOLD | {"rope_scaling": YARN}, 4096),
    (TOLD | {"rope_scaling": LLAMA3}, 4096),
    (TOLD | {"max_seq_len": 1000}, 1000),
    (TOLD | {"model_max_length": 6000}, 6000),
]


@pytest.fixture(scope="session", autouse=True)
def transformers():
    """Nothing here needs the processors that the other tests of this folder do."""


@pytest.mark.parametrize(("keys", "tokens"), LENGTHS)
@pytest.mark.parametrize("part", [None, "text_config", "llm_config"])
def test_the_length_of_the_language_model(keys, tokens, part):
    config = keys if part is None else {part: keys, "max_position_embeddings": 77}
    assert own_length({"model_type": "m"} | config).tokens == tokens


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"text_config": {}, "max_position_embeddings": 77},
        {"max_position_embeddings": None},
        {"max_position_embeddings": 0},
    ],
)
def test_a_config_that_does_not_tell_bounds_nothing(config):
    assert own_length(config) is None


def test_what_a_scaling_does_not_stretch():
    stretched = TOLD | {"rope_scaling": {"rope_type": "linear", "factor": 8.0}}
    assert own_length({"text_config": stretched | {"model_type": "gemma3_text"}}).tokens == 4096
    assert own_length(TOLD | {"rope_scaling": {"rope_type": "linear", "factor": None}}).tokens == 4096
    nested = {"full_attention": {"rope_type": "linear", "factor": 2.0}, "sliding_attention": {"rope_type": "default"}}
    assert own_length(TOLD | {"rope_parameters": nested}).tokens == 8192


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_what_fits_passes_and_what_does_not_is_told_with_the_models_own_figure(tmp_path_factory, asked, own):
    folder = tmp_path_factory.mktemp("m")
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": own}))
    told = too_long(ModelSpec(name=str(folder), max_model_len=asked), "vllm")
    assert (told is None) is (asked <= own)
    if told is not None:
        assert f"{own:,} by its config.json (max_position_embeddings {own:,})" in told
        assert told.endswith(f"set max_model_len to at most {own}")


def test_who_is_asked(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps(TOLD))
    spec = ModelSpec(name=str(tmp_path), max_model_len=5000)
    assert too_long(spec, "vllm") == too_long(spec, "transformers") != too_long(spec, "openai") is None
    assert too_long(ModelSpec(name="owner/not-here", max_model_len=10**7), "vllm") is None
    monkeypatch.setenv("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "1")
    assert too_long(spec, "vllm") is None
    assert too_long(spec, "transformers") is not None


@pytest.mark.parametrize("role", ["model", "judge", "loss"])
def test_the_key_is_named_before_any_work(tmp_path, every_package, role):
    folder = whole_folder(tmp_path)
    config = {"model_type": "qwen2_5_vl", "max_position_embeddings": 32768, "rope_scaling": {"type": "mrope"}}
    (folder / "config.json").write_text(json.dumps(config))
    engine = "transformers" if role == "loss" else "vllm"

    def check(length):
        model = {"name": str(folder), "engine": engine, "max_model_len": length}
        check_synthesis(SynthParams.model_validate({"images": 1, role: {"model": model} if role == "loss" else model}))

    check(32768)
    key = "synth.loss.model" if role == "loss" else f"synth.{role}"
    with pytest.raises(RecipeError, match=rf"^{key}\.max_model_len: 40,000 tokens are more than .* 32,768 by its "):
        check(40000)


def test_the_embedded_model_has_a_length_of_its_own(every_package):
    with pytest.raises(RecipeError, match=r"^synth\.model\.max_model_len: 9,000 tokens.*at most 8192$"):
        check_synthesis(SynthParams.model_validate({"images": 1, "model": {"max_model_len": 9000, "engine": "vllm"}}))


@pytest.mark.slow
@pytest.mark.parametrize(("keys", "tokens"), LENGTHS)
def test_vllm_takes_just_that(tmp_path, keys, tokens):
    pytest.importorskip("vllm", reason="vLLM is not installed")
    torch_cpu.prepare()
    from vllm.config import ModelConfig

    size = {"vocab_size": 64, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "model_type": "qwen2"}
    (tmp_path / "config.json").write_text(json.dumps(size | heads | keys | {"architectures": ["Qwen2ForCausalLM"]}))
    common = {"model": str(tmp_path), "skip_tokenizer_init": True, "dtype": "float32"}
    assert ModelConfig(**common, max_model_len=tokens).max_model_len == tokens
    with pytest.raises(ValueError, match="greater than the derived max_model_len"):
        ModelConfig(**common, max_model_len=tokens + 1)
