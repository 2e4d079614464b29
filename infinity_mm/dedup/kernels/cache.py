"""Where compiled code is kept, for machines that offer no place; call before anything that compiles is imported."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

_VARIABLE = "NUMBA_CACHE_DIR"


def keep_code_in(folder: str, environment: MutableMapping[str, str] = os.environ) -> bool:
    """Name `folder` as the place of compiled code if there is no better one; returns whether it was named.

    Better are the one that the user names by ``NUMBA_CACHE_DIR``, the package's own folder, and the user's cache.
    Worker processes inherit the choice.
    """
    user = Path(environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or "/nonexistent") / ".cache")
    if environment.get(_VARIABLE) or _writable(Path(__file__).parent / "__pycache__") or _writable(user / "numba"):
        return False
    environment[_VARIABLE] = folder
    return True


def _writable(folder: Path) -> bool:
    """True if the folder can be written to, or made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)
