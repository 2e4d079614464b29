"""Training: batches are a function of their number, a stopped run goes on, and what comes out loads."""

import json

import numpy as np
import pytest

from infinity_mm.errors import UsageError
from infinity_mm.synth.small_vlm import vocabulary
from infinity_mm.synth.small_vlm.batches import FACTS, MARKS, Batches, facts_of, marks_of
from infinity_mm.synth.small_vlm.render import Mark
from infinity_mm.synth.small_vlm.scenes import Bar, Chart, Shapes, Sign, Thing
from infinity_mm.synth.tiny_model import corpus

pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def tokenizer():
    return vocabulary.build(corpus())


def test_a_batch_is_a_function_of_its_number(tokenizer):
    one, two = (Batches(tokenizer, 5, 3, 4)[7] for _ in range(2))
    assert one.pixels.tobytes() == two.pixels.tobytes()
    assert [rows.ids.tobytes() for rows in one.rows] == [rows.ids.tobytes() for rows in two.rows]
    assert Batches(tokenizer, 5, 3, 4)[8].pixels.tobytes() != one.pixels.tobytes()
    assert one.pixels.shape == (3, 3, 96, 96)
    assert one.pixels.dtype == np.float32
    assert abs(one.pixels).max() <= 1
    assert sum(len(rows.picture) for rows in one.rows) == 12
    for rows in one.rows:
        answered = rows.weight > 0
        assert answered.any(axis=1).all()
        assert (rows.ids[answered] != 0).all()


def test_facts_by_hand():
    shapes = facts_of(Shapes((Thing("red", "star", "large", 0), Thing("red", "cross", "small", 4))))
    assert shapes["kind"] == [1] * 9
    assert shapes["color"] == [1, 0, 0, 0, 1, 0, 0, 0, 0]
    assert shapes["same_color"] == [2, 0, 0, 0, 2, 0, 0, 0, 0]
    assert shapes["same_shape"] == [1, 0, 0, 0, 1, 0, 0, 0, 0]
    chart = facts_of(Chart((Bar("B", "red", 7), Bar("A", "green", 2), Bar("C", "blue", 2))))
    assert chart["bar_value"][:4] == [7, 2, 2, 0]
    assert chart["bar_label"][:4] == [2, 1, 3, 0]
    assert chart["bar_rank"][:4] == [1, 0, 0, 0]
    assert facts_of(Sign("TEA", "red"))["letter"][:4] == [20, 5, 1, 0]
    assert set(facts_of(None)) == set(FACTS)


def test_marks_name_the_patches_they_cover():
    named = marks_of([Mark("A", 20.0, 12.0, 3.0, 5.0)]).reshape(12, 12)
    assert set(zip(*np.nonzero(named), strict=True)) == {(1, 2)}
    assert MARKS[named[1, 2] - 1] == "A"


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_what_it_writes_loads(tmp_path):
    from transformers import AutoModelForImageTextToText

    from infinity_mm.synth.small_vlm.train import TrainParams, train

    params = TrainParams(
        see_steps=2, steps=2, pictures=2, examples=2, threads=1, early_steps=1, resting_steps=1, device="cpu"
    )
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
    state = tmp_path / "cut" / "state.pt"
    assert state.is_file()


def test_a_gpu_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    import torch

    from infinity_mm.synth.small_vlm.train import TrainParams, train

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="sees no GPU"):
        train(tmp_path, TrainParams(device="cuda"))
