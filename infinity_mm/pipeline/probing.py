"""The pass that measures the judge on altered rows of the run; what it makes never enters the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import orjson

from infinity_mm.errors import StageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.keyed import keyed_u64
from infinity_mm.pipeline.parents import Places, read_judged, read_parents
from infinity_mm.pipeline.passes import Context, run_crew_pass
from infinity_mm.pipeline.workers import Models, WorkerSpec
from infinity_mm.store import Store
from infinity_mm.synth.judge_quality import JudgeReport, MissedProbe, rates_of, warnings_of
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.probe import AS_WRITTEN, Scored, draw, measure
from infinity_mm.synth.rows import Judged

if TYPE_CHECKING:  # workers import this module, and have no use for it
    from infinity_mm.engine.crew import Crew

VERSION = 1
#: Fewest partitions that rows are drawn from; all of them where there are less.
_PARTS = 8
#: Altered rows that passed, of those that the report shows.
MISSED = 6
_FOLDER = "state/synth/judge"


@dataclass(frozen=True)
class ProbeTask:
    """Alter rows of some partitions, and ask a model about them."""

    work: str
    #: (attempts, places of its pictures) of each partition.
    parts: tuple[tuple[str, Places], ...]
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the model said of every row, as JSON."""
        return (self.output,)


def measure_judge(models: Models, task: ProbeTask) -> None:
    """Ask the judge about rows of the task's partitions; what it said is kept whatever happens."""
    store, params, seed = Store(Location(task.work)), models.params, models.spec.seed
    pool = read_pool(store, task)
    drawn = draw(pool, params.judge_probe.rows, seed)
    with models.session() as session:
        found, cost = measure(session.judge, drawn, pool, params, seed)
    document = {"cost": dict(cost), "scored": [asdict(one) for one in found]}
    store.at(task.output).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def read_pool(store: Store, task: ProbeTask) -> list[Judged]:
    """Return the rows of the task's partitions that a judge has scored."""
    return [row for attempts, places in task.parts for row in read_judged(store, attempts, read_parents(store, places))]


def run_probing(
    context: Context, crew: Crew[Models], parts: Sequence[tuple[str, Places]], spec: WorkerSpec
) -> ProbeTask | None:
    """Ask the judge about altered rows; None where the recipe asks for no measurement.

    `parts` are the partitions of the synthesis, `crew` those who judged them. See `judge_report`.
    """
    probe = spec.params.judge_probe
    tasks: list[ProbeTask] = []
    if probe.rows and parts:
        drawn = drawn_parts(parts, probe.rows, spec.seed)
        name = fingerprint(["judge_probe", VERSION, spec.seed, probe.rows], spec.judged_by, [part[0] for part in drawn])
        tasks.append(ProbeTask(context.store.work.uri, tuple(drawn), f"{_FOLDER}/{name}.json"))
    run_crew_pass(context, crew, "judge-probe", measure_judge, tasks, folders=(_FOLDER,))
    return tasks[0] if tasks else None


def judge_report(context: Context, task: ProbeTask, spec: WorkerSpec) -> JudgeReport:
    """Return what was measured; raises `StageError` where that is chance and the recipe says to stop."""
    probe = spec.params.judge_probe
    report = _report(context.store, task, spec.params, spec)
    for line in report.warnings:
        context.reporter.line(f"warning: {line}")
    if report.chance and probe.on_chance == "stop":
        raise StageError(
            f"{report.warnings[0]}. Name a better judge in synth.judge, or probe more rows (synth.judge_probe.rows="
            f"{probe.rows}), or set synth.judge_probe.on_chance to warn"
        )
    return report


def drawn_parts(parts: Sequence[tuple[str, Places]], rows: int, seed: int) -> list[tuple[str, Places]]:
    """Return the partitions that so many rows are drawn from, by a hash of (seed, attempts)."""
    wanted = max(_PARTS, rows // 4)
    return sorted(parts, key=lambda part: (keyed_u64(seed, "synth.probe.part", part[0]), part[0]))[:wanted]


def _report(store: Store, task: ProbeTask, params: SynthParams, spec: WorkerSpec) -> JudgeReport:
    document = orjson.loads(store.at(task.output).read_bytes())
    cost = document["cost"]
    scored = [Scored(**row) for row in document["scored"]]
    rates = rates_of(scored, params.min_score)
    chance, warnings = warnings_of(rates, spec.judged_by == spec.writer)
    missed = [
        one for one in scored if one.kind != AS_WRITTEN and one.score is not None and one.score >= params.min_score
    ]
    return JudgeReport(
        model=(params.judge or params.model).name,
        identity=spec.judged_by,
        self_judged=spec.judged_by == spec.writer,
        min_score=params.min_score,
        rows=sum(one.kind == AS_WRITTEN for one in scored),
        altered=sum(one.kind != AS_WRITTEN for one in scored),
        calls=cost["calls"],
        cached=cost["cached"],
        prompt_tokens=cost["prompt_tokens"],
        completion_tokens=cost["completion_tokens"],
        rates=rates,
        chance=chance,
        warnings=warnings,
        missed=tuple(MissedProbe(**asdict(one)) for one in missed[:MISSED]),
    )
