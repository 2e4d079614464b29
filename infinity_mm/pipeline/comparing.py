"""The pass that measures the model that compares answers; what it makes never enters the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import orjson

from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.pipeline.parents import Places, read_judged, read_parents
from infinity_mm.pipeline.passes import Context, run_actor_pass
from infinity_mm.pipeline.placing import place
from infinity_mm.pipeline.probing import MISSED, drawn_parts
from infinity_mm.pipeline.workers import WorkerSpec
from infinity_mm.store import Store
from infinity_mm.synth.cache.chat import RememberingChat
from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.comparison_quality import (
    Compared,
    ComparisonReport,
    drawn,
    measure,
    mistaken,
    pairs,
    rates_of,
    warnings_of,
)
from infinity_mm.synth.engines.select import lasting_chat, lasting_comparer
from infinity_mm.synth.params import SemanticParams, SynthParams
from infinity_mm.synth.reword import REWORDINGS
from infinity_mm.synth.rows import Judged

VERSION = 1
_FOLDER = "state/synth/comparer"


@dataclass(frozen=True)
class ComparerTask:
    """Reword and alter answers of some partitions, and have the pairs compared."""

    work: str
    #: (attempts, places of its pictures) of each partition.
    parts: tuple[tuple[str, Places], ...]
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """What was made of every pair, as JSON."""
        return (self.output,)


class ComparerWorker:
    """Holds the model that compares, built when it is first asked; lives in an actor."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._params = spec.params
        self._seed = spec.seed
        self._memory = spec.memory()
        engine = lasting_comparer(self._params.checks.semantic) or lasting_chat(self._params.model)
        self._comparer = RememberingChat(engine, self._memory, _identity(spec))

    def __call__(self, task: ComparerTask) -> None:
        """Measure the model on the rows of the task's partitions; what it said is kept whatever happens."""
        store, params = Store(Location(task.work)), self._params
        semantics = params.checks.semantic
        if semantics is None:
            return
        pool: list[Judged] = []
        for attempts, places in task.parts:
            pool += read_judged(store, attempts, read_parents(store, places))
        rows = drawn(pool, params, self._seed)
        try:
            found, cost = measure(self._comparer, list(pairs(rows, pool, self._seed)), params, semantics, self._seed)
        finally:
            self._memory.flush()
        document = {"rows": len(rows), "cost": dict(cost), "compared": [asdict(one) for one in found]}
        store.at(task.output).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def run_comparing(context: Context, parts: Sequence[tuple[str, Places]], spec: WorkerSpec) -> ComparisonReport | None:
    """Measure the model that compares answers; None where none does, or the recipe asks for no measurement.

    `parts` are the partitions of the synthesis.
    """
    params = spec.params
    semantics, rows = params.checks.semantic, params.judge_probe.rows
    tasks: list[ComparerTask] = []
    if semantics is not None and params.checks.compares and rows and parts:
        chosen = drawn_parts(parts, rows, spec.seed)
        name = fingerprint(["comparer_probe", VERSION, spec.seed, rows], _identity(spec), [part[0] for part in chosen])
        tasks.append(ComparerTask(context.store.work.uri, tuple(chosen), f"{_FOLDER}/{name}.json"))
    placing = place(context.engine, _model(params, semantics))
    run_actor_pass(context, "comparer-probe", ComparerWorker, spec, tasks, placing, folders=(_FOLDER,))
    if not tasks or semantics is None:
        return None
    report = _report(context.store, tasks[0], spec, semantics)
    for line in report.warnings:
        context.reporter.line(f"warning: {line}")
    return report


def _report(store: Store, task: ComparerTask, spec: WorkerSpec, semantics: SemanticParams) -> ComparisonReport:
    document = orjson.loads(store.at(task.output).read_bytes())
    found = [Compared(**one) for one in document["compared"]]
    rates = rates_of(found)
    chance, warnings = warnings_of(rates)
    reworded = sum(one.kind in REWORDINGS for one in found)
    return ComparisonReport(
        model=_model(spec.params, semantics).name,
        identity=_identity(spec),
        by=semantics.by,
        rows=document["rows"],
        reworded=reworded,
        altered=len(found) - reworded,
        **document["cost"],
        rates=rates,
        chance=chance,
        warnings=warnings,
        mistaken=mistaken(found, MISSED),
    )


def _model(params: SynthParams, semantics: SemanticParams | None) -> ModelSpec:
    return params.model if semantics is None or semantics.embedding is None else semantics.embedding.spec


def _identity(spec: WorkerSpec) -> str:
    return spec.comparer or spec.writer
