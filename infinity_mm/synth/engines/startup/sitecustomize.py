"""Start-up hook of child processes: see `infinity_mm.synth.engines.torch_cpu`.

Python imports the first `sitecustomize` on its path. This one waits for the import of torchvision, and hands over to
the `sitecustomize` that it shadows.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

_HERE = Path(__file__).resolve().parent


class _AfterOperators(importlib.abc.Loader):
    """Defines the operators, then executes torchvision with its own loader."""

    def __init__(self, loader: importlib.abc.Loader):
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec = importlib.util.spec_from_file_location("_torch_cpu", _HERE.parent / "torch_cpu.py")
        if spec is not None and spec.loader is not None:
            torch_cpu = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(torch_cpu)
            torch_cpu.define_operators()
        self._loader.exec_module(module)


class _BeforeTorchvision(importlib.abc.MetaPathFinder):
    """Finds torchvision where Python would, and wraps its loader."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "torchvision":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _AfterOperators(spec.loader)
        return spec


def _run_shadowed() -> None:
    """Execute the next `sitecustomize` on the path, if there is one."""
    others = [entry for entry in sys.path if entry and Path(entry).resolve() != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


sys.meta_path.insert(0, _BeforeTorchvision())
_run_shadowed()
