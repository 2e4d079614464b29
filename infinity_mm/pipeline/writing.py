"""The writer's pass, where the judge is another model: one engine at a time, the writer first.

What the writer says is kept beside the partitions until the judge has been there; see `infinity_mm.synth.replay`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from infinity_mm.engine import Resources
from infinity_mm.fs import Location
from infinity_mm.pipeline.generated import SynthTask
from infinity_mm.pipeline.parents import Places, read_parents
from infinity_mm.pipeline.passes import Context, run_actor_pass, unfinished
from infinity_mm.store import Store
from infinity_mm.synth.cache.chat import Memory, RememberingChat
from infinity_mm.synth.cache.files import GenerationFiles
from infinity_mm.synth.calls import Call
from infinity_mm.synth.engines.select import lasting_chat, lasting_comparer, resolve_engine
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.replay import Recording, from_json, to_json
from infinity_mm.synth.run_step import write

_FOLDER = "state/synth/written"


@dataclass(frozen=True)
class WriteTask:
    """The steps before the judge, for a few pictures."""

    work: str
    places: Places
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The writer's calls."""
        return (self.output,)


@dataclass(frozen=True)
class WriteSpec:
    """What an actor needs to build the writer; see `infinity_mm.pipeline.synthesis.WorkerSpec`."""

    params_json: str
    seed: int
    cache: str | None
    writer: str
    #: `infinity_mm.synth.cache.key.model_identity` of the model that compares answers; None where the writer does.
    comparer: str | None
    only: tuple[str, ...] | None


class WriteWorker:
    """Holds the generating model; lives in an actor."""

    def __init__(self, spec: WriteSpec) -> None:
        self._params = SynthParams.model_validate_json(spec.params_json)
        self._spec = spec
        self._memory = Memory(None if spec.cache is None else GenerationFiles(Location(spec.cache)))
        self._engine = lasting_chat(self._params.model)
        self._chat = RememberingChat(self._engine, self._memory, spec.writer)
        self._comparer = remembering_comparer(self._params, self._memory, spec.comparer)

    def __call__(self, task: WriteTask) -> None:
        """Run the steps and write the calls down; every answer is kept, whatever happens."""
        store, before = Store(Location(task.work)), self._engine.seconds
        only = None if self._spec.only is None else frozenset(self._spec.only)
        recording = Recording(self._chat)
        comparer = None if self._comparer is None else Recording(self._comparer, recording.calls)
        try:
            write(recording, read_parents(store, task.places), self._params, self._spec.seed, only, comparer)
        finally:
            self._memory.flush()
        seconds = orjson.dumps(self._engine.seconds - before)
        store.at(task.output).write_bytes(seconds + b"\n" + to_json(recording.calls))


def remembering_comparer(params: SynthParams, memory: Memory, name: str | None) -> RememberingChat | None:
    """Return the model that compares answers, with its memory; None where the writer does, or nobody."""
    engine = lasting_comparer(params.checks.semantic)
    return None if engine is None or name is None else RememberingChat(engine, memory, name)


def read_written(store: Store, path: str) -> tuple[dict[str, Call], float]:
    """Return the calls of a partition, and the seconds of the engine that made them."""
    seconds, _, calls = store.at(path).read_bytes().partition(b"\n")
    return from_json(calls), float(seconds)


def apart(params: SynthParams) -> bool:
    """Tell whether writer and judge are two engines of this machine, so that they must not share its memory."""
    models = (params.model, params.judge)
    return params.judge is not None and any(spec and resolve_engine(spec) != "openai" for spec in models)


def write_first(context: Context, tasks: Sequence[SynthTask], spec: WriteSpec) -> list[SynthTask]:
    """Run the writer for the partitions that are not finished; returns all tasks with the writer's part named."""
    named = [replace(task, written=f"{_FOLDER}/{task.part.fingerprint}.json") for task in tasks]
    todo = [
        WriteTask(task.work, task.places, task.written) for task in unfinished(context.store, named) if task.written
    ]
    gpus = SynthParams.model_validate_json(spec.params_json).model.gpus
    resources = Resources(cpus=1.0, gpus=gpus)
    run_actor_pass(context, "synth-write", WriteWorker, spec, todo, resources, actors=1, folders=(_FOLDER,))
    return named
