"""The recipes that ship with the project mean something."""

import shutil
from pathlib import Path

import pytest
import yaml

from infinity_mm.errors import RecipeError
from infinity_mm.pipeline.forecast import _stages
from infinity_mm.pipeline.required import check_synthesis
from infinity_mm.recipe import load_recipe

FOLDER = Path(__file__).parents[1] / "pipelines"
REAL = (
    "synth.model={name: Qwen/Qwen2.5-VL-7B-Instruct, gpus: 1}",
    "synth.judge={name: OpenGVLab/InternVL3-8B-hf, gpus: 1}",
)
#: One published name of each family that a recipe may give, and what it needs beside it.
NAMED = {
    "Qwen/Qwen2-VL-7B-Instruct": "",
    "Qwen/Qwen2.5-VL-3B-Instruct": "",
    "Qwen/Qwen3-VL-30B-A3B-Instruct": ", gpus: 2",
    "openbmb/MiniCPM-V-2_6": ", trust_remote_code: true",
    "openbmb/MiniCPM-V-4_5": ", trust_remote_code: true",
    "openbmb/MiniCPM-V-4.6": "",
    "OpenGVLab/InternVL3-8B-hf": "",
    "OpenGVLab/InternVL3_5-8B": ", trust_remote_code: true",
    "HuggingFaceTB/SmolVLM2-2.2B-Instruct": "",
    "HuggingFaceM4/Idefics3-8B-Llama3": "",
}


@pytest.fixture
def place(tmp_path):
    """Return a function that puts a recipe beside roots that exist, without files."""

    def place(name):
        tree = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
        (tmp_path / "pipelines").mkdir()
        for use in tree["sources"]:
            (tmp_path / "pipelines" / use["root"]).resolve().mkdir(parents=True)
        return Path(shutil.copy(FOLDER / f"{name}.yaml", tmp_path / "pipelines"))

    return place


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_every_recipe_loads(place, name):
    assert load_recipe(place(name)).name == name


def test_the_synthetic_recipe_takes_a_real_model_by_two_lines(place):
    path = place("synthetic")
    embedded, real = (load_recipe(path, keys).synth for keys in ((), REAL))
    assert (embedded.model.name, embedded.judge) == ("embedded", None)
    assert real.judge.gpus == 1
    assert real.model_copy(update={"model": embedded.model, "judge": None}) == embedded
    assert "Parse bar charts" in embedded.offer.mapping.parse().leaves


@pytest.mark.parametrize("name", NAMED)
def test_every_family_can_write_or_judge_without_its_weights_at_hand(place, name, monkeypatch):
    monkeypatch.setattr("infinity_mm.pipeline.required.resolve_engine", lambda spec: "vllm")
    monkeypatch.setattr("infinity_mm.synth.models.resolving._absent", lambda packages: [])
    path = place("synthetic")
    for role in ("model", "judge"):
        params = load_recipe(path, (f"synth.{role}={{name: {name}{NAMED[name]}}}",)).synth
        assert getattr(params, role).max_model_len == 8192
        check_synthesis(params)
    if "trust" in NAMED[name]:
        with pytest.raises(RecipeError, match="trust_remote_code"):
            check_synthesis(load_recipe(path, (f"synth.model={{name: {name}}}",)).synth)


def test_plan_tells_of_the_models_and_refuses_what_cannot_run(place, monkeypatch, every_package):
    for module in ("pipeline.required", "pipeline.forecast"):
        monkeypatch.setattr(f"infinity_mm.{module}.resolve_engine", lambda spec: "vllm")
    path = place("synthetic")
    lines = [line for line in _stages(load_recipe(path, REAL)) if line.startswith("model")]
    assert len(lines) == 2
    assert "Qwen2.5-VL, a picture of 1024 x 1024 takes 1,371 of 8,192 tokens" in lines[0]
    assert "InternVL (-hf), a picture of 1024 x 1024 takes 2,562" in lines[1]
    with pytest.raises(RecipeError, match=r"synth\.judge: .*trust_remote_code"):
        _stages(load_recipe(path, ("synth.judge={name: OpenGVLab/InternVL3-8B}",)))
