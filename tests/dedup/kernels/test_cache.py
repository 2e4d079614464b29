"""Compiled code finds a place that can be written to."""

import subprocess
import sys
from pathlib import Path

import pytest

from infinity_mm.dedup.kernels import cache


@pytest.fixture
def unwritable(monkeypatch, tmp_path):
    """Say that neither the package's folder nor the user's can be written to."""
    monkeypatch.setattr(cache, "_writable", lambda folder: False)


def test_the_work_folder_is_the_last_resort(unwritable):
    environment: dict[str, str] = {}
    assert cache.keep_code_in("/work", environment)
    assert environment == {"NUMBA_CACHE_DIR": "/work"}


def test_what_the_user_names_stays(unwritable):
    environment = {"NUMBA_CACHE_DIR": "/mine"}
    assert not cache.keep_code_in("/work", environment)
    assert environment == {"NUMBA_CACHE_DIR": "/mine"}


def test_the_users_folder_suffices(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "__file__", "/proc/nowhere/cache.py")
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    assert not cache.keep_code_in("/work", environment)
    assert environment == {"XDG_CACHE_HOME": str(tmp_path)}


def test_without_any_folder_it_still_compiles():
    """numba refuses to cache where its locators find nothing; then the process compiles for itself."""
    program = (
        "import numba.core.caching as c\n"
        "c.CacheImpl._locator_classes = []\n"
        "from infinity_mm.dedup.kernels.sets import similarity\n"
        "import numpy as np\n"
        "print(similarity(np.array([1, 2, 1, 2], np.uint64), 0, 2, 2, 4, 0.5))\n"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=False)
    assert done.stdout == "1.0\n", done.stderr
