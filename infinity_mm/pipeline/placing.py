"""Where models run: what the worker of a model occupies on the cluster, and how many there are at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infinity_mm.resources import Resources
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines.select import resolve_engine, vllm_is_cpu_build

if TYPE_CHECKING:  # workers import this module, and have no use for it
    from infinity_mm.engine import Engine


@dataclass(frozen=True)
class Placing:
    """The workers of a pass."""

    #: Of one worker.
    resources: Resources
    #: Workers at once, at most.
    actors: int


def placed(spec: ModelSpec) -> ModelSpec:
    """Settle what ``auto`` means here, on the driver: Ray hides the GPUs from actors that ask for none."""
    engine = resolve_engine(spec)
    gpus = spec.gpus or (1.0 if engine == "vllm" and not vllm_is_cpu_build() else 0.0)
    return spec.model_copy(update={"engine": engine, "gpus": gpus})


def place(engine: Engine, *models: ModelSpec) -> Placing:
    """Place workers that hold all these models, of which one is at work at a time.

    The models are `placed` ones. There are as many workers as the recipe says by `ModelSpec.replicas`, the largest
    number where it says several; where it says none, as many as the cluster has GPUs for, or one where they need none.
    There is one where an endpoint's requests are counted, since each worker counts its own.
    """
    gpus = max(spec.gpus for spec in models)
    resources = Resources(cpus=max(spec.cpus for spec in models), gpus=gpus)
    if any(spec.requests_per_minute is not None and spec.engine == "openai" for spec in models):
        return Placing(resources, 1)
    wanted = [spec.replicas for spec in models if spec.replicas is not None]
    many = max(wanted) if wanted else Resources(0, engine.gpus).how_many(Resources(0, gpus)) if gpus else 1
    return Placing(resources, max(1, many))
