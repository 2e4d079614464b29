"""Qwen's rule against the processor that transformers ships."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from infinity_mm.synth.models.qwen_vl import QWEN2_5_VL, QWEN3_VL, QwenRule
from infinity_mm.synth.models.rules import fitted
from tests.synth.models.conftest import SIZES

QWEN2 = QWEN2_5_VL.rule("", {}, {})
QWEN3 = QWEN3_VL.rule("", {}, {})
RULES = st.one_of(
    st.sampled_from([QWEN2, QWEN3]),
    st.builds(
        lambda factor, low, more: QwenRule(factor, low * factor**2, (low + more) * factor**2),
        st.sampled_from([28, 32]),
        st.integers(1, 80),
        st.integers(0, 4000),
    ),
)


def processor(rule):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil(patch_size=rule.factor // 2, **rule.arguments())


@given(rule=RULES, size=SIZES)
def test_tokens_are_those_of_the_processor(rule, size):
    width, height = size
    assume(max(size) <= 200 * min(size))
    patches = processor(rule).get_number_of_image_patches(height, width)
    assert rule.tokens(width, height) == patches // 4 + 2


@pytest.mark.parametrize("size", [(1, 1), (30, 29), (640, 480), (1000, 13), (301, 1200)])
@pytest.mark.parametrize("rule", [QWEN2, QWEN3], ids=["qwen2", "qwen3"])
def test_tokens_of_pictures_that_were_processed(rule, size):
    _, rows, columns = processor(rule)(Image.new("RGB", size))["image_grid_thw"][0]
    assert rule.tokens(*size) == rows * columns // 4 + 2


@given(rule=RULES, size=SIZES, budget=st.integers(40, 3000), side=st.integers(28, 4000))
def test_no_picture_exceeds_budget_or_bound(rule, size, budget, side):
    lowered = rule.within(budget)
    assume(lowered is not None)
    fit = fitted(lowered, *size)
    assume(isinstance(fit, tuple))
    assert lowered.tokens(*fit) <= lowered.most() <= budget
    if max(fit) <= side:
        assert rule.tokens(*fit) <= rule.most(side)


@given(size=SIZES)
def test_a_picture_is_refused_where_the_processor_would_or_made_large_enough(size):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    fit = fitted(QWEN2, *size)
    if isinstance(fit, str):
        assert max(size) > 200 * min(size)
        assert f"{size[0]} x {size[1]}" in fit
        with pytest.raises(ValueError, match="aspect ratio"):
            smart_resize(size[1], size[0])
    else:
        smart_resize(fit[1], fit[0])
        assert min(fit) >= 28
        assert fit == size or min(size) < 28


def test_a_budget_below_everything():
    assert QWEN3.within(5) is None
    assert QWEN2.within(300).max_pixels == 298 * 28 * 28


def test_a_checkpoint_s_own_values_are_read():
    rule = QWEN3_VL.rule(
        "", {}, {"size": {"longest_edge": 9999, "shortest_edge": 1111}, "patch_size": 16, "merge_size": 2}
    )
    assert rule == QwenRule(32, 1111, 9999)
    assert QWEN2_5_VL.rule("", {}, {"min_pixels": 1000, "max_pixels": 2000}) == QwenRule(28, 1000, 2000)
