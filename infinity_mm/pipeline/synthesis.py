"""The synthesis: draws pictures among the survivors, runs the four steps on workers that hold the models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from infinity_mm.errors import ModelError
from infinity_mm.fingerprint import Json, fingerprint
from infinity_mm.fs import Location
from infinity_mm.manifest import SynthesisReport
from infinity_mm.pipeline.answer_losses import loss_groups, run_losses
from infinity_mm.pipeline.books import Fate, outcomes
from infinity_mm.pipeline.comparing import comparer_report, run_comparing
from infinity_mm.pipeline.failing import begin_again, renamed, watch_failures
from infinity_mm.pipeline.generated import CALLS_FOLDER, SynthTask, read_report, write_part
from infinity_mm.pipeline.offering import plan_offers
from infinity_mm.pipeline.parents import Places, read_parents
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.passes import Context, run_crew_pass, run_pass
from infinity_mm.pipeline.placing import place, placed
from infinity_mm.pipeline.probing import ProbeTask, judge_report, run_probing
from infinity_mm.pipeline.settling import run_settling
from infinity_mm.pipeline.tagging import identities, read_tags, role_names, run_tagging, tagger_reports
from infinity_mm.pipeline.workers import EngineSeconds, Models, WorkerSpec
from infinity_mm.pipeline.writing import apart, read_calls, read_offers, recording, write_first
from infinity_mm.store import Store, part_name
from infinity_mm.synth.cache.key import model_identity
from infinity_mm.synth.chat import Chat, ModelSpec
from infinity_mm.synth.engines.checkpoint import EMBEDDED, RANDOM, locate
from infinity_mm.synth.engines.select import resolve_engine
from infinity_mm.synth.models.describing import warning
from infinity_mm.synth.outcomes import Outcome, dry_step, unsuited, yields
from infinity_mm.synth.params import SynthParams, models_of
from infinity_mm.synth.provenance import used_prompts
from infinity_mm.synth.replay import Recorded
from infinity_mm.synth.run_step import check, identity, synthesise, write
from infinity_mm.synth.select_images import COLUMNS, select_images
from infinity_mm.synth.tiny_model import is_trained

if TYPE_CHECKING:  # workers import this module, and have no use for it
    from infinity_mm.engine.crew import Crew

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


@dataclass(frozen=True)
class _Probes:
    """Where the measurements of the models are; None where there is none."""

    judge: ProbeTask | None
    comparer: ProbeTask | None


def generate_part(models: Models, task: SynthTask) -> None:
    """Run the steps for one partition and write its files."""
    found, seconds = generate(models, task)
    write_part(Store(Location(task.work)), task, found, seconds)


def generate(models: Models, task: SynthTask) -> tuple[list[Outcome], EngineSeconds]:
    """Return the outcomes of one partition, and the engines' seconds."""
    store, spec, params = Store(Location(task.work)), models.spec, models.params
    parents, tags = read_parents(store, task.places), read_tags(store, task.seen)
    only = None if spec.only is None else frozenset(spec.only)
    calls, earlier = read_calls(store, task.written or task.tagged)
    offers = read_offers(task.offers)
    with models.session() as session:
        chats: tuple[Chat, Chat | None] = recording(session, calls)
        if apart(params) and task.written is None:
            # The writer goes first while the judge's engine is closed, then its own is.
            session.judge.close()
            write(chats[0], parents, params, spec.seed, only, chats[1], offers, tags)
            session.writer.close()
        if apart(params) or task.written is not None:
            comparer = None if spec.comparer is None else Recorded(calls, spec.comparer)
            chats = Recorded(calls, spec.writer), comparer
        found = synthesise(chats[0], session.judge, parents, params, spec.seed, only, chats[1], offers, tags)
    return found, EngineSeconds(writer=earlier) + session.seconds


class PilotWorker:
    """Runs the steps like `generate_part`, and counts what they cost instead of writing rows."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._models = Models(spec)

    def __call__(self, task: SynthTask) -> tuple[dict[str, float], dict[str, Any]]:
        """Return the cost and the `yields` of the attempts.

        The cost is ``seconds``, ``gpu_seconds`` (those of each engine times its GPUs), and of the calls made
        ``<step>.calls``, ``.prompt_tokens`` and ``.completion_tokens``.
        """
        found, seconds = generate(self._models, task)
        counts: Counter[str] = Counter()
        for made in (made for one in found for made in one.calls if not made.cached):
            counts[f"{made.step}.calls"] += made.attempts
            counts[f"{made.step}.prompt_tokens"] += made.prompt_tokens
            counts[f"{made.step}.completion_tokens"] += made.completion_tokens
        spent = {"seconds": seconds.total, "gpu_seconds": seconds.on_gpus(self._models.params)}
        return spent | counts, yields(found)

    def close(self) -> None:
        """Free the models."""
        self._models.close()


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
    tasks, probes = _ask_models(context, tasks, spec, params, subset)
    context.store.sweep(CALLS_FOLDER, [task.calls.rpartition("/")[2] for task in tasks])
    made = [Fate(task.part, task.attempts, ingested=False, parents=task.places) for task in tasks]
    reference = None if params.loss is None else model_identity(params.loss.model)
    losses = run_losses(context, tasks, params.loss, reference)
    made = run_settling(context, made, losses, params)
    report = read_report(context.store, tasks, spec.params, _settings(context, params, spec, named))
    _warn_of_ends(context, report, params)
    beside = {
        "judge": None if probes.judge is None else judge_report(context, probes.judge, spec),
        "comparer": None if probes.comparer is None else comparer_report(context, probes.comparer, spec),
        "losses": loss_groups(context.store, tasks, losses),
        "taggers": tagger_reports(context.store, tasks, named),
    }
    return made, sum(len(task.places) for task in tasks) * params.per_image, report.model_copy(update=beside)


def _ask_models(
    context: Context, tasks: Sequence[SynthTask], spec: WorkerSpec, params: SynthParams, subset: Subset
) -> tuple[list[SynthTask], _Probes]:
    """Run the passes of writer and judge; returns the tasks as they were done, and what measures the models.

    Each model is started once, by the first of its passes that has something to do: both by one crew, or the judge by
    a second one where it needs the memory that the writer had. Only a writer that compares answers is then started
    again, for its measurement: that is made of rows that have been judged.
    """
    writer, *judge = models_of(spec.params)
    two = bool(judge) and apart(spec.params)
    with _crew(context, spec, *([writer] if two else [writer, *judge])) as crew:
        asked_for, tasks = tasks, plan_offers(context, crew, tasks, params, spec)
        if subset.failed_again:
            tasks = plan_offers(context, crew, begin_again(context.store, tasks, asked_for), params, spec)
        watch = watch_failures(context.store, tasks, params)
        if not two:
            probed = _judged(context, crew, tasks, spec, watch)
            return tasks, _Probes(probed, run_comparing(context, crew, _parts(tasks), spec))
        tasks = write_first(context, crew, tasks)
    with _crew(context, spec, *judge) as crew:
        probed = _judged(context, crew, tasks, spec, watch)
        if spec.comparer is not None:  # an embedding, computed beside whatever model
            return tasks, _Probes(probed, run_comparing(context, crew, _parts(tasks), spec))
    with _crew(context, spec, writer) as crew:
        return tasks, _Probes(probed, run_comparing(context, crew, _parts(tasks), spec))


def _crew(context: Context, spec: WorkerSpec, *models: ModelSpec) -> Crew[Models]:
    """Return workers that have room for these of the models at once."""
    placing = place(context.engine, *models)
    tell = context.reporter.line
    return context.engine.crew(Models, spec, placing.resources, placing.actors, AT_ONCE, tell)


def _judged(
    context: Context,
    crew: Crew[Models],
    tasks: Sequence[SynthTask],
    spec: WorkerSpec,
    watch: Callable[[SynthTask], None],
) -> ProbeTask | None:
    """Finish the partitions, then measure who judged them."""
    run_crew_pass(context, crew, "synth", generate_part, tasks, _FOLDERS, watch)
    return run_probing(context, crew, _parts(tasks), spec)


def _parts(tasks: Sequence[SynthTask]) -> list[tuple[str, Places]]:
    return [(task.attempts, task.places) for task in tasks]


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


def _settings(context: Context, params: SynthParams, spec: WorkerSpec, taggers: Mapping[str, str]) -> dict[str, Any]:
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
        "gpus": place(context.engine, *models_of(spec.params)).resources.gpus,
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
