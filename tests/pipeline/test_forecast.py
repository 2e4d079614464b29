"""What a pilot predicts, against what the whole run then does."""

import pytest

from infinity_mm.fs import Location
from infinity_mm.pipeline.forecast import forecast
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.pipeline.workers import EngineSeconds
from infinity_mm.recipe import load_recipe
from infinity_mm.synth.chat import ModelSpec

OPTIONS = RunOptions(quiet=True)


@pytest.mark.usefixtures("shared_ray")
def test_a_pilot_counts_every_row_and_scales_what_it_kept(write_recipe, tmp_path):
    recipe = load_recipe(write_recipe(sources=("infinity_instruct",), limit=None))
    predicted = forecast(recipe, 20, OPTIONS)
    whole = run(recipe, Location.of(tmp_path / "whole"), OPTIONS)
    rows = sum(book.rows for book in whole.books.values())
    assert predicted.pilot_rows == 20
    assert predicted.rows == rows > 20
    assert predicted.kept_rows == round(predicted.kept_share * rows)
    assert (predicted.tokens, predicted.engine_hours, predicted.gpu_hours) == (0, 0.0, 0.0)


@pytest.mark.usefixtures("no_ray")
def test_a_pilot_with_synthesis_predicts_tokens_and_the_hours_of_the_engine(write_recipe, served):
    pytest.importorskip("openai")
    synth = {"images": 8, "per_image": 2, "min_score": 2, "model": served.spec()}
    path = write_recipe(sources=("llava_mix665k",), limit=None, synth=synth)
    few = forecast(load_recipe(path, ["synth.images=8"]), 40, OPTIONS)
    many = forecast(load_recipe(path, ["synth.images=8000"]), 40, OPTIONS)
    assert few.tokens > 0
    assert few.engine_hours > 0
    assert few.gpu_hours is None, "a pilot without a GPU says nothing about one"
    assert "no GPU" in few.lines()[1]
    assert many.tokens > 100 * few.tokens
    assert many.engine_hours > 100 * few.engine_hours


@pytest.mark.usefixtures("no_ray")
def test_a_pilot_on_gpus_predicts_the_hours_of_those_that_work(write_recipe, served, monkeypatch):
    """The judge's endpoint stands for a large model, which holds four GPUs, the writer's for one that holds one."""
    pytest.importorskip("openai")
    judge = served.spec(revision="judge", gpus=4)
    recipe = load_recipe(
        write_recipe(sources=("llava_mix665k",), limit=None, synth={"images": 8, "model": served.spec()})
    )
    synth = recipe.synth.model_copy(
        update={"model": recipe.synth.model.model_copy(update={"gpus": 1}), "judge": ModelSpec.model_validate(judge)}
    )
    spent = []
    on_gpus = EngineSeconds.on_gpus
    monkeypatch.setattr(EngineSeconds, "on_gpus", lambda self, params: spent.append(self) or on_gpus(self, params))
    predicted = forecast(recipe.model_copy(update={"synth": synth}), 40, OPTIONS)
    (seconds,) = spent
    assert seconds.writer > 0 < seconds.judge
    assert predicted.engine_hours == pytest.approx(seconds.total / 3600, abs=1e-6)
    assert predicted.gpu_hours == pytest.approx((seconds.writer + 4 * seconds.judge) / 3600, abs=1e-6)
    assert "GPU-hours" in predicted.lines()[1]
