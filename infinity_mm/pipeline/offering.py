"""Shares of instruction types over the whole run: tag every picture, then settle at once what each attempt is offered.

Only recipes that limit a type have these passes, since for them tags of all pictures must be there before the first
question. The calls are written down and not made again. A partition is named by what its own attempts are offered, so
that further pictures touch only those partitions in which an offer really changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa

from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.pipeline.generated import SynthTask, to_json
from infinity_mm.pipeline.parents import Places, read_parents
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.passes import Context, run_crew_pass, unfinished
from infinity_mm.pipeline.tagging import read_tags
from infinity_mm.pipeline.workers import Models, WorkerSpec
from infinity_mm.pipeline.writing import recording, write_calls
from infinity_mm.store import Store, part_name
from infinity_mm.synth.calls import Call
from infinity_mm.synth.offers import offers
from infinity_mm.synth.params import OfferParams, SynthParams
from infinity_mm.synth.rows import Tag
from infinity_mm.synth.run_step import identity, tag

if TYPE_CHECKING:  # workers import this module, and have no use for it
    from infinity_mm.engine.crew import Crew

VERSION = 1
_TAGS, _CALLS, _OFFERS = "state/synth/tags", "state/synth/tagged", "state/synth/offers"

#: Tags of pictures, one row each: as JSON, since only the task that settles the offers reads them. Pictures without
#: tags are absent.
TAGS = pa.schema([pa.field("parent", pa.string(), nullable=False), pa.field("tags", pa.string(), nullable=False)])
#: One row per partition: attempt -> types that it is offered, as JSON.
OFFERS = pa.schema([pa.field("tags", pa.string(), nullable=False), pa.field("offers", pa.string(), nullable=False)])


@dataclass(frozen=True)
class TagTask:
    """Tag a few pictures."""

    work: str
    places: Places
    tags: str
    calls: str
    #: As for `SynthTask`.
    seen: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """The calls, and the tags of the pictures that have any."""
        return (self.calls, self.tags)


@dataclass(frozen=True)
class OfferTask:
    """Settle the offers of all attempts."""

    work: str
    #: Tags of each partition.
    tags: tuple[str, ...]
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The offers of every partition."""
        return (self.output,)


def tag_pictures(models: Models, task: TagTask) -> None:
    """Tag the pictures of one partition and write the calls down."""
    store = Store(Location(task.work))
    parents, given = read_parents(store, task.places), read_tags(store, task.seen)
    calls: dict[str, Call] = {}
    with models.session() as session:
        writer, _ = recording(session, calls)
        tagged = tag(writer, parents, models.params, models.spec.seed, given)
    rows = [{"parent": name, "tags": to_json([asdict(one) for one in tags])} for name, tags in tagged.items()]
    store.write(task.tags, pa.Table.from_pylist(rows, schema=TAGS))
    write_calls(store, task.calls, calls, session.seconds.writer)


def plan_offers(
    context: Context, crew: Crew[Models], tasks: Sequence[SynthTask], params: SynthParams, spec: WorkerSpec
) -> list[SynthTask]:
    """Return the tasks with what their attempts are offered; unchanged where the recipe limits no type."""
    tagging, offering = _tasks(context, tasks, params, spec)
    if offering is None:
        return list(tasks)
    run_crew_pass(context, crew, "synth-tag", tag_pictures, tagging, folders=(_TAGS, _CALLS))
    run_crew_pass(context, crew, "synth-offers", settle_offers, [offering], folders=(_OFFERS,))
    return _offered(context.store, tasks, tagging, offering)


def known_offers(
    context: Context, tasks: Sequence[SynthTask], params: SynthParams, spec: WorkerSpec
) -> list[SynthTask]:
    """Return the tasks with their offers where an earlier run has settled just these, else unchanged; runs nothing."""
    tagging, offering = _tasks(context, tasks, params, spec)
    if offering is None or unfinished(context.store, [offering]):
        return list(tasks)
    return _offered(context.store, tasks, tagging, offering)


def settle_offers(models: Models, task: OfferTask) -> None:
    """Write what every attempt is offered, a row for each partition.

    No model is asked. A worker of the crew does it all the same: the crew may hold all CPUs there are, and keeps them.
    """
    store, params, seed = Store(Location(task.work)), models.params, models.spec.seed
    attempts: list[dict[str, Sequence[Tag]]] = []
    for path in task.tags:
        found: dict[str, Sequence[Tag]] = {}
        for row in store.read(path).to_pylist():
            tags = tuple(Tag(**one) for one in orjson.loads(row["tags"]))
            found |= {f"{row['parent']}/{n}": tags for n in range(params.per_image)}
        attempts.append(found)
    settled = offers({key: tags for found in attempts for key, tags in found.items()}, params, seed)
    rows = [
        {"tags": path, "offers": to_json({key: settled[key] for key in found})}
        for path, found in zip(task.tags, attempts, strict=True)
    ]
    store.write(task.output, pa.Table.from_pylist(rows, schema=OFFERS))


def _tasks(
    context: Context, tasks: Sequence[SynthTask], params: SynthParams, spec: WorkerSpec
) -> tuple[list[TagTask], OfferTask | None]:
    """Return what has to be done before the given tasks; nothing where the recipe limits no type."""
    if not params.offer.limited or not tasks:
        return [], None
    tagged_by = identity(params.model_copy(update={"offer": OfferParams(), "per_image": 1}))
    tagging = []
    for number, task in enumerate(tasks):
        again = [] if task.again is None else ["again", task.again]
        name = fingerprint(["synth_tag", VERSION, spec.seed], tagged_by, spec.writer, task.places, *task.seen, *again)
        calls = f"{_CALLS}/{name}.json"
        tagging.append(TagTask(task.work, task.places, f"{_TAGS}/{part_name(number, name)}", calls, task.seen))
    paths = tuple(task.tags for task in tagging)
    name = fingerprint(["synth_offers", VERSION, spec.seed], identity(params), list(paths))
    output = f"{_OFFERS}/{part_name(0, name)}"
    return tagging, OfferTask(context.store.work.uri, paths, output)


def _offered(
    store: Store, tasks: Sequence[SynthTask], tagging: Sequence[TagTask], offering: OfferTask
) -> list[SynthTask]:
    settled = store.read(offering.output).column("offers").to_pylist()
    found = []
    for task, before, offer in zip(tasks, tagging, settled, strict=True):
        name = fingerprint(["synth_offered", VERSION], task.part.fingerprint, offer)
        part = Part(SYNTHETIC, task.part.number, name)
        attempts = part.attributes("synth", name)
        found.append(replace(task, part=part, attempts=attempts, tagged=before.calls, offers=offer))
    return found
