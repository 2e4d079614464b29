"""How often something fits into something."""

import sys
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.resources import Resources


@given(st.integers(0, 64), st.integers(1, 1000))
def test_as_many_as_the_exact_fractions_say(gpus, thousandths):
    found = Resources(0, gpus).how_many(Resources(0, thousandths / 1000))
    assert found == gpus // Fraction(thousandths, 1000)


def test_the_scarcest_decides_and_nothing_fits_always():
    assert Resources(cpus=8, gpus=2).how_many(Resources(cpus=1, gpus=1)) == 2
    assert Resources(cpus=3, gpus=8).how_many(Resources(cpus=2, gpus=1)) == 1
    assert Resources(cpus=3, gpus=0).how_many(Resources(cpus=1, gpus=0.5)) == 0
    assert Resources().how_many(Resources(cpus=0)) == sys.maxsize
