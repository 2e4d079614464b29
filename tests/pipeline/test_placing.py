"""How many workers of a model there are, and what each occupies."""

from dataclasses import dataclass

import pytest

from infinity_mm.pipeline.placing import Placing, place, placed
from infinity_mm.resources import Resources
from infinity_mm.synth.chat import ModelSpec


@dataclass
class Cluster:
    gpus: float


@pytest.mark.parametrize(
    ("gpus", "models", "actors"),
    [
        (8, [{"gpus": 1}], 8),
        (8, [{"gpus": 2}], 4),
        (7, [{"gpus": 2}], 3),
        (2, [{"gpus": 0.5}], 4),
        (0, [{"gpus": 1}], 1),
        (8, [{}], 1),
        (8, [{"gpus": 1, "replicas": 3}], 3),
        (0, [{"replicas": 2}], 2),
        (1, [{"gpus": 0.1}], 10),
        (4, [{"gpus": 0.05}], 80),
        (8, [{"gpus": 1}, {"gpus": 4}], 2),
        (8, [{"gpus": 1, "replicas": 5}, {"gpus": 4, "replicas": 1}], 5),
    ],
)
def test_as_many_workers_as_the_recipe_says_or_the_gpus_allow(gpus, models, actors):
    found = place(Cluster(gpus), *(ModelSpec.model_validate(model) for model in models))
    assert found.actors == actors
    assert found.resources.gpus == max(model.get("gpus", 0) for model in models)


def test_an_endpoint_whose_requests_are_counted_has_one_worker():
    counted = ModelSpec(name="m", engine="openai", base_url="http://localhost:1/v1", requests_per_minute=60, replicas=4)
    assert place(Cluster(8), counted).actors == 1
    assert place(Cluster(8), counted, ModelSpec(gpus=1)).actors == 1
    assert place(Cluster(8), counted.model_copy(update={"requests_per_minute": None})).actors == 4


def test_a_worker_occupies_the_cores_of_its_largest_model():
    found = place(Cluster(0), ModelSpec(cpus=2.5), ModelSpec(cpus=6))
    assert found == Placing(Resources(cpus=6, gpus=0), 1)


def test_an_endpoint_holds_no_gpu():
    spec = ModelSpec(name="m", base_url="http://localhost:1/v1")
    assert (placed(spec).engine, placed(spec).gpus) == ("openai", 0)


@pytest.mark.parametrize(("cpu_build", "gpus", "held"), [(True, 0, 0), (False, 0, 1), (False, 4, 4), (False, 0.5, 0.5)])
def test_vllm_for_gpus_holds_one_where_the_recipe_says_none(monkeypatch, cpu_build, gpus, held):
    monkeypatch.setattr("infinity_mm.pipeline.placing.vllm_is_cpu_build", lambda: cpu_build)
    assert placed(ModelSpec(engine="vllm", gpus=gpus)).gpus == held
