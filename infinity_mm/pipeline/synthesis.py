"""The synthesis pass: draws pictures among the survivors, runs the four steps in actors that hold the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from infinity_mm.errors import ModelError
from infinity_mm.fingerprint import Json, fingerprint
from infinity_mm.fs import Location
from infinity_mm.manifest import SynthesisReport
from infinity_mm.pipeline.answer_losses import loss_groups, run_losses
from infinity_mm.pipeline.books import Fate, outcomes
from infinity_mm.pipeline.comparing import run_comparing
from infinity_mm.pipeline.failing import begin_again, renamed, watch_failures
from infinity_mm.pipeline.generated import CALLS_FOLDER, SynthTask, read_report, write_part
from infinity_mm.pipeline.offering import plan_offers
from infinity_mm.pipeline.parents import read_parents
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.passes import Context, run_actor_pass, run_pass
from infinity_mm.pipeline.placing import Placing, place, placed
from infinity_mm.pipeline.probing import run_probing
from infinity_mm.pipeline.settling import run_settling
from infinity_mm.pipeline.tagging import identities, read_tags, role_names, run_tagging, tagger_reports
from infinity_mm.pipeline.workers import EngineSeconds, WorkerSpec
from infinity_mm.pipeline.writing import apart, read_calls, read_offers, write_first
from infinity_mm.store import Store, part_name
from infinity_mm.synth.cache.chat import RememberingChat
from infinity_mm.synth.cache.key import model_identity
from infinity_mm.synth.calls import Call
from infinity_mm.synth.chat import Chat, ModelSpec
from infinity_mm.synth.engines.checkpoint import EMBEDDED, RANDOM, locate
from infinity_mm.synth.engines.select import lasting_chat, lasting_comparer, resolve_engine
from infinity_mm.synth.engines.shared import SharedChat, Turns
from infinity_mm.synth.models.describing import warning
from infinity_mm.synth.outcomes import Outcome, dry_step, unsuited, yields
from infinity_mm.synth.params import SynthParams, models_of
from infinity_mm.synth.provenance import used_prompts
from infinity_mm.synth.replay import Recorded, Recording
from infinity_mm.synth.run_step import check, identity, synthesise, write
from infinity_mm.synth.select_images import COLUMNS, select_images
from infinity_mm.synth.tiny_model import is_trained

VERSION = 1
#: Partitions in work at once: while the engine answers one, the other is read, checked and written.
AT_ONCE = 2

#: The generation cache of a run that names none.
CACHE = "cache/generations"
#: Where the pass writes; swept also when no picture could be drawn.
_FOLDERS = tuple(f"{folder}/{SYNTHETIC}" for folder in ("records", "attributes/ingest", "attributes/synth"))

#: The drawn records.
_PLACES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class SelectTask:
    """Draw the pictures that questions are made for."""

    work: str
    fates: tuple[Fate, ...]
    params_json: str
    seed: int
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The places of the drawn records, in the order of the draw."""
        return (self.output,)


@dataclass(frozen=True)
class Subset:
    """Which attempts are generated."""

    #: Names of leaves of the taxonomy; None means all.
    only: tuple[str, ...] | None = None
    #: Only for pictures that have been drawn before.
    known_pictures: bool = False
    #: Partitions in which attempts failed are generated again.
    failed_again: bool = False


class SynthWorker:
    """Holds the generating model and the judge; lives in an actor. Neither is loaded before it is asked.

    May be called by several threads at once: each partition has a memory of its own, and they take turns at the models.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self._params = spec.params
        self._spec = spec
        judge, comparer = self._params.judge, lasting_comparer(self._params.checks.semantic)
        self._writer = Turns(lasting_chat(self._params.model))
        self._judge = None if judge is None or spec.judge is None else Turns(lasting_chat(judge))
        self._comparer = None if comparer is None or spec.comparer is None else Turns(comparer)

    def __call__(self, task: SynthTask) -> None:
        """Run the steps for one partition and write its files."""
        found, seconds = self.generate(task)
        write_part(Store(Location(task.work)), task, found, seconds)

    def generate(self, task: SynthTask) -> tuple[list[Outcome], EngineSeconds]:
        """Return the outcomes of one partition, and the engines' seconds; keeps every answer, whatever happens."""
        store, spec = Store(Location(task.work)), self._spec
        parents, tags = read_parents(store, task.places), read_tags(store, task.seen)
        memory = spec.memory()
        engines = [SharedChat(turns) for turns in (self._writer, self._judge) if turns is not None]
        writer = RememberingChat(engines[0], memory, spec.writer)
        judge = RememberingChat(engines[-1], memory, spec.judged_by)
        only = None if spec.only is None else frozenset(spec.only)
        calls, earlier = read_calls(store, task.written or task.tagged)
        offers = read_offers(task.offers)
        recording = Recording(writer, calls)
        comparer = None
        if self._comparer is not None and spec.comparer is not None:
            comparer = Recording(RememberingChat(SharedChat(self._comparer), memory, spec.comparer), calls)
        chats: tuple[Chat, Chat | None] = recording, comparer
        try:
            if apart(self._params) and task.written is None:
                # The writer goes first while the judge's engine is closed, then its own is.
                judge.close()
                write(recording, parents, self._params, spec.seed, only, comparer, offers, tags)
                writer.close()
            if apart(self._params) or task.written is not None:
                chats = self._recorded(calls)
            found = synthesise(chats[0], judge, parents, self._params, spec.seed, only, chats[1], offers, tags)
        finally:
            memory.flush()
        return found, EngineSeconds(earlier + engines[0].seconds, sum(engine.seconds for engine in engines[1:]))

    def _recorded(self, calls: dict[str, Call]) -> tuple[Recorded, Recorded | None]:
        """Return writer and comparer as they answer from calls that were written down."""
        comparer = None if self._spec.comparer is None else Recorded(calls, self._spec.comparer)
        return Recorded(calls, self._spec.writer), comparer


class PilotWorker:
    """Runs the steps like `SynthWorker`, and counts what they cost instead of writing rows."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._worker, self._params = SynthWorker(spec), spec.params

    def __call__(self, task: SynthTask) -> tuple[dict[str, float], dict[str, Any]]:
        """Return the cost and the `yields` of the attempts.

        The cost is ``seconds``, ``gpu_seconds`` (those of each engine times its GPUs), and of the calls made
        ``<step>.calls``, ``.prompt_tokens`` and ``.completion_tokens``.
        """
        found, seconds = self._worker.generate(task)
        counts: Counter[str] = Counter()
        for made in (made for one in found for made in one.calls if not made.cached):
            counts[f"{made.step}.calls"] += made.attempts
            counts[f"{made.step}.prompt_tokens"] += made.prompt_tokens
            counts[f"{made.step}.completion_tokens"] += made.completion_tokens
        spent = {"seconds": seconds.total, "gpu_seconds": seconds.on_gpus(self._params)}
        return spent | counts, yields(found)


def run_synthesis(
    context: Context, fates: Sequence[Fate], subset: Subset = Subset()
) -> tuple[list[Fate], int, SynthesisReport]:
    """Generate; returns the fates of the synthetic parts, the number of attempts, and the report.

    Raises `ModelError` where no engine can be had; everything before it is kept.
    """
    params = context.recipe.synth
    if params is None:
        raise ModelError("the recipe has no synth section")
    check(params)
    for told in filter(None, map(warning, models_of(params))):
        context.reporter.line(f"warning: {told}")
    named = identities(params.taggers)
    tasks = run_tagging(context, generation_tasks(context, fates, params, subset), params.taggers, named)
    spec = worker_spec(context, params, subset)
    _warn_of_comparer(context, params)
    ready = spec.params
    placing = place(context.engine, *models_of(ready))
    asked_for, tasks = tasks, plan_offers(context, tasks, params, spec)
    if subset.failed_again:
        tasks = plan_offers(context, begin_again(context.store, tasks, asked_for), params, spec)
    watch = watch_failures(context.store, tasks, params)
    at_work = placing
    if ready.judge is not None and apart(ready):
        tasks = write_first(context, tasks, spec)
        at_work = place(context.engine, ready.judge)  # nobody asks the writer again
    run_actor_pass(context, "synth", SynthWorker, spec, tasks, at_work, _FOLDERS, AT_ONCE, watch)
    context.store.sweep(CALLS_FOLDER, [task.calls.rpartition("/")[2] for task in tasks])
    made = [Fate(task.part, task.attempts, ingested=False, parents=task.places) for task in tasks]
    reference = None if params.loss is None else model_identity(params.loss.model)
    losses = run_losses(context, tasks, params.loss, reference)
    made = run_settling(context, made, losses, params)
    report = read_report(context.store, tasks, ready, _settings(params, spec, placing, named))
    _warn_of_ends(context, report, params)
    probed = [(task.attempts, task.places) for task in tasks]
    judge = run_probing(context, probed, spec)
    beside = {
        "judge": judge,
        "comparer": run_comparing(context, probed, spec),
        "losses": loss_groups(context.store, tasks, losses),
        "taggers": tagger_reports(context.store, tasks, named),
    }
    return made, sum(len(task.places) for task in tasks) * params.per_image, report.model_copy(update=beside)


def generation_tasks(context: Context, fates: Sequence[Fate], params: SynthParams, subset: Subset) -> list[SynthTask]:
    """Draw the pictures among the survivors, and return the partitions to generate for them."""
    drawn = context.store.read(_select(context, fates, params)).to_pylist()
    if subset.known_pictures:
        known = known_parents(context.store)
        drawn = [row for row in drawn if row["id"] in known]
    engine = resolve_engine(params.model)
    models: list[Json] = [
        _model_name(params.model),
        None if params.judge is None else _model_name(params.judge),
        engine,
    ]
    comparer = _comparer_identity(params)
    models += [] if comparer is None else [comparer]
    models += identities(params.taggers).values()
    made_of = [identity(params), models, *([list(subset.only)] if subset.only is not None else [])]
    tasks = []
    for number, first in enumerate(range(0, len(drawn), params.partition_images)):
        members = drawn[first : first + params.partition_images]
        places = tuple((row["path"], row["row"]) for row in members)
        name = fingerprint(["synth", VERSION, context.recipe.seed], *made_of, places)
        part = Part(SYNTHETIC, number, name)
        tasks.append(SynthTask(context.store.work.uri, part, part.attributes("synth", name), places))
    return renamed(context.store, tasks)


def worker_spec(context: Context, params: SynthParams, subset: Subset) -> WorkerSpec:
    """Return what the actor needs."""
    writer = placed(params.model)
    judge = None if params.judge is None else placed(params.judge)
    ready = params.model_copy(update={"model": writer, "judge": judge})
    cache = cache_of(context.store, params)
    return WorkerSpec(
        params_json=ready.model_dump_json(),
        seed=context.recipe.seed,
        cache=None if cache is None else cache.uri,
        writer=model_identity(params.model),
        judge=None if params.judge is None else model_identity(params.judge),
        comparer=_comparer_identity(params),
        only=subset.only,
    )


def cache_of(store: Store, params: SynthParams) -> Location | None:
    """Return where generations are kept: what the recipe names, else a folder of the run; None for nowhere."""
    if params.cache is False:
        return None
    return store.at(CACHE) if params.cache is None else Location.of(params.cache)


def known_parents(store: Store) -> set[str]:
    """Return the records that attempts in the run folder were made for."""
    folder = f"attributes/synth/{SYNTHETIC}"
    parts = [name for name in store.at(folder).files() if name.startswith("part-")]
    return {parent for name in parts for parent in store.read(f"{folder}/{name}", ["parent"])["parent"].to_pylist()}


def _settings(params: SynthParams, spec: WorkerSpec, placing: Placing, taggers: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of the report that say what was asked for."""
    return {
        "engine": resolve_engine(params.model),
        "engine_version": "",
        "model": params.model.name,
        "revision": "",
        "self_judged": spec.judged_by == spec.writer,
        "random_weights": params.model.name == RANDOM or (params.model.name == EMBEDDED and not is_trained()),
        "prompts": {step: (prompt.file, prompt.sha256) for step, prompt in used_prompts(params).items()},
        "models": {"writer": spec.writer, "judge": spec.judged_by}
        | ({} if spec.comparer is None else {"comparer": spec.comparer})
        | role_names(taggers),
        "only": spec.only,
        "gpus": placing.resources.gpus,
    }


def _warn_of_comparer(context: Context, params: SynthParams) -> None:
    """Say so where answers are compared by a model that was never taught to."""
    semantic = params.checks.semantic
    if semantic is not None and semantic.by == "model" and params.model.name in (EMBEDDED, RANDOM):
        context.reporter.line(
            f"warning: synth.checks.semantic asks the model {params.model.name!r} whether two answers mean the same, "
            "and it was not trained for that; its yes or no means nothing. Name a real model, or compare by embedding"
        )


def _warn_of_ends(context: Context, report: SynthesisReport, params: SynthParams) -> None:
    """Say so where a step let nothing through, or few pictures were offered a type that suits them."""
    if (dry := dry_step(report.yields)) is not None:
        context.reporter.line(f"warning: {dry}; `infinity-mm explain` tells the detail of each")
    if (told := unsuited(report.yields, params)) is not None:
        context.reporter.line(f"warning: {told}")


def _comparer_identity(params: SynthParams) -> str | None:
    """Name the model that compares answers; None where the writer does, or nobody."""
    semantic = params.checks.semantic
    return None if semantic is None or semantic.embedding is None else model_identity(semantic.embedding.spec)


def _model_name(spec: ModelSpec) -> list[str | None]:
    """Name the model in fingerprints: an endpoint by what the recipe says, weights at hand by their content."""
    if resolve_engine(spec) == "openai":
        return [spec.name, spec.revision, spec.base_url]
    return [spec.name, locate(spec).revision]


def _select(context: Context, fates: Sequence[Fate], params: SynthParams) -> str:
    chosen = params.model_dump(mode="json", include={"images", "categories", "sources"})
    inputs = [[fate.part.records, *fate.judged] for fate in fates]
    name = fingerprint(["select", VERSION, context.recipe.seed], chosen, inputs)
    output = f"state/synth/{part_name(0, name)}"
    task = SelectTask(
        context.store.work.uri,
        tuple(sorted(fates, key=lambda f: f.part)),
        params.model_dump_json(),
        context.recipe.seed,
        output,
    )
    run_pass(context, "select", select_parents, [task])
    return output


def select_parents(task: SelectTask) -> None:
    """Write the places of the drawn pictures."""
    store = Store(Location(task.work))
    params = SynthParams.model_validate_json(task.params_json)
    drawn: pa.Table | None = None
    for fate in task.fates:
        alive = pa.array([row["outcome"] == "kept" for row in outcomes(store, fate)], pa.bool_())
        table = store.read(fate.part.ingest, ["id", "category", "pixel_sha256"])
        size = table.num_rows
        table = table.append_column("source", pa.array([fate.part.source] * size, pa.string())).select(list(COLUMNS))
        table = table.append_column("path", pa.array([fate.part.records] * size, pa.string()))
        table = table.append_column("row", pa.array(range(size), pa.int64())).filter(alive)
        both = table if drawn is None else pa.concat_tables([drawn, table])
        drawn = select_images(both, params, task.seed)
    store.write(task.output, _PLACES.empty_table() if drawn is None else drawn.select(_PLACES.names).cast(_PLACES))
