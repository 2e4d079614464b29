"""What the workers of the synthesis are built from, whichever of its models they hold."""

from __future__ import annotations

from dataclasses import dataclass

from infinity_mm.fs import Location
from infinity_mm.synth.cache.chat import Memory
from infinity_mm.synth.cache.files import GenerationFiles
from infinity_mm.synth.params import SynthParams


@dataclass(frozen=True)
class EngineSeconds:
    """How long engines worked, their starts and waiting left out."""

    writer: float = 0.0
    #: 0 where the writer judges.
    judge: float = 0.0

    @property
    def total(self) -> float:
        """Of both."""
        return self.writer + self.judge

    def __add__(self, other: EngineSeconds) -> EngineSeconds:
        return EngineSeconds(self.writer + other.writer, self.judge + other.judge)

    def on_gpus(self, params: SynthParams) -> float:
        """Return the seconds times the GPUs of the engine that worked; the models of `params` are placed."""
        return self.writer * params.model.gpus + (0.0 if params.judge is None else self.judge * params.judge.gpus)


@dataclass(frozen=True)
class WorkerSpec:
    """What an actor needs to build the models of a recipe's `synth`, all of them or one."""

    #: The recipe's `synth` with its models placed.
    params_json: str
    seed: int
    #: URI of the generation cache; None keeps none.
    cache: str | None
    #: `infinity_mm.synth.cache.key.model_identity` of the writer, and of the judge: None where the writer judges.
    writer: str
    judge: str | None
    #: Names of the types that are generated; None for all.
    only: tuple[str, ...] | None
    #: The identity of the model that compares answers; None where the writer does, or nobody.
    comparer: str | None = None

    @property
    def params(self) -> SynthParams:
        """The recipe's `synth`, its models placed."""
        return SynthParams.model_validate_json(self.params_json)

    @property
    def judged_by(self) -> str:
        """The identity of whoever judges."""
        return self.judge or self.writer

    def memory(self) -> Memory:
        """Return a memory over the generation cache, for one partition at a time."""
        return Memory(None if self.cache is None else GenerationFiles(Location(self.cache)))
