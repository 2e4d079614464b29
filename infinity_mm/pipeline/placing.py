"""Where models run: what the worker of a model occupies on the cluster, and how many there are at once."""

from __future__ import annotations

from dataclasses import dataclass

from infinity_mm.engine import Engine, Resources
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines.select import resolve_engine, vllm_is_cpu_build


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
    """
    gpus = max(spec.gpus for spec in models)
    wanted = [spec.replicas for spec in models if spec.replicas is not None]
    many = max(wanted) if wanted else int(engine.gpus // gpus) if gpus else 1
    return Placing(Resources(cpus=max(spec.cpus for spec in models), gpus=gpus), max(1, many))
