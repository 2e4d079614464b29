"""Training: batches are a function of their number, a stopped run goes on, and what comes out loads."""

import json
from pathlib import Path

import numpy as np
import pytest

from infinity_mm.errors import UsageError
from infinity_mm.synth.small_vlm import vocabulary, words
from infinity_mm.synth.small_vlm.batches import Batches
from infinity_mm.synth.small_vlm.facts import CELLS, FACTS, SLOTS
from infinity_mm.synth.small_vlm.model import picture_prefix
from infinity_mm.synth.tiny_model import corpus

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def tokenizer():
    return vocabulary.build(corpus())


def test_a_batch_is_a_function_of_its_number(tokenizer):
    one, two = (Batches(tokenizer, 5, 3, 4)[7] for _ in range(2))
    assert one.pixels.tobytes() == two.pixels.tobytes()
    assert one.ids.tobytes() == two.ids.tobytes()
    assert Batches(tokenizer, 5, 3, 4)[8].pixels.tobytes() != one.pixels.tobytes()
    assert one.pixels.shape == (3, 3, 64, 64)
    assert one.pixels.dtype == np.float32
    assert abs(one.pixels).max() <= 1
    assert set(one.truth) == {*FACTS, *CELLS}
    assert (one.ids[one.weight > 0] != 0).all()


def test_an_example_in_a_row_reads_as_if_it_stood_alone(tokenizer):
    from tokenizers import Tokenizer

    batch = Batches(tokenizer, 5, 3, 4)[7]
    prefix = Tokenizer.from_str(tokenizer).encode(picture_prefix()).ids
    for ids, part, place, weight in zip(batch.ids, batch.part, batch.place, batch.weight, strict=True):
        assert ids[part == 0].tolist() == prefix
        assert set(part) - {-1} == {0, 1, 2, 3, 4}
        for number in range(1, 5):
            own = part == number
            assert place[own].tolist() == list(range(len(prefix), len(prefix) + own.sum()))
            assert weight[own][-1] > 0 == weight[own][0]


def test_examples_do_not_see_each_other(tokenizer):
    import torch

    from infinity_mm.synth.engines import torch_cpu
    from infinity_mm.synth.small_vlm.train import TrainParams, _Run, answers

    torch_cpu.prepare()
    run = _Run(Path("unused"), TrainParams(device="cpu"), "cpu", print)
    batch = Batches(tokenizer, 5, 1, 3)[2]
    features = torch.randn(1, SLOTS, run._model.config.text_config.hidden_size)
    tables = words.tables(run._words, run._table)
    with torch.no_grad():
        before, _, _ = answers(run._model, features, tables, batch)
        batch.ids[batch.part == 1] = 77
        after, _, _ = answers(run._model, features, tables, batch)
    first = int((batch.weight[batch.part == 1] > 0).sum())
    assert not torch.allclose(before[:first], after[:first], atol=1e-4)
    assert torch.allclose(before[first:], after[first:], atol=1e-4)


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_what_it_writes_loads(tmp_path):
    from transformers import AutoModelForImageTextToText

    from infinity_mm.synth.small_vlm.train import TrainParams, train

    params = TrainParams(see_steps=2, see_pictures=2, steps=2, pictures=2, examples=2, threads=1, device="cpu")
    whole = train(tmp_path / "whole", params, log=lambda _: None)
    said: list[str] = []
    train(tmp_path / "cut", params.model_copy(update={"steps": 1}), log=said.append)
    cut = train(tmp_path / "cut", params, log=said.append)
    assert "resumed after {'see': 2, 'answer': 1}" in said
    recipes = [json.loads((folder / "recipe.json").read_text()) for folder in (whole, cut)]
    assert recipes[0] == recipes[1]
    assert recipes[0]["steps_done"] == {"see": 2, "answer": 2}
    model = AutoModelForImageTextToText.from_pretrained(whole)
    assert model.config.text_config.vocab_size == len(
        json.loads((whole / "tokenizer.json").read_text())["model"]["vocab"]
    )
    assert (tmp_path / "cut" / "state.pt").is_file()


def test_a_gpu_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    import torch

    from infinity_mm.synth.small_vlm.train import TrainParams, train

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="sees no GPU"):
        train(tmp_path, TrainParams(device="cuda"))
