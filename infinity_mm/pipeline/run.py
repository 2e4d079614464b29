"""The main job from recipe to manifest; running it again resumes it."""

from __future__ import annotations

import resource
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from infinity_mm.decontam.leakage import LeakageReport
from infinity_mm.dedup.kernels.cache import keep_code_in
from infinity_mm.engine import Engine
from infinity_mm.fs import Location
from infinity_mm.lock import exclusive
from infinity_mm.manifest import Manifest
from infinity_mm.pipeline.books import Fate, run_ledger, run_mixture
from infinity_mm.pipeline.closing import Examples, close_books
from infinity_mm.pipeline.decontamination import check_generated, run_decontamination
from infinity_mm.pipeline.deduplication import run_dedup
from infinity_mm.pipeline.downloading import Downloads, run_downloads
from infinity_mm.pipeline.exporting import run_exports
from infinity_mm.pipeline.indexing import run_indexing
from infinity_mm.pipeline.ingest import IngestTask, make_tasks, run_ingest
from infinity_mm.pipeline.merging import run_merge
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.passes import Context, tidy
from infinity_mm.pipeline.pinning import remember
from infinity_mm.pipeline.planning import run_planning
from infinity_mm.pipeline.preparing import Prepared, prepare, warnings
from infinity_mm.pipeline.rails import check_drops, watch_quarantine
from infinity_mm.pipeline.required import check_models, check_synthesis
from infinity_mm.pipeline.screening import run_identity, run_measure, run_screen
from infinity_mm.pipeline.synthesis import Subset, run_synthesis
from infinity_mm.progress import Reporter
from infinity_mm.recipe import Recipe, recipe_fingerprint
from infinity_mm.report import write_report
from infinity_mm.sources.base import Plan
from infinity_mm.store import Store
from infinity_mm.versions import versions


@dataclass(frozen=True)
class RunOptions:
    """How to run, as opposed to what: none of these changes the result."""

    #: Ray address; None starts an embedded node.
    address: str | None = None
    #: CPUs of the embedded node; None takes all.
    workers: int | None = None
    quiet: bool = False


def run(
    recipe: Recipe,
    work: Location,
    options: RunOptions,
    exports: Collection[str] | None = None,
    subset: Subset | None = None,
) -> Manifest:
    """Run the recipe in `work` and return the manifest that was written there.

    With `exports`, only these of the recipe's exports are written; the manifest keeps the others that are there.
    With `subset`, only these of the generations are made: what `infinity-mm synth` does.
    Raises `SourceError` before any work where a source's files are missing, and `JobError` subclasses later; what was
    finished by then stays, and the same call goes on from it.
    """
    began = time.monotonic()
    with open_run(recipe, work, options) as (context, prepared):
        manifest, examples = _finish(context, curate(context), began, exports, prepared, subset)
        write_report(context.store, manifest, examples)
        return manifest


@contextmanager
def open_run(recipe: Recipe, work: Location, options: RunOptions) -> Iterator[tuple[Context, Prepared]]:
    """Check the recipe, hold the folder and start the engine; raises as `run` does."""
    if work.is_local:
        keep_code_in(f"{work.path}/.compiled")  # workers of the embedded node inherit it
    prepared = prepare(recipe, work)
    recipe = prepared.recipe
    if recipe.synth is not None:
        check_synthesis(recipe.synth)  # hours of other work would come before the first call
    with exclusive(work), Engine(options.address, options.workers) as engine:
        if recipe.synth is not None:
            check_models(engine, recipe.synth)
        context = Context(Store(work), engine, Reporter(options.quiet), recipe)
        remember(context.store, prepared.revisions)
        for told in warnings(recipe):
            context.reporter.line(f"warning: {told}")
        yield context, prepared


@dataclass(frozen=True)
class Curated:
    """What is there before anything is generated."""

    plans: dict[str, Plan]
    downloads: Downloads
    measured: dict[Part, dict[str, str]]
    fates: list[Fate]
    #: Source -> rows that the books must account for.
    expected: dict[str, int]
    leakage: LeakageReport | None


def curate(context: Context) -> Curated:
    """Run every pass up to deduplication."""
    recipe, store = context.recipe, context.store
    plans = run_planning(context)
    archives = run_indexing(context)
    downloads = run_downloads(context, plans)
    tasks: list[IngestTask] = []
    for use in recipe.sources:
        pictures = downloads.pictures.get(use.name)
        tasks += make_tasks(store.work, use, use.load(), plans[use.name], pictures, archives[use.name])
    tasks.sort(key=lambda task: task.part)
    run_ingest(context, tasks, watch_quarantine(context, tasks))
    parts = [task.part for task in tasks]
    identity = run_identity(context, tasks)
    measured = run_measure(context, parts)
    screens = run_screen(context, identity, measured)
    check_drops(context, screens)
    fates, leakage = _compare(context, measured, screens)
    return Curated(plans, downloads, measured, fates, _planned_rows(recipe, tasks), leakage)


def _finish(
    context: Context,
    curated: Curated,
    began: float,
    only: Collection[str] | None,
    prepared: Prepared,
    subset: Subset | None,
) -> tuple[Manifest, dict[str, Examples]]:
    """Generate, mix, close the books and export; write the manifest."""
    recipe, store = context.recipe, context.store
    fates, expected, leakage = curated.fates, dict(curated.expected), curated.leakage
    synthesis = None
    if recipe.synth is not None:
        made, attempts, synthesis = run_synthesis(context, fates, subset or Subset())
        made, leakage = check_generated(context, made, fates, leakage)
        fates = fates + made
        expected[SYNTHETIC] = attempts
    fates = run_mixture(context, fates)
    ledgers = run_ledger(context, fates)
    books, examples = close_books(context, fates, ledgers, expected)
    exports = run_exports(context, fates, ledgers, curated.measured, only)
    tidy(context, expected, keep=[f"export-{export.name}" for export in exports])
    manifest = Manifest(
        command="run" if subset is None else "synth",
        name=recipe.name,
        recipe=recipe.model_dump(mode="json", by_alias=True),
        recipe_fingerprint=recipe_fingerprint(recipe),
        seed=recipe.seed,
        versions=versions(),
        inputs={name: dict(plan.files) for name, plan in sorted(curated.plans.items())},
        refused=prepared.refused,
        revisions=prepared.revisions,
        books=books,
        stages=tuple(context.stages),
        exports=exports,
        synthesis=synthesis,
        leakage=leakage,
        download=curated.downloads.report,
        seconds=round(time.monotonic() - began, 3),
        driver_peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
    store.at("manifest.json").write_bytes(manifest.model_dump_json(indent=1).encode())
    return manifest, examples


def _compare(
    context: Context, measured: dict[Part, dict[str, str]], screens: dict[Part, str]
) -> tuple[list[Fate], LeakageReport | None]:
    """Compare what the filters left with evaluation sets, then with itself."""
    leaks, leakage = run_decontamination(context, screens)
    comparing = context.recipe.model_copy(update={"dedup": context.recipe.dedup.comparing()})
    duplicates = run_dedup(replace(context, recipe=comparing), measured, screens, leaks)
    merged = run_merge(context, measured, screens, leaks, duplicates)
    fates = [
        Fate(part, screens[part], duplicates.get(part), decontaminate=leaks.get(part), merge=merged.get(part))
        for part in sorted(screens)
    ]
    return fates, leakage


def _planned_rows(recipe: Recipe, tasks: list[IngestTask]) -> dict[str, int]:
    rows = {use.name: 0 for use in recipe.sources}
    for task in tasks:
        rows[task.part.source] += task.rows
    return rows
