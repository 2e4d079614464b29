"""Locating models and naming their revision."""

import json
from pathlib import Path

import pytest

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines.checkpoint import folder_revision, locate


def model_folder(folder: Path, dtype: str = "bfloat16") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"dtype": dtype}))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_local_folder(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m")
    found = locate(ModelSpec(name=str(folder)))
    assert (found.folder, found.dtype) == (folder, "auto")
    assert len(found.revision) == 16
    assert int(found.revision, 16) >= 0


def test_float32_stays_float32(tmp_path: Path) -> None:
    assert locate(ModelSpec(name=str(model_folder(tmp_path / "m", "float32")))).dtype == "float32"


def test_revision_follows_content_not_place(tmp_path: Path) -> None:
    one, two = model_folder(tmp_path / "one"), model_folder(tmp_path / "two")
    assert folder_revision(one) == folder_revision(two)
    (two / "README.md").write_text("words")
    assert folder_revision(one) == folder_revision(two)
    (two / "tokenizer.json").write_text("{}")
    assert folder_revision(one) != folder_revision(two)
    (one / "model.safetensors").write_bytes(b"other")
    assert folder_revision(one) != folder_revision(model_folder(tmp_path / "three"))


def test_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        locate(ModelSpec(name=str(tmp_path)))


def test_names_that_lead_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="neither a folder here nor a hub name"):
        locate(ModelSpec(name="a/b/c"))
    with pytest.raises(ModelError, match="could not be had from the hub"):
        locate(ModelSpec(name="no-such-owner/no-such-model"))
