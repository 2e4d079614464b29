"""The name of a generation: what was asked of which model. Whoever asks the same gets the same words.

A key is 48 hex digits. The first `PLACE` name the pictures, so that everything ever asked about a picture stands
together and one look finds it; the others name the rest: the model, the prompt file, the text as it was sent, the
constraint, the sampling and the seed. What must not matter is left out: where the weights lie, how an endpoint is
reached, which engine ran the model (the entry says which one did), the id of the row that asked, the seed of a greedy
request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from infinity_mm.fingerprint import canonical
from infinity_mm.synth.chat import ModelSpec, Request
from infinity_mm.synth.engines.checkpoint import locate
from infinity_mm.synth.engines.select import resolve_engine
from infinity_mm.synth.models.resolving import model_rules

#: Raised when the engines' adapters come to send the same request in other words or pixels.
VERSION = 1
#: Hex digits of a key that name the pictures.
PLACE = 16
#: Hex digits of the rest.
_REST = 32


def model_identity(spec: ModelSpec) -> str:
    """Name the model of `spec` and how it sees pictures and turns, the same on every machine.

    Weights at hand are named by their content, hub models by their commit (found, and downloaded, where the recipe
    names none), a model behind an endpoint by the revision that the recipe states, or else by the endpoint's address.
    Raises `ModelError` where the weights cannot be had.
    """
    weights, folder = _weights(spec)
    rules = model_rules(spec, folder)
    settings = {"processor": dict(rules.processor), "template": dict(rules.template)}
    named = " ".join(f"{name}={canonical(value)}" for name, value in settings.items() if value)
    named += " picture_first" if rules.picture_first else ""
    return f"{weights} side={spec.max_image_side} {named}".rstrip()


def weights_identity(spec: ModelSpec) -> str:
    """Name the weights of `spec` alone, as `model_identity` does."""
    return _weights(spec)[0]


def _weights(spec: ModelSpec) -> tuple[str, Path | None]:
    """Return the name of the weights, and the folder that they lie in, if they are at hand."""
    if resolve_engine(spec) == "openai":
        return (f"{spec.name}@{spec.revision}" if spec.revision else f"{spec.name} at {spec.base_url}"), None
    checkpoint = locate(spec)
    from_hub = checkpoint.folder.name == checkpoint.revision  # a snapshot's folder is called by its commit
    name = f"{spec.name}@{checkpoint.revision}" if from_hub else f"weights {checkpoint.revision}"
    return name, checkpoint.folder


def generation_key(request: Request, model: str) -> str:
    """Return the name of the generation that `request` asks of `model`, as `model_identity` names it."""
    pictures = [hashlib.sha256(data).hexdigest() for data in request.images]
    words = _digest([request.system, request.prompt])
    sampling = request.sampling.model_dump()
    rest = _digest(
        [
            VERSION,
            model,
            request.prompt_file,
            words,
            json.dumps(request.json_schema),  # the order of its properties is the order of the answer
            request.choices,
            sampling,
            request.seed if request.sampling.temperature > 0 else None,
            pictures,
        ]
    )
    return (place_of(pictures) if pictures else words[:PLACE]) + rest[:_REST]


def place_of(pictures: Sequence[str]) -> str:
    """Return what all keys of requests with these pictures begin with; given are SHA-256 digests of the files."""
    return _digest(list(pictures))[:PLACE]


def _digest(value: object) -> str:
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()
