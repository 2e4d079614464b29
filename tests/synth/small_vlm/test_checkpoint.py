"""The checkpoint that ships: fit for the prompts of today, small, and right under the engines.

The bars leave room for the sample, half of it of combinations that training never showed. What was measured on many
pictures stands in the checkpoint's README.md.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infinity_mm.synth import tiny_model
from infinity_mm.synth.small_vlm import vocabulary
from infinity_mm.synth.small_vlm.model import picture_prefix, request_text
from infinity_mm.synth.small_vlm.tasks import SHARES

pytestmark = pytest.mark.skipif(not tiny_model.is_trained(), reason="this checkout has no trained checkpoint")

FOLDER = tiny_model.PACKAGED
PICTURES = 40
LEAST = 0.9
#: Tasks whose replies are closed: nothing in them is free to vary.
CLOSED = ("tag", "classify", "relevance", "phrase", "choice", "yes_no", "judge")


def test_it_was_trained_on_the_prompts_of_today():
    recipe = json.loads((FOLDER / "recipe.json").read_bytes())
    assert recipe["prompts"] == vocabulary.prompt_versions(), "run python -m infinity_mm.synth.train_small again"


def test_it_is_small_and_says_what_it_is():
    files = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert sum(files.values()) < 8e6
    card = (FOLDER / "README.md").read_text()
    assert "license:" in card
    assert "cannot" in card


def test_the_chat_template_is_what_training_saw():
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    from infinity_mm.synth.engines import torch_cpu

    torch_cpu.prepare()
    processor = transformers.AutoProcessor.from_pretrained(FOLDER)
    content = [{"type": "image"}, {"type": "text", "text": "How many circles are there?"}]
    system = {"role": "system", "content": [{"type": "text", "text": "You tag pictures."}]}
    user = {"role": "user", "content": content}
    for turns, asked in (([system, user], "You tag pictures."), ([user], "")):
        text = processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        whole = text.replace("<image>", picture_prefix().removeprefix("<|im_start|>User:"))
        assert whole == picture_prefix() + request_text(asked, "How many circles are there?")


def measured(engine: str) -> tuple[dict[str, tuple[int, int]], str]:
    """Ask the model in a process of its own; return right and asked by task, and the table.

    The formats of a task and the pictures of seen and unseen combinations are added up.
    """
    command = [sys.executable, "-m", "infinity_mm.synth.evaluate_small", "--engine", engine]
    command += ["--pictures", str(PICTURES // 2), "--seed", "11"]
    root = Path(tiny_model.__file__).parents[2]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, tuple[int, int]] = {}
    for line in done.stdout.splitlines():
        cells = [(int(right), int(asked)) for right, asked in re.findall(r"% +(\d+)/(\d+)", line)]
        if cells and line.split()[0] in SHARES:
            had = found.get(line.split()[0], (0, 0))
            found[line.split()[0]] = tuple(sum(column) for column in zip(had, *cells, strict=True))
    return found, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_it_is_right_about_pictures_it_has_not_seen(engine):
    pytest.importorskip("torch")
    if engine == "vllm":
        from infinity_mm.synth.engines.select import local_gpus, vllm_is_cpu_build

        if not (vllm_is_cpu_build() or local_gpus()):
            pytest.skip("no vLLM that runs here")
    found, table = measured(engine)
    assert set(found) == set(SHARES), table
    below = {name: found[name] for name in (*CLOSED, "generate") if found[name][0] / found[name][1] < LEAST}
    assert not below, table


def test_the_package_ships_it():
    root = Path(tiny_model.__file__).parents[2]
    text = (root / "pyproject.toml").read_text()
    assert '"**/*.safetensors"' in text
    assert '"**/*.jinja"' in text
