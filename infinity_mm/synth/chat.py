"""The one seam to a vision-language model: requests in, replies out, the same for every engine.

A step of the synthesis never sees vLLM, a server or transformers. It builds `Request`s and reads
`Reply`s; the engine is chosen by the recipe. A request that fails yields a reply whose `text` is None
and whose `error` says why: one bad picture never takes its batch or the engine down. Only an engine
that cannot work at all (not installed, model not loadable, endpoint away, process dead) raises
`ModelError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import Field, model_validator

from infinity_mm.frozen import Frozen
from infinity_mm.synth.models.families import FamilyName, defaults

EngineName = Literal["auto", "vllm", "openai", "transformers"]
#: Of a GPU or a core: what a cluster's scheduler can count.
LEAST_SHARE = 0.001


class Sampling(Frozen):
    """How tokens are drawn. Temperature 0 is greedy, and then the seed is irrelevant."""

    temperature: float = Field(default=0.0, ge=0.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    #: Upper bound on new tokens; must exceed the longest text the schema allows.
    max_tokens: int = Field(default=256, gt=0)


class Request(Frozen):
    """One call to the model.

    Exactly one of `json_schema` and `choices` constrains the answer; neither leaves it free.
    """

    #: Identifies the request in replies and logs; unique inside one call.
    key: str
    #: Static text first, so that engines with a prefix cache share it ("" for none).
    system: str = ""
    #: The user's text; the images are placed before it, in order.
    prompt: str
    #: Name and version of the file that the texts come from, e.g. ``tag.v1``; "" for none. Engines never see it.
    prompt_file: str = ""
    #: Original file bytes of each picture. Decoded by the engine's adapter, never by the engine.
    images: tuple[bytes, ...] = ()
    #: JSON Schema (draft 2020-12 subset: object, array, string, integer, enum, bounds) of the reply.
    json_schema: dict[str, Any] | None = None
    #: The reply is exactly one of these texts.
    choices: tuple[str, ...] | None = None
    sampling: Sampling = Sampling()
    #: Seed of this request alone; a function of (recipe seed, purpose, id).
    seed: int = 0

    @model_validator(mode="after")
    def _one_constraint(self) -> Request:
        if self.json_schema is not None and self.choices is not None:
            raise ValueError("a request takes json_schema or choices, not both")
        return self


class Reply(Frozen):
    """The model's answer to one request."""

    key: str
    #: None where the call failed; never an empty string standing for failure.
    text: str | None
    #: snake_case reason of the failure (``undecodable_image``, ``prompt_too_long``, ``engine_error``,
    #: ``truncated``...), None on success.
    error: str | None = None
    #: Free text for people: the exception's message, the server's status.
    detail: str = ""
    #: Why the engine stopped; None on failure.
    finish_reason: Literal["stop", "length"] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


class EngineInfo(Frozen):
    """Which engine ran which model; becomes part of every generated row's provenance."""

    engine: Literal["vllm", "openai", "transformers"]
    #: Version of the engine's package, or what the server says of itself.
    version: str
    model: str
    #: Hub commit, or for a local folder the SHA-256 of its weights and configuration (16 hex digits).
    revision: str
    #: True where a reply does not depend on which other requests share its batch.
    batch_invariant: bool


class ModelSpec(Frozen):
    """Which model, and how to reach it. The `model` key of a recipe's `synth`."""

    #: Hub name, local folder, "embedded": the small trained model that ships with the package, or "random": a
    #: checkpoint with random weights.
    name: str = "embedded"
    #: Hub commit; None takes the default branch and records what it resolved to.
    revision: str | None = None
    engine: EngineName = "auto"
    #: Base URL of an OpenAI-compatible server, with /v1; only for engine "openai".
    base_url: str | None = None
    #: Name of the environment variable that holds the API key; only for engine "openai".
    api_key_env: str | None = None
    #: Requests in flight at once; only for engine "openai".
    concurrency: int = Field(default=16, gt=0)
    #: Requests sent in a minute at most by one run, evenly spread, further tries included; only for engine "openai".
    #: None sends as fast as answers come.
    requests_per_minute: int | None = Field(default=None, gt=0)
    #: Seconds before one HTTP call counts as failed; only for engine "openai".
    timeout_s: float = Field(default=120.0, gt=0)
    #: Seconds without a sign of progress after which an engine at work counts as dead and is started again; not for
    #: engine "openai", which has `timeout_s`.
    stall_timeout_s: float = Field(default=600.0, gt=0)
    #: Tokens of prompt plus answer; 8192 for the families of `infinity_mm.synth.models` where nothing is given.
    max_model_len: int = Field(default=2048, gt=0)
    #: Longest side, in pixels, that a picture is scaled down to before the engine sees it; 1024 for these families.
    max_image_side: int = Field(default=448, gt=0)
    #: Most prompt tokens of one picture, for a model of a known family; None allows half of max_model_len.
    max_image_tokens: int | None = Field(default=None, gt=0)
    #: The family, where neither the name nor the checkpoint's config.json tells it.
    family: FamilyName | None = None
    #: Put pictures before all instructions: what is asked about one then begins alike, and engines that keep prefixes
    #: compute its tokens once. None does so for families whose pictures take more tokens than the instructions.
    picture_first: bool | None = None
    #: Run Python files that come with a checkpoint; some families cannot be loaded otherwise.
    trust_remote_code: bool = False
    #: Arguments of the model's processor (vLLM's mm_processor_kwargs), over those that follow from the family.
    processor: dict[str, Any] = Field(default_factory=dict)
    #: Arguments of the model's chat template, over those of the family.
    chat_template: dict[str, Any] = Field(default_factory=dict)
    #: GPUs of one engine: a whole number or a part of one; 0 runs on the CPU.
    gpus: float = Field(default=0.0, ge=0.0)
    #: CPU cores that one engine occupies, and the threads of one that computes on the CPU.
    cpus: float = Field(default=1.0, gt=0.0)
    #: Engines of this model at once, each with its own `gpus` and `cpus`; None takes as many as the cluster has GPUs
    #: for, and one for the CPU or an endpoint. Whole partitions go to one engine; with `requests_per_minute` to the one
    #: that counts them.
    replicas: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _whole_gpus(self) -> ModelSpec:
        for name, value in (("gpus", self.gpus), ("cpus", self.cpus)):
            if 0 < value < LEAST_SHARE:
                raise ValueError(f"{name} is {value:g}; the least share is {LEAST_SHARE:g}")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus is {self.gpus:g}; an engine takes a part of one GPU or a whole number of them")
        return self

    @model_validator(mode="before")
    @classmethod
    def _lengths_of_the_family(cls, value: Any) -> Any:
        return defaults(value) if isinstance(value, dict) else value


@runtime_checkable
class Stepping(Protocol):
    """What a `Chat` has besides, where it can tell a slow engine from one that hangs."""

    @property
    def steps(self) -> int:
        """Steps of the model so far; read by another thread than the one that waits for answers."""
        ...


class Chat(Protocol):
    """A loaded model. One object holds one engine; it is built on the worker that uses it."""

    @property
    def info(self) -> EngineInfo:
        """Which engine, model and revision answers."""
        ...

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer every request, in order; raise `ModelError` only when the engine itself is gone."""
        ...

    def close(self) -> None:
        """Free the model; the object is not used again."""
        ...
