"""MiniCPM-V's rules. From 4.6 on transformers has the processor; for the checkpoints before, whose processor is their
own code, the choice of the grid is checked against the same processor (it is the same there), and the tokens against
figures of the documentation."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from infinity_mm.synth.models.minicpm_v import MINICPM_V, MINICPM_V_4_6
from infinity_mm.synth.models.rules import fitted
from tests.synth.models.conftest import SIZES

OLD = MINICPM_V.rule("", {}, {})
NEW = MINICPM_V_4_6.rule("", {}, {})


@pytest.fixture(scope="module")
def processor():
    module = pytest.importorskip("transformers.models.minicpmv4_6.image_processing_pil_minicpmv4_6")
    return module.MiniCPMV4_6ImageProcessorPil()


def usable(size):
    width, height = size
    assume(max(size) <= 200 * min(size))
    return width, height


@given(size=SIZES, slices=st.integers(1, 9))
def test_the_grid_is_that_of_the_processor(processor, size, slices):
    width, height = usable(size)
    grid = processor.get_sliced_grid((height, width), slices, 448)
    rows, columns = grid or (0, 1)
    rule = MINICPM_V.rule("", {}, {"max_slice_nums": slices})
    marks = 3 + (rows - 1 if grid else 0)
    assert rule.tokens(width, height) == (rows * columns + 1) * 66 + marks


@given(size=SIZES)
def test_tokens_from_4_6_on_are_those_of_the_processor(processor, size):
    width, height = usable(size)
    grid = processor.get_sliced_grid((height, width), 9, 448)
    whole = processor.find_best_resize((height, width), 448, 14, allow_upscale=grid is None)
    tokens = 3 + 2 + whole[0] * whole[1] // 56**2
    if grid is not None:
        refined = processor.get_refine_size((height, width), grid, 448, 14, allow_upscale=True)
        tokens += refined[0] * refined[1] // 56**2 + 2 * grid[0] * grid[1] + grid[0] - 1
    assert NEW.tokens(width, height) == tokens


@pytest.mark.parametrize("size", [(30, 20), (448, 448), (640, 480), (1344, 1344), (150, 2000)])
def test_tokens_of_pictures_that_were_processed(processor, size):
    out = processor(Image.new("RGB", size))
    features = sum(int(rows) * int(columns) // 16 for rows, columns in out["target_sizes"])
    rows, columns = out["grids"][0]
    marks = 3 + 2 * (rows * columns + 1) + (rows - 1 if rows else 0)
    assert NEW.tokens(*size) == features + marks


@given(rule=st.sampled_from([OLD, NEW]), size=SIZES, budget=st.integers(130, 2000), side=st.integers(14, 3000))
def test_no_picture_exceeds_budget_or_bound(rule, size, budget, side):
    lowered = rule.within(budget)
    fit = fitted(lowered, *size)
    assume(isinstance(fit, tuple))
    assert lowered.tokens(*fit) <= lowered.most() <= budget
    if max(fit) <= side:
        assert rule.tokens(*fit) <= rule.most(side)


def test_figures_of_the_documentation():
    """1344 x 1344 pixels, the most that MiniCPM-V 2.6 takes in, are 640 tokens (its README)."""
    assert OLD.tokens(1344, 1344) == 640 + 2 * 10 + 2 + 3
    assert OLD.tokens(448, 448) == 64 + 2 + 3
    assert OLD.within(69).tokens(3000, 3000) == 69
    assert OLD.within(68) is None
    assert OLD.within(300).arguments() == {"max_slice_nums": 3}


def test_a_checkpoint_s_own_values_are_read():
    given = {"max_slice_nums": 4, "scale_resolution": 224, "image_feature_size": 96}
    assert (MINICPM_V.rule("", {}, given).max_slices, MINICPM_V.rule("", {}, given).slice_tokens) == (4, 96)
    assert MINICPM_V.rule("", {"query_num": 32}, {"slice_mode": False}).tokens(2000, 2000) == 32 + 5
