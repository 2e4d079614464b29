"""What the workers of the synthesis are built from, and the models that they hold.

All steps that ask the writer or the judge are passes of one crew (`infinity_mm.engine.crew`), so that each model is
started once for all of them: tags, the offers that follow from them, questions, verdicts, and the judge's measurement.
Where writer and judge must not share a machine's memory there are two crews, the second from the first one's end on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from infinity_mm.fs import Location
from infinity_mm.synth.cache.chat import Memory, RememberingChat
from infinity_mm.synth.cache.files import GenerationFiles
from infinity_mm.synth.engines.select import lasting_chat, lasting_comparer
from infinity_mm.synth.engines.shared import SharedChat, Turns
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


@dataclass(frozen=True)
class Session:
    """The models as one partition asks them: with a memory of its own."""

    writer: RememberingChat
    judge: RememberingChat
    #: None where the writer compares answers, or nobody.
    comparer: RememberingChat | None
    engines: tuple[SharedChat, ...]

    @property
    def seconds(self) -> EngineSeconds:
        """What writer and judge spent on answers for this partition."""
        return EngineSeconds(self.engines[0].seconds, sum(engine.seconds for engine in self.engines[1:]))


class Models:
    """The models of a recipe's synthesis; a worker holds them. None is loaded before it is asked.

    May be used by several threads at once: they take turns at each model. A judge that is the writer is one model.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.params = spec.params
        judge, comparer = self.params.judge, lasting_comparer(self.params.checks.semantic)
        #: Those that speak: the writer first, and the judge last.
        self.engines = [Turns(lasting_chat(self.params.model))]
        if judge is not None and judge != self.params.model:
            self.engines.append(Turns(lasting_chat(judge)))
        self._comparer = None if comparer is None else Turns(comparer)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Yield the models for one partition; every answer is kept, whatever happens."""
        spec, memory = self.spec, self.spec.memory()
        engines = tuple(SharedChat(turns) for turns in self.engines)
        comparer = None
        if self._comparer is not None and spec.comparer is not None:
            comparer = RememberingChat(SharedChat(self._comparer), memory, spec.comparer)
        writer = RememberingChat(engines[0], memory, spec.writer)
        try:
            yield Session(writer, RememberingChat(engines[-1], memory, spec.judged_by), comparer, engines)
        finally:
            memory.flush()

    def close(self) -> None:
        """Free the models; one that is asked again is loaded again."""
        for turns in (*self.engines, *([] if self._comparer is None else [self._comparer])):
            SharedChat(turns).close()
