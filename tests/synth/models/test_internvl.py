"""InternVL's rule against transformers' processor for the -hf form, and vLLM's functions for the original one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from infinity_mm.synth.models.internvl import INTERNVL, INTERNVL_HF
from infinity_mm.synth.models.rules import fitted
from tests.synth.models.conftest import SIZES

HF = INTERNVL_HF.rule("", {}, {})
ORIGINAL = INTERNVL.rule("", {}, {})


@pytest.fixture(scope="module")
def processor():
    from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor

    return GotOcr2ImageProcessor(crop_to_patches=True, size={"height": 448, "width": 448})


@given(size=SIZES, tiles=st.integers(1, 12))
def test_tokens_are_those_of_the_processor(processor, size, tiles):
    rule = HF.within((tiles + (tiles > 1)) * 256 + 2)
    assert rule.arguments() == {"max_patches": tiles}
    patches = processor.get_number_of_image_patches(size[1], size[0], rule.arguments())
    assert rule.tokens(*size) == patches * 256 + 2


@pytest.mark.parametrize("size", [(5, 5), (640, 480), (1344, 448), (200, 2000)])
def test_tokens_of_pictures_that_were_processed(processor, size):
    patches = processor(Image.new("RGB", size), return_tensors="pt")["num_patches"][0]
    assert HF.tokens(*size) == int(patches) * 256 + 2


@pytest.mark.slow
@given(size=SIZES, tiles=st.integers(1, 12))
def test_tokens_of_the_original_form_are_vllm_s(size, tiles):
    internvl = pytest.importorskip("vllm.transformers_utils.processors.internvl")
    ratios = internvl.get_internvl_target_ratios(1, tiles)
    patches, _, _ = internvl.calculate_internvl_targets(
        orig_width=size[0], orig_height=size[1], target_ratios=ratios, image_size=448, use_thumbnail=True
    )
    rule = ORIGINAL.within((tiles + (tiles > 1)) * 256 + 2)
    assert rule.arguments() == {"max_dynamic_patch": tiles}
    assert rule.tokens(*size) == patches * 256 + 2


@given(size=SIZES, budget=st.integers(258, 4000))
def test_no_picture_exceeds_the_budget_and_none_is_refused(size, budget):
    rule = HF.within(budget)
    assert rule.tokens(*size) <= rule.most() <= budget
    assert fitted(rule, *size) == size


def test_one_tile_is_the_least():
    assert HF.within(257) is None
    assert HF.within(258).tokens(4000, 100) == 258


def test_a_checkpoint_s_own_values_are_read():
    config = {
        "force_image_size": 224,
        "vision_config": {"patch_size": 14},
        "downsample_ratio": 0.5,
        "max_dynamic_patch": 6,
    }
    rule = INTERNVL.rule("", config, {})
    assert (rule.tile, rule.tile_tokens, rule.max_tiles) == (224, 64, 6)
    assert INTERNVL.rule("", config | {"dynamic_image_size": False}, {}).tokens(999, 10) == 66
    rule = INTERNVL_HF.rule("", {"image_seq_length": 64}, {"size": {"height": 224, "width": 224}, "max_patches": 4})
    assert (rule.tile, rule.tile_tokens, rule.max_tiles) == (224, 64, 4)
