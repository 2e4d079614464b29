"""The processors of the installed transformers, as ground truth for the rules."""

import importlib.util

import pytest
from hypothesis import strategies as st

#: Sides in pixels: all the small ones, where rounding bites, and up to what a large scan has.
SIDES = st.one_of(st.integers(1, 64), st.integers(1, 6000))
SIZES = st.tuples(SIDES, SIDES)


@pytest.fixture(scope="session", autouse=True)
def transformers():
    """Make transformers' processors importable beside a CPU build of torch."""
    if any(importlib.util.find_spec(package) is None for package in ("torch", "torchvision", "transformers")):
        pytest.skip("torch, torchvision or transformers is not installed")
    from infinity_mm.synth.engines import torch_cpu

    torch_cpu.prepare()
