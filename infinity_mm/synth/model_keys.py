"""Keys of a recipe's models that whoever runs the model would not heed.

A rate limit on a model that runs here, or GPUs for one behind an endpoint, would look obeyed in the recipe and in the
manifest. A key at its default asks for nothing: the recipe in a manifest, which has every key, loads again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.params import SynthParams

#: Of `ModelSpec`: how an OpenAI-compatible endpoint is asked.
_OF_ENDPOINTS: Final = ("base_url", "api_key_env", "concurrency", "requests_per_minute", "timeout_s")
#: How an engine is run here -> what holds in its place for an endpoint.
_OF_ENGINES_HERE: Final = {
    "gpus": "the server has its own; set them where it is started",
    "trust_remote_code": "the server loads the model; allow it where it is started",
    "stall_timeout_s": "timeout_s bounds a call to it",
}


def unheeded(params: SynthParams) -> Iterator[str]:
    """Yield, of each key that would be ignored, its place in the recipe, by whom, and what to do."""
    for role, spec in (("synth.model", params.model), ("synth.judge", params.judge)):
        if spec is not None:
            yield from (f"{role}.{line}" for line in _of_writer(spec))
    if params.loss is not None:
        role, spec = "synth.loss.model", params.loss.model
        for key in _given(spec, (*_OF_ENDPOINTS, "stall_timeout_s")):
            yield f"{role}.{key}: losses are computed by transformers on this cluster, which ignores it; leave it out"


def _of_writer(spec: ModelSpec) -> Iterator[str]:
    served = spec.engine == "openai" or (spec.engine == "auto" and spec.base_url is not None)
    if not served:
        runs = "without base_url the model runs" if spec.engine == "auto" else f"engine {spec.engine} runs it"
        for key in _given(spec, _OF_ENDPOINTS):
            remedy = "set engine: openai" if key == "base_url" else "give base_url: http://HOST:8000/v1"
            yield (
                f"{key}: only an OpenAI-compatible endpoint heeds it, and {runs} on this cluster; leave {key} out, or "
                f"{remedy} for a model that is served"
            )
        return
    if spec.base_url is None:
        yield "base_url: engine openai needs it: the server's address, ending in /v1, as http://HOST:8000/v1"
    for key in _given(spec, tuple(_OF_ENGINES_HERE)):
        yield f"{key}: the model is behind an endpoint, which ignores it ({_OF_ENGINES_HERE[key]}); leave {key} out"
    if spec.requests_per_minute is not None and (spec.replicas or 1) > 1:
        yield "replicas: with requests_per_minute one worker asks, since it counts; leave one of the two keys out"


def _given(spec: ModelSpec, keys: tuple[str, ...]) -> list[str]:
    return [key for key in keys if getattr(spec, key) != ModelSpec.model_fields[key].default]
