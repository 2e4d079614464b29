"""The writer's pass, where the judge is another model: one engine at a time, the writer first.

What the writer says is kept beside the partitions until the judge has been there; see `infinity_mm.synth.replay`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson

from infinity_mm.fs import Location
from infinity_mm.pipeline.generated import SynthTask
from infinity_mm.pipeline.parents import Places, read_parents
from infinity_mm.pipeline.passes import Context, run_crew_pass, unfinished
from infinity_mm.pipeline.tagging import read_tags
from infinity_mm.pipeline.workers import Models, Session
from infinity_mm.store import Store
from infinity_mm.synth.calls import Call
from infinity_mm.synth.engines.select import resolve_engine
from infinity_mm.synth.params import SynthParams, models_of
from infinity_mm.synth.replay import Recording, from_json, to_json
from infinity_mm.synth.run_step import write

if TYPE_CHECKING:  # workers import this module, and have no use for it
    from infinity_mm.engine.crew import Crew

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


def write_before_judge(models: Models, task: WriteTask) -> None:
    """Run the steps before the judge and write the calls down."""
    store, spec = Store(Location(task.work)), models.spec
    parents, tags = read_parents(store, task.places), read_tags(store, task.seen)
    calls, earlier = read_calls(store, task.tagged)
    only = None if spec.only is None else frozenset(spec.only)
    with models.session() as session:
        writer, comparer = recording(session, calls)
        write(writer, parents, models.params, spec.seed, only, comparer, read_offers(task.offers), tags)
    write_calls(store, task.output, calls, session.seconds.writer + earlier)


def recording(session: Session, calls: dict[str, Call]) -> tuple[Recording, Recording | None]:
    """Return the writer, and the model that compares answers, as they keep their calls in `calls`."""
    comparer = session.comparer
    return Recording(session.writer, calls), None if comparer is None else Recording(comparer, calls)


def write_calls(store: Store, path: str, calls: dict[str, Call], seconds: float) -> None:
    """Write down the calls of a partition, and the seconds of the writer."""
    store.at(path).write_bytes(orjson.dumps(seconds) + b"\n" + to_json(calls))


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
    """Tell whether writer and judge are two models of this machine's engines, which must not share its memory."""
    models = models_of(params)
    return len(models) > 1 and any(resolve_engine(spec) != "openai" for spec in models)


def write_first(context: Context, crew: Crew[Models], tasks: Sequence[SynthTask]) -> list[SynthTask]:
    """Run the writer for the partitions that are not finished; returns all tasks with the writer's part named."""
    named = [replace(task, written=f"{_FOLDER}/{task.part.fingerprint}.json") for task in tasks]
    todo = [
        WriteTask(task.work, task.places, task.tagged, task.offers, task.written, task.seen)
        for task in unfinished(context.store, named)
        if task.written
    ]
    run_crew_pass(context, crew, "synth-write", write_before_judge, todo, folders=(_FOLDER,))
    return named
