"""The local engine's own parts: the draw of a token, and what it says when it cannot load."""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import Chat, ModelSpec, Request, Sampling
from infinity_mm.synth.engines import common
from infinity_mm.synth.engines.transformers_local import TransformersChat, choose_token
from infinity_mm.synth.tiny_model import build

LOGITS = arrays(np.float32, st.integers(1, 30), elements=st.floats(-50, 50, width=32))


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


@given(LOGITS)
def test_greedy_takes_the_first_largest(logits: np.ndarray) -> None:
    chosen = choose_token(logits, Sampling(), generator(0))
    # Logits that differ by less than a softmax can tell are equally likely.
    assert np.isclose(logits[chosen], logits.max(), atol=1e-6)
    assert not (logits[:chosen] == logits.max()).any()


@given(LOGITS, st.floats(0.05, 5), st.floats(0.01, 1), st.integers(0, 2**32), st.data())
def test_draws_are_allowed_and_repeatable(
    logits: np.ndarray, temperature: float, top_p: float, seed: int, data: st.DataObject
) -> None:
    forbidden = data.draw(st.sets(st.integers(0, len(logits) - 1), max_size=len(logits) - 1))
    logits = logits.copy()
    logits[list(forbidden)] = -np.inf
    sampling = Sampling(temperature=temperature, top_p=top_p)
    chosen = choose_token(logits, sampling, generator(seed))
    assert chosen not in forbidden
    assert chosen == choose_token(logits, sampling, generator(seed))


@given(LOGITS, st.integers(0, 2**32))
def test_a_narrow_nucleus_is_greedy(logits: np.ndarray, seed: int) -> None:
    chosen = choose_token(logits, Sampling(temperature=0.7, top_p=1e-9), generator(seed))
    # Logits that differ by less than a softmax can tell are equally likely.
    assert np.isclose(logits[chosen], logits.max(), atol=1e-6)


def test_draws_follow_the_probabilities() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    random = generator(1)
    drawn = [choose_token(logits, Sampling(temperature=1.0), random) for _ in range(4000)]
    assert np.allclose(np.bincount(drawn) / 4000, [0.5, 0.3, 0.2], atol=0.03)
    nucleus = [choose_token(logits, Sampling(temperature=1.0, top_p=0.6), random) for _ in range(4000)]
    assert np.allclose(np.bincount(nucleus) / 4000, [0.625, 0.375], atol=0.03)


def test_replies_never_depend_on_the_batch(transformers_chat: Chat) -> None:
    assert transformers_chat.info.batch_invariant is True
    assert transformers_chat.info.engine == "transformers"


def test_deep_constraints_hold(transformers_chat: Chat) -> None:
    inner = {"type": "array", "items": {"type": "integer", "minimum": -5, "maximum": 5}, "minItems": 2, "maxItems": 2}
    schema = {"type": "array", "items": inner, "minItems": 3, "maxItems": 3}
    request = Request(
        key="k", prompt="Numbers.", json_schema=schema, sampling=Sampling(temperature=1.5, max_tokens=200)
    )
    for seed in range(5):
        reply = transformers_chat([request.model_copy(update={"seed": seed})])[0]
        rows = json.loads(reply.text or "null")
        assert [len(row) for row in rows] == [2, 2, 2]
        assert all(-5 <= number <= 5 for row in rows for number in row)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("llguidance")
    (tmp_path / "config.json").write_text("{}")
    path = os.environ.get("PYTHONPATH")
    with pytest.raises(ModelError, match="could not load"):
        TransformersChat(ModelSpec(name=str(tmp_path), engine="transformers"))
    if path is not None:
        os.environ["PYTHONPATH"] = path


@pytest.fixture
def picture() -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((64, 48), 80).convert("RGB").save(stream, "PNG")
    return stream.getvalue()


def test_the_loss_of_an_answer_is_that_of_its_tokens_alone(transformers_chat: Any, picture: bytes) -> None:
    """As the model itself computes it from labels that hide the prompt; token by token it adds up."""
    import torch

    request = Request(key="k", system="Look.", prompt="What is it?", images=(picture,))
    loss, tokens, error = transformers_chat.answer_loss(request, "a red car")
    assert error == ""
    encoded = transformers_chat._encode(request, common.open_pictures(request, 448))
    ids = transformers_chat._tokenizer("a red car", add_special_tokens=False, return_tensors="pt")["input_ids"]
    start = encoded["input_ids"].shape[1]
    whole = dict(encoded) | {
        "input_ids": torch.cat([encoded["input_ids"], ids], dim=1),
        "attention_mask": torch.ones((1, start + ids.shape[1]), dtype=torch.long),
    }
    labels = whole["input_ids"].clone()
    labels[:, :start] = -100
    with torch.inference_mode():
        expected = float(transformers_chat._model(**whole, labels=labels).loss)
    assert tokens == ids.shape[1]
    assert loss == pytest.approx(expected, rel=1e-4)
    assert transformers_chat.answer_loss(request, "a red car") == (loss, tokens, error)


def test_a_loss_that_cannot_be_had_says_why(transformers_chat: Any, picture: bytes) -> None:
    broken = Request(key="k", prompt="What?", images=(b"no picture",))
    assert transformers_chat.answer_loss(broken, "red")[0] is None
    assert "undecodable_image" in transformers_chat.answer_loss(broken, "red")[2]
    sound = Request(key="k", prompt="What?", images=(picture,))
    assert transformers_chat.answer_loss(sound, "") == (None, 0, "empty_answer")
    assert transformers_chat.answer_loss(sound, "word " * 5000) == (None, 0, "prompt_too_long")


def test_weights_cut_short_are_named(tmp_path: Path) -> None:
    folder = build(tmp_path / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="SafetensorError"):
        TransformersChat(ModelSpec(name=str(folder), engine="transformers"))
