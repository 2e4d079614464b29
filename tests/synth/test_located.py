"""Folders of models in a recipe are seen from the recipe."""

import json

import pytest

from infinity_mm.synth.located import with_model_folders
from infinity_mm.synth.params import SynthParams


@pytest.fixture
def base(tmp_path):
    (tmp_path / "models/ours").mkdir(parents=True)
    (tmp_path / "models/ours/config.json").write_text(json.dumps({"model_type": "qwen3_vl"}))
    return tmp_path


@pytest.mark.parametrize("name", ["models/ours", "./models/ours", "models/../models/ours"])
def test_a_folder_beside_the_recipe(base, name):
    assert with_model_folders({"model": {"name": name}}, base) == {"model": {"name": str(base / "models/ours")}}


def test_a_folder_of_the_working_directory(base, tmp_path, monkeypatch):
    monkeypatch.chdir(base)
    found = with_model_folders({"judge": {"name": "models/ours"}}, tmp_path / "elsewhere")
    assert found == {"judge": {"name": str(base / "models/ours")}}


def test_what_begins_as_a_path_stays_one_and_other_names_stay_names(base):
    synth = {"model": {"name": "./models/hours"}, "judge": {"name": "Qwen/Qwen3-VL-8B-Instruct"}}
    found = with_model_folders(synth, base)
    assert found == synth | {"model": {"name": str(base / "models/hours")}}
    for left in ({"name": "embedded"}, {"name": "models/ours", "base_url": "http://h/v1"}, "text", None):
        assert with_model_folders({"model": left}, base) == {"model": left}


def test_every_role_at_any_depth(base):
    use = {"name": "models/ours"}
    synth = {
        "images": 1,
        "taggers": [{"kind": "classifier", "model": use}],
        "loss": {"model": use},
        "checks": {"semantic": {"by": "embedding", "embedding": use}},
    }
    assert "'models/ours'" not in str(with_model_folders(synth, base))


def test_the_folder_tells_the_family_and_so_the_lengths(base):
    found = SynthParams.model_validate(with_model_folders({"images": 1, "model": {"name": "models/ours"}}, base))
    assert (found.model.max_model_len, found.model.max_image_side) == (8192, 1024)
