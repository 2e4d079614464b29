"""The torchvision shim: it recognises the mismatch by version files alone, and reaches child processes."""

import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from infinity_mm.synth.engines import torch_cpu


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The versions that torch and torchvision seem to have."""
    present: dict[str, str] = {}

    def find_spec(name: str) -> ModuleSpec | None:
        if name not in present:
            return None
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "version.py").write_text(f"__version__ = '{present[name]}'\ncuda = whatever()\n")
        return ModuleSpec(name, None, origin=str(tmp_path / name / "__init__.py"))

    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    return present


@pytest.mark.parametrize(
    ("torch", "torchvision", "expected"),
    [
        ("2.13.0+cpu", "0.28.0+cu130", True),
        ("2.13.0", "0.28.0+cu130", True),
        ("2.13.0+cpu", "0.28.0+cpu", False),
        ("2.13.0+cu130", "0.28.0+cu130", False),
        ("2.13.0+cpu", None, False),
        (None, None, False),
    ],
)
def test_mismatch(versions: dict[str, str], torch: str | None, torchvision: str | None, expected: bool) -> None:
    versions |= {name: value for name, value in (("torch", torch), ("torchvision", torchvision)) if value}
    assert torch_cpu.mismatched() is expected


def test_nothing_is_done_where_packages_fit(versions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "kept")
    assert torch_cpu.prepare() is False
    assert os.environ["PYTHONPATH"] == "kept"


def test_python_path_is_extended_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["one", "two"]))
    path = torch_cpu.child_pythonpath()
    assert path.split(os.pathsep) == [str(torch_cpu.STARTUP), "one", "two"]
    monkeypatch.setenv("PYTHONPATH", path)
    assert torch_cpu.child_pythonpath() == path


def test_a_shadowed_sitecustomize_still_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['SHADOWED'] = 'ran'")
    path = os.pathsep.join([str(torch_cpu.STARTUP), str(tmp_path)])
    code = "import os, sys; print(os.environ['SHADOWED'], 'torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ran", "False"]


@pytest.mark.skipif(not torch_cpu.mismatched(), reason="torchvision is absent or fits its torch")
def test_torchvision_imports_here_and_in_children() -> None:
    root = Path(torch_cpu.__file__).parents[3]
    here = (
        "from infinity_mm.synth.engines import torch_cpu as t; assert t.prepare() and t.prepare(); import torchvision"
    )
    child = "import torchvision.transforms; from torchvision.ops import nms"
    both = f"{here}; import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    subprocess.run([sys.executable, "-c", both], env=os.environ | {"PYTHONPATH": str(root)}, check=True)
