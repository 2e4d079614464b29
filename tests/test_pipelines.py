"""The recipes that ship with the project mean something."""

import shutil
from pathlib import Path

import pytest
import yaml

from infinity_mm.recipe import load_recipe

FOLDER = Path(__file__).parents[1] / "pipelines"
REAL = (
    "synth.model={name: Qwen/Qwen2.5-VL-7B-Instruct, gpus: 1, max_model_len: 8192, max_image_side: 1024}",
    "synth.judge={name: OpenGVLab/InternVL3-8B-hf, gpus: 1, max_model_len: 8192, max_image_side: 1024}",
)


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
