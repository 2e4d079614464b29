"""What a Ray cluster has, whether it is there, and what came of a task that it was given."""

from __future__ import annotations

import socket
from typing import Any

import ray
from ray import exceptions as ray_errors

from infinity_mm.errors import EngineDiedError, EngineError, InfinityMMError, StageError
from infinity_mm.resources import Resources


def whole() -> Resources:
    """Return what the whole cluster has."""
    there = ray.cluster_resources()
    return Resources(float(there.get("CPU", 0)), float(there.get("GPU", 0)))


def check_reachable(address: str) -> None:
    """Fail within seconds where nobody listens at ``host:port``; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise EngineError(f"Ray could not start: nobody answers at {address} ({error}); check --address") from error


def fetch(stage: str, reference: Any, task: object) -> Any:
    """Fetch one result and turn Ray's exceptions into this package's."""
    try:
        return ray.get(reference)
    except ray_errors.RayTaskError as error:
        cause = error.cause if isinstance(error.cause, BaseException) else error
        if isinstance(cause, InfinityMMError):
            raise type(cause)(f"{cause}") from error
        raise StageError(f"stage {stage!r} failed on {task}: {type(cause).__name__}: {cause}\n{error}") from error
    except ray_errors.RayActorError as error:
        raise EngineDiedError(
            f"stage {stage!r}: the model's process died ({error.__class__.__name__}) on {_short(task)}. "
            "Finished partitions are kept: run the same command again to go on. If it dies again, give it more "
            "memory, a smaller `synth.model.max_model_len`, or another `synth.model.engine`."
        ) from error
    except ray_errors.RayError as error:
        raise EngineError(
            f"stage {stage!r}: Ray lost a worker on {_short(task)}: {error}. "
            "Finished partitions are kept: run the same command again to go on."
        ) from error


def _short(task: object) -> str:
    text = repr(task)
    return text if len(text) <= 300 else text[:300] + "..."
