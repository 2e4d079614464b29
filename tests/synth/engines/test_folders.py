"""A model's folder is looked through before work: what is missing or cut short is named."""

import json

import pytest

from infinity_mm.errors import ModelError
from infinity_mm.synth.engines.folders import check_folder
from tests.checkpoints import whole_folder


@pytest.fixture
def folder(tmp_path):
    return whole_folder(tmp_path)


def test_a_whole_model_passes(folder):
    check_folder(folder)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("config.json", None, "no config.json"),
        ("config.json", "{", "config.json is no JSON object"),
        ("tokenizer_config.json", "{}", r"no chat template \(chat_template.jinja\)"),
        ("preprocessor_config.json", None, "no image processor"),
        ("model.safetensors", None, r"no weights \(\*\.safetensors\)"),
        ("model.safetensors", "short", "model.safetensors is cut short: 5 of"),
        ("model.safetensors.index.json", '{"weight_map": {"w": "model-2.safetensors"}}', "of its 1 .* 1 are absent"),
    ],
)
def test_what_is_missing_is_named(folder, name, content, word):
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(ModelError, match=f"is no whole model: .*{word}.*save_pretrained"):
        check_folder(folder)


def test_all_faults_are_told_at_once(folder):
    for path in folder.glob("*token*"):
        path.unlink()
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-1])
    with pytest.raises(ModelError, match=rf"no tokenizer.*no chat template.*{len(whole) - 1} of {len(whole)} bytes"):
        check_folder(folder)


def test_a_model_that_is_not_talked_to_needs_its_weights_alone(folder):
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (folder / name).unlink()
    check_folder(folder, pictures=False)


def test_a_template_is_not_missed_where_the_engine_may_bring_one(folder):
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "config.json").write_text(json.dumps({"model_type": "paligemma"}))
    check_folder(folder)
