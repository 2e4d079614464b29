"""The writer's pass, where the judge is another model: one engine at a time, the writer first.

What the writer says is kept beside the partitions until the judge has been there; see `infinity_mm.synth.replay`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import orjson

from infinity_mm.fs import Location
from infinity_mm.pipeline.generated import SynthTask
from infinity_mm.pipeline.parents import Places, read_parents
from infinity_mm.pipeline.passes import Context, run_actor_pass, unfinished
from infinity_mm.pipeline.placing import place
from infinity_mm.pipeline.tagging import read_tags
from infinity_mm.pipeline.workers import WorkerSpec
from infinity_mm.store import Store
from infinity_mm.synth.cache.chat import Memory, RememberingChat
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
    #: As for `infinity_mm.pipeline.generated.SynthTask`.
    tagged: str | None
    offers: str | None
    output: str
    seen: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """The writer's calls."""
        return (self.output,)


class Writer:
    """The writing model with its memory, and the model that compares answers, if any."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.params = spec.params
        self.seed = spec.seed
        self._memory = spec.memory()
        self._engine = lasting_chat(self.params.model)
        self._chat = RememberingChat(self._engine, self._memory, spec.writer)
        self.comparer = remembering_comparer(self.params, self._memory, spec.comparer)

    @contextmanager
    def recording(self, calls: dict[str, Call]) -> Iterator[Recording]:
        """Yield the model for one partition, whose first calls are known; every answer is kept, whatever happens."""
        self._before = self._engine.seconds
        try:
            yield Recording(self._chat, calls)
        finally:
            self._memory.flush()

    def write_down(self, store: Store, path: str, recording: Recording, seconds: float = 0.0) -> None:
        """Write the calls of a partition, and the seconds of the engine besides those of an earlier pass."""
        spent = orjson.dumps(self._engine.seconds - self._before + seconds)
        store.at(path).write_bytes(spent + b"\n" + to_json(recording.calls))


class WriteWorker:
    """Holds the generating model; lives in an actor."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._writer = Writer(spec)
        self._only = None if spec.only is None else frozenset(spec.only)

    def __call__(self, task: WriteTask) -> None:
        """Run the steps and write the calls down."""
        store, writer = Store(Location(task.work)), self._writer
        calls, earlier = read_calls(store, task.tagged)
        with writer.recording(calls) as recording:
            comparer = None if writer.comparer is None else Recording(writer.comparer, calls)
            parents, tags = read_parents(store, task.places), read_tags(store, task.seen)
            offers = read_offers(task.offers)
            write(recording, parents, writer.params, writer.seed, self._only, comparer, offers, tags)
        writer.write_down(store, task.output, recording, earlier)


def remembering_comparer(params: SynthParams, memory: Memory, name: str | None) -> RememberingChat | None:
    """Return the model that compares answers, with its memory; None where the writer does, or nobody."""
    engine = lasting_comparer(params.checks.semantic)
    return None if engine is None or name is None else RememberingChat(engine, memory, name)


def read_calls(store: Store, path: str | None) -> tuple[dict[str, Call], float]:
    """Return the calls of a partition that an earlier pass made, and the seconds of its engine; none for None."""
    if path is None:
        return {}, 0.0
    seconds, _, calls = store.at(path).read_bytes().partition(b"\n")
    return from_json(calls), float(seconds)


def read_offers(text: str | None) -> dict[str, list[str]] | None:
    """Return attempt -> types that it is offered, None where that is left to the partition."""
    found: dict[str, list[str]] | None = None if text is None else orjson.loads(text)
    return found


def apart(params: SynthParams) -> bool:
    """Tell whether writer and judge are two engines of this machine, so that they must not share its memory."""
    models = (params.model, params.judge)
    return params.judge is not None and any(spec and resolve_engine(spec) != "openai" for spec in models)


def write_first(context: Context, tasks: Sequence[SynthTask], spec: WorkerSpec) -> list[SynthTask]:
    """Run the writer for the partitions that are not finished; returns all tasks with the writer's part named."""
    named = [replace(task, written=f"{_FOLDER}/{task.part.fingerprint}.json") for task in tasks]
    todo = [
        WriteTask(task.work, task.places, task.tagged, task.offers, task.written, task.seen)
        for task in unfinished(context.store, named)
        if task.written
    ]
    placing = place(context.engine, spec.params.model)
    run_actor_pass(context, "synth-write", WriteWorker, spec, todo, placing, folders=(_FOLDER,))
    return named
