"""Tiny checkpoints of each kind, made once."""

import importlib.util
from pathlib import Path

import pytest

from tests import checkpoints


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the checkpoints `clip`, `siglip` and `classifier`."""
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    from infinity_mm.synth.engines import torch_cpu

    torch_cpu.prepare()
    folder = tmp_path_factory.mktemp("tiny")
    checkpoints.clip(folder / "clip")
    checkpoints.siglip(folder / "siglip")
    checkpoints.classifier(folder / "classifier", ["Dog, hound", "cat", "Red  Car", "tree"])
    return folder
