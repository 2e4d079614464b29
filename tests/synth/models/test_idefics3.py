"""The rule of Idefics3 and SmolVLM against the processors that transformers ships."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from infinity_mm.synth.models.idefics3 import IDEFICS3, SMOLVLM, Idefics3Rule
from infinity_mm.synth.models.rules import fitted
from tests.synth.models.conftest import SIZES

LARGE = SMOLVLM.rule("huggingfacetb/smolvlm2-2.2b-instruct", {}, {})
SMALL = SMOLVLM.rule("huggingfacetb/smolvlm2-500m-video-instruct", {}, {})
FIRST = IDEFICS3.rule("", {}, {})
RULES = [LARGE, SMALL, FIRST]


def image_processor(rule):
    from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

    edges = {"size": {"longest_edge": rule.size}, "max_image_size": {"longest_edge": rule.tile}}
    return SmolVLMImageProcessorPil(**edges, do_image_splitting=rule.splits)


def in_prompt(rule, rows, columns):
    """Count the tokens that the processor writes: marks, pictures, and single line breaks."""
    from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

    text = get_image_prompt_string(rows, columns, rule.tile_tokens, "<around>", "<image>", "<global>")
    return text.count("<") + text.count("\n")


@given(rule=st.sampled_from(RULES), size=SIZES, sides=st.integers(1, 4))
def test_tokens_are_those_of_the_processor(rule, size, sides):
    rule = Idefics3Rule(sides * rule.tile, rule.tile, rule.tile_tokens)
    _, rows, columns = image_processor(rule).get_number_of_image_patches(size[1], size[0])
    assert rule.tokens(*size) == in_prompt(rule, rows, columns)


@pytest.mark.parametrize("size", [(7, 7), (640, 480), (100, 1500), (2000, 90)])
@pytest.mark.parametrize("rule", [*RULES, Idefics3Rule(224, 224, 49, splits=False)])
def test_tokens_of_pictures_that_were_processed(rule, size):
    out = image_processor(rule)(Image.new("RGB", size), return_row_col_info=True)
    rows, columns = out["rows"][0][0], out["cols"][0][0]
    assert rule.tokens(*size) == in_prompt(rule, rows, columns)
    assert len(out["pixel_values"][0]) == rows * columns + 1


@given(rule=st.sampled_from(RULES), size=SIZES, budget=st.integers(172, 3000))
def test_no_picture_exceeds_the_budget_and_none_is_refused(rule, size, budget):
    lowered = rule.within(budget)
    assert lowered.tokens(*size) <= lowered.most() <= budget
    assert fitted(lowered, *size) == size
    assert lowered.arguments() == {"size": {"longest_edge": lowered.size}}


def test_figures_of_the_published_checkpoints():
    assert (LARGE.tile_tokens, SMALL.tile_tokens, FIRST.tile_tokens) == (81, 64, 169)
    assert LARGE.tokens(1000, 1000) == 16 * 83 + 5 + 84
    assert LARGE.within(84).tokens(1000, 1000) == 84
    assert LARGE.within(83) is None


def test_a_checkpoint_s_own_values_are_read():
    config = {"vision_config": {"image_size": 224, "patch_size": 16}, "scale_factor": 2}
    processor = {
        "size": {"longest_edge": 448},
        "max_image_size": {"longest_edge": 224},
        "do_image_splitting": False,
    }
    assert SMOLVLM.rule("x", config, processor) == Idefics3Rule(448, 224, 49, splits=False)
    assert SMOLVLM.rule("x", config, processor | {"image_seq_len": 7}).tile_tokens == 7
