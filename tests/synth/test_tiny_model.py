"""The checkpoint with random weights: same bytes every time, whole or absent, and a tokenizer that loses nothing."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth import tiny_model

pytest.importorskip("torch")
pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.build(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def tokenizer(checkpoint: Path):
    return tokenizers.Tokenizer.from_file(str(checkpoint / "tokenizer.json"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_and_size(checkpoint: Path) -> None:
    files = contents(checkpoint)
    assert set(files) >= {"config.json", "model.safetensors", "tokenizer.json", "processor_config.json"}
    assert 1e6 < len(files["model.safetensors"]) < 3e6
    config = json.loads(files["config.json"])
    assert config["architectures"] == ["Idefics3ForConditionalGeneration"]
    assert config["text_config"]["vocab_size"] == len(json.loads(files["tokenizer.json"])["model"]["vocab"])


def test_another_process_writes_the_same_bytes(checkpoint: Path, tmp_path: Path) -> None:
    code = "import pathlib, sys; from infinity_mm.synth.tiny_model import build; build(pathlib.Path(sys.argv[1]))"
    root = str(Path(tiny_model.__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "m")], check=True, env=environment)
    assert contents(tmp_path / "m") == contents(checkpoint)


def test_another_seed_writes_other_weights_only(checkpoint: Path, tmp_path: Path) -> None:
    one, two = contents(checkpoint), contents(tiny_model.build(tmp_path / "m", seed=18))
    assert {name for name in one if one[name] != two[name]} == {"model.safetensors", "recipe.json"}


def test_complete_checkpoint_is_left_alone(checkpoint: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in checkpoint.iterdir()}
    assert tiny_model.build(checkpoint) == checkpoint
    assert {path.name: path.stat().st_mtime_ns for path in checkpoint.iterdir()} == before


def test_damaged_checkpoint_is_replaced(checkpoint: Path, tmp_path: Path) -> None:
    folder = tiny_model.build(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(b"half")
    (folder / "left over").write_text("from another version")
    assert contents(tiny_model.build(folder)) == contents(checkpoint)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_builds_at_once_agree(checkpoint: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        folders = list(pool.map(lambda _: tiny_model.build(tmp_path / "m"), range(3)))
    assert folders == [tmp_path / "m"] * 3
    assert contents(tmp_path / "m") == contents(checkpoint)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_embedded_checkpoint_lives_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_model, "PACKAGED", tmp_path / "absent")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tiny_model.embedded_checkpoint()
    assert not tiny_model.is_trained()
    assert folder == tmp_path / "infinity-mm" / f"tiny-vlm-v{tiny_model.RECIPE_VERSION}"
    assert tiny_model.embedded_checkpoint(tmp_path / "infinity-mm") == folder


def test_packaged_weights_come_first(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_model, "PACKAGED", checkpoint)
    assert tiny_model.embedded_checkpoint() == checkpoint


@given(st.text())
def test_any_text_round_trips(tokenizer, text: str) -> None:
    # Special tokens are control, not text; the engines break them up before they get here.
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("text", ["a  b\n\n\tc ", "ça 数据 🇫🇷 \u200d", "{'x': [1, 2.50]}", "\x00\x7f\uffff"])
def test_known_texts_round_trip(tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_merges_help(tokenizer) -> None:
    text = "What colour is the car next to the table in this image? Answer in JSON that follows the schema."
    assert len(tokenizer.encode(text).ids) < len(text) / 2
