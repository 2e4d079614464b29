"""The synthesis pass: draws pictures among the survivors, runs the four steps in actors that hold the model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from infinity_mm.engine import Resources
from infinity_mm.errors import ModelError, StageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.manifest import SynthesisReport
from infinity_mm.pipeline.books import Fate, outcomes
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.passes import Context, run_actor_pass, run_pass
from infinity_mm.schema import INGEST_ATTRIBUTES, RECORDS, validate_records
from infinity_mm.store import Store, part_name
from infinity_mm.synth.assemble import source_ref
from infinity_mm.synth.chat import Chat, EngineInfo, ModelSpec
from infinity_mm.synth.engines.checkpoint import EMBEDDED, RANDOM, locate
from infinity_mm.synth.engines.select import load_chat, resolve_engine, vllm_is_cpu_build
from infinity_mm.synth.outcomes import Outcome, add_yields, yields
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.rows import Parent
from infinity_mm.synth.run_step import check, identity, synthesise
from infinity_mm.synth.select_images import COLUMNS, select_images
from infinity_mm.synth.tiny_model import is_trained

VERSION = 1
#: Pictures of one partition: what a kill can lose, and the batch that the engine sees.
PARENTS_PER_PART = 16

#: Where the pass writes; swept also when no picture could be drawn.
_FOLDERS = tuple(f"{folder}/{SYNTHETIC}" for folder in ("records", "attributes/ingest", "attributes/synth"))

#: One row per attempted generation.
ATTEMPTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source_ref", pa.string(), nullable=False),
        pa.field("outcome", pa.string()),  # null for a finished record
        pa.field("stage", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("parent", pa.string(), nullable=False),
        pa.field("instruction_type", pa.string()),
        pa.field("answer_format", pa.string()),
        # What was written, also for a dropped row, as JSON; null where nothing was.
        pa.field("generation", pa.string()),
        # Counts per step and type of the whole part, as JSON, and the engine's description; on the first row only.
        pa.field("yields", pa.string()),
        pa.field("engine", pa.string()),
    ]
)

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
class SynthTask:
    """The four steps for a few pictures."""

    work: str
    part: Part
    attempts: str
    #: (records part, row inside it) of each parent.
    places: tuple[tuple[str, int], ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Finished records, their measurements, and what became of every attempt."""
        return (self.part.ingest, self.part.records, self.attempts)

    @property
    def timing(self) -> str:
        """Seconds of the engine: a figure for people and forecasts, so no output that must repeat."""
        return f"state/synth/seconds/{self.part.fingerprint}.json"


@dataclass(frozen=True)
class WorkerSpec:
    """What an actor needs to build its engines."""

    params_json: str
    seed: int


class SynthWorker:
    """Holds the generating model and the judge; lives in an actor."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._params = SynthParams.model_validate_json(spec.params_json)
        self._seed = spec.seed
        self._chat: Chat = load_chat(self._params.model)
        self._judge: Chat = load_chat(self._params.judge) if self._params.judge is not None else self._chat

    def __call__(self, task: SynthTask) -> None:
        """Run the steps for one partition and write its files."""
        store = Store(Location(task.work))
        parents = [_parent(store, path, row) for path, row in task.places]
        began = time.monotonic()
        found = synthesise(self._chat, self._judge, parents, self._params, self._seed)
        store.at(task.timing).write_bytes(orjson.dumps(time.monotonic() - began))
        _write(store, task, found, self._chat.info)


def check_synthesis(params: SynthParams) -> None:
    """Find before any work what would stop the synthesis: raises `RecipeError`, or `ModelError` without an engine."""
    check(params)
    for spec in (params.model, params.judge):
        if spec is not None:
            resolve_engine(spec)


def run_synthesis(context: Context, fates: Sequence[Fate]) -> tuple[list[Fate], int, SynthesisReport]:
    """Generate; returns the fates of the synthetic parts, the number of attempts, and the report.

    Raises `ModelError` where no engine can be had; everything before it is kept.
    """
    params = context.recipe.synth
    if params is None:
        raise ModelError("the recipe has no synth section")
    check(params)
    engine = resolve_engine(params.model)
    selection = _select(context, fates, params)
    drawn = context.store.read(selection).to_pylist()
    models = [_model_identity(params.model), None if params.judge is None else _model_identity(params.judge), engine]
    tasks: list[SynthTask] = []
    for number in range(0, len(drawn), PARENTS_PER_PART):
        members = drawn[number : number + PARENTS_PER_PART]
        places = tuple((row["path"], row["row"]) for row in members)
        name = fingerprint(
            ["synth", VERSION, context.recipe.seed], identity(params), models, [list(place) for place in places]
        )
        part = Part(SYNTHETIC, number // PARENTS_PER_PART, name)
        attempts = part.attributes("synth", name)
        tasks.append(SynthTask(context.store.work.uri, part, attempts, places))
    ready = params.model_copy(
        update={
            "model": _placed(params.model),
            "judge": None if params.judge is None else _placed(params.judge),
        }
    )
    gpus = ready.model.gpus + (ready.judge.gpus if ready.judge is not None else 0.0)
    resources = Resources(cpus=1.0, gpus=gpus)
    spec = WorkerSpec(ready.model_dump_json(), context.recipe.seed)
    run_actor_pass(context, "synth", SynthWorker, spec, tasks, resources, actors=1, folders=_FOLDERS)
    made = [Fate(task.part, task.attempts, ingested=False) for task in tasks]
    return made, len(drawn) * params.per_image, _report(context.store, tasks, params, gpus)


def _placed(spec: ModelSpec) -> ModelSpec:
    """Settle what `auto` means here, on the driver: Ray hides the GPUs from actors that ask for none."""
    engine = resolve_engine(spec)
    gpus = spec.gpus or (1.0 if engine == "vllm" and not vllm_is_cpu_build() else 0.0)
    return spec.model_copy(update={"engine": engine, "gpus": gpus})


def _model_identity(spec: ModelSpec) -> list[str | None]:
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


def _parent(store: Store, path: str, row: int) -> Parent:
    record, data = store.read_row(path, row)
    if len(data) != 1 or data[0] is None:
        raise StageError(f"{path} row {row} was drawn for synthesis and has no single picture with bytes; run again")
    return Parent.of(record, data[0])


def _write(store: Store, task: SynthTask, found: list[Outcome], info: EngineInfo) -> None:
    records = [one.record for one in found if one.record is not None]
    faults = [fault for fault in validate_records(records) if fault is not None]
    if faults:
        raise ModelError(
            f"a finished synthetic record fails its own schema: {faults[0]}; this is a bug, please report it"
        )
    measured = [
        {"id": row["id"], "category": row["category"], "notes": []}
        | {name: [] for name in INGEST_ATTRIBUTES.names if name not in ("id", "category", "notes")}
        for row in records
    ]
    store.write(task.part.ingest, pa.Table.from_pylist(measured, schema=INGEST_ATTRIBUTES))
    with store.writer(task.part.records, RECORDS) as writer:
        for row in records:
            writer.add(row, 2_000)
    summary = to_json(yields(found))
    lines = [_attempt(one) for one in found]
    if lines:
        lines[0] |= {"yields": summary, "engine": info.model_dump_json()}
    store.write(task.attempts, pa.Table.from_pylist(lines, schema=ATTEMPTS))


def to_json(tree: dict[str, Any]) -> str:
    """Return a tree of counts as JSON with sorted keys."""
    return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS).decode()


def _attempt(one: Outcome) -> dict[str, Any]:
    kept = one.outcome == "kept"
    return {
        "id": one.id,
        "source_ref": source_ref(one.parent, one.n),
        "outcome": None if kept else one.outcome,
        "stage": None if kept else one.stage,
        "reason": None if kept else one.reason,
        "detail": None if kept else one.detail,
        "parent": one.parent,
        "instruction_type": one.leaf,
        "answer_format": one.format,
        "generation": None if one.generation is None else to_json(one.generation),
    }


def _report(store: Store, tasks: Sequence[SynthTask], params: SynthParams, gpus: float) -> SynthesisReport:
    total: dict[str, Any] = {"steps": {}, "types": {}}
    info: EngineInfo | None = None
    for task in tasks:
        rows = store.read(task.attempts, ["yields", "engine"]).slice(0, 1).to_pylist()
        if rows:
            total = add_yields(total, orjson.loads(rows[0]["yields"]))
            info = EngineInfo.model_validate_json(rows[0]["engine"])
    steps = total["steps"]
    flat = {
        stage: {k: v for k, v in counts.items() if k != "reasons"} | counts.get("reasons", {})
        for stage, counts in steps.items()
    }
    return SynthesisReport(
        engine=info.engine if info else resolve_engine(params.model),
        engine_version=info.version if info else "",
        model=info.model if info else params.model.name,
        revision=info.revision if info else "",
        self_judged=params.judge is None,
        random_weights=params.model.name == RANDOM or (params.model.name == EMBEDDED and not is_trained()),
        yields=flat,
        prompt_tokens=sum(counts["prompt_tokens"] for counts in steps.values()),
        completion_tokens=sum(counts["completion_tokens"] for counts in steps.values()),
        engine_seconds=round(_engine_seconds(store, tasks), 3),
        gpus=gpus,
    )


def _engine_seconds(store: Store, tasks: Sequence[SynthTask]) -> float:
    timed = [store.at(task.timing) for task in tasks]
    return sum(float(orjson.loads(file.read_bytes())) for file in timed if file.exists())
