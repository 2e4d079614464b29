"""The pass that measures the model that compares answers; what it makes never enters the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import orjson

from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.pipeline.parents import Places
from infinity_mm.pipeline.passes import Context, run_crew_pass
from infinity_mm.pipeline.probing import MISSED, ProbeTask, drawn_parts, read_pool
from infinity_mm.pipeline.workers import Models, WorkerSpec
from infinity_mm.store import Store
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
from infinity_mm.synth.params import SemanticParams, SynthParams
from infinity_mm.synth.reword import REWORDINGS

if TYPE_CHECKING:  # workers import this module, and have no use for it
    from infinity_mm.engine.crew import Crew

VERSION = 1
_FOLDER = "state/synth/comparer"


def measure_comparer(models: Models, task: ProbeTask) -> None:
    """Measure the model on the rows of the task's partitions; what it said is kept whatever happens."""
    store, params, seed = Store(Location(task.work)), models.params, models.spec.seed
    semantics = params.checks.semantic
    if semantics is None:
        return
    pool = read_pool(store, task)
    rows = drawn(pool, params, seed)
    with models.session() as session:
        comparer = session.comparer or session.writer
        found, cost = measure(comparer, list(pairs(rows, pool, seed)), params, semantics, seed)
    document = {"rows": len(rows), "cost": dict(cost), "compared": [asdict(one) for one in found]}
    store.at(task.output).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def run_comparing(
    context: Context, crew: Crew[Models], parts: Sequence[tuple[str, Places]], spec: WorkerSpec
) -> ProbeTask | None:
    """Have reworded and altered answers compared; None where no model compares, or no measurement is asked for.

    `parts` are the partitions of the synthesis, `crew` workers with room for the model. See `comparer_report`.
    """
    params = spec.params
    rows = params.judge_probe.rows
    tasks: list[ProbeTask] = []
    if params.checks.semantic is not None and params.checks.compares and rows and parts:
        chosen = drawn_parts(parts, rows, spec.seed)
        name = fingerprint(["comparer_probe", VERSION, spec.seed, rows], _identity(spec), [part[0] for part in chosen])
        tasks.append(ProbeTask(context.store.work.uri, tuple(chosen), f"{_FOLDER}/{name}.json"))
    run_crew_pass(context, crew, "comparer-probe", measure_comparer, tasks, folders=(_FOLDER,))
    return tasks[0] if tasks else None


def comparer_report(context: Context, task: ProbeTask, spec: WorkerSpec) -> ComparisonReport | None:
    """Return what was measured, and warn where it is chance."""
    semantics = spec.params.checks.semantic
    if semantics is None:
        return None
    report = _report(context.store, task, spec, semantics)
    for line in report.warnings:
        context.reporter.line(f"warning: {line}")
    return report


def _report(store: Store, task: ProbeTask, spec: WorkerSpec, semantics: SemanticParams) -> ComparisonReport:
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
