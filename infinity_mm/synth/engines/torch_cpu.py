"""Make PyPI's torchvision importable beside a CPU build of torch.

PyPI's torchvision is compiled against CUDA. Beside ``torch+cpu`` its C++ library does not load, so nothing defines the
operators ``torchvision::nms`` and ``qnms``, and ``import torchvision`` fails where it registers their shape functions.
Defining the two schemas first is enough for its Python parts (transforms, and with them transformers' image
processors). Where torchvision is absent or fits its torch, nothing is done.
"""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import Final

#: Put on PYTHONPATH, its `sitecustomize` applies `define_operators` in child processes when they import torchvision.
STARTUP: Final = Path(__file__).parent / "startup"
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def mismatched() -> bool:
    """Tell whether a CUDA torchvision stands beside a CPU torch, reading version files only (no import)."""
    return not _built_for_cuda("torch") and _built_for_cuda("torchvision")


def _built_for_cuda(package: str) -> bool:
    """Tell whether an installed package's own version has a CUDA tag, as in 0.28.0+cu130; its metadata may lack it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return False
    try:
        text = (Path(spec.origin).parent / "version.py").read_text()
    except OSError:
        return False
    return re.search(r"^__version__\s*=\s*['\"][^'\"]*\+cu\d", text, re.MULTILINE) is not None


def prepare() -> bool:
    """Define the schemas in this process, and through PYTHONPATH in its children, where needed; tell whether it was.

    Call it before the first import of torchvision, transformers' models or vLLM. Calling it again does nothing.
    """
    if not mismatched():
        return False
    define_operators()
    os.environ["PYTHONPATH"] = child_pythonpath()
    return True


def child_pythonpath() -> str:
    """Return PYTHONPATH with the folder of the start-up hook in front, once."""
    rest = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != str(STARTUP)]
    return os.pathsep.join([str(STARTUP), *rest])


def define_operators() -> None:
    """Define ``torchvision::nms`` and ``torchvision::qnms`` unless they are there; they have no kernel."""
    import torch

    for name in ("nms", "qnms"):
        try:
            torch._C._dispatch_find_schema_or_throw(f"torchvision::{name}", "")
        except RuntimeError:
            torch.library.define(f"torchvision::{name}", _SCHEMA)
