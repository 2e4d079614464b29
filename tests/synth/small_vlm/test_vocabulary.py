"""The tokenizer: nothing is lost, and the fixed text of real requests is short."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.synth.small_vlm import vocabulary
from infinity_mm.synth.small_vlm.model import picture_prefix, request_text
from infinity_mm.synth.small_vlm.scenes import draw_scene
from infinity_mm.synth.small_vlm.tasks import SHARES, Maker
from infinity_mm.synth.tiny_model import corpus

tokenizers = pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizers.Tokenizer.from_str(vocabulary.build(corpus()))


@given(st.text())
def test_any_text_round_trips(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_real_requests_are_short_and_whole(tokenizer, seed):
    rng = random.Random(seed)
    scene, maker = draw_scene(rng), Maker(rng)
    for task in SHARES:
        example = maker.example(scene, task)
        text = request_text(example.request.system, example.request.prompt) + example.target
        ids = tokenizer.encode(text).ids
        assert tokenizer.decode(ids, skip_special_tokens=False) == text
        assert len(ids) < 60


@pytest.mark.parametrize(
    "piece",
    ["What color is the cross?", "red", " circle", "top left", '{"tags":[{"tag":"', "Count objects", "\n", "\nB. red"],
)
def test_pieces_are_one_token_each(tokenizer, piece):
    assert len(tokenizer.encode(piece).ids) == 1


def test_pieces_share_the_words_that_they_say():
    pieces = vocabulary.pieces()
    assert pieces["What color is the cross?"] == ("What color is the {}?", "cross")
    assert pieces["How many crosses are there?"] == ("How many {} are there?", "cross")
    assert pieces["\nB. red"] == ("Option", "B", "red")
    assert pieces[" The answer is top left."] == ("The answer is", "top left")
    assert pieces["\n"] == ()


def test_a_piece_ends_where_its_word_ends(tokenizer):
    assert tokenizer.encode("redo").tokens[0] != "red"
    assert tokenizer.encode("yesterday").tokens[0] != "yes"


def test_a_picture_is_a_token_a_cell_between_marks(tokenizer):
    tokens = tokenizer.encode(picture_prefix()).tokens
    assert tokens.count("<image>") == 16
    assert tokens[0] == "<|im_start|>"
    assert tokens[-1] == "<fake_token_around_image>"


def test_prompts_are_named():
    assert set(vocabulary.prompt_versions()) == {"tag.v1", "classify.v1", "generate.v1", "judge.v1", "relevance.v1"}
