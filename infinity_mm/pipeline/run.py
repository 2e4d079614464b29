"""The main job from recipe to manifest; running it again resumes it."""

from __future__ import annotations

import resource
import time
from collections.abc import Collection
from dataclasses import dataclass

from infinity_mm.decontam.leakage import LeakageReport
from infinity_mm.dedup.kernels.cache import keep_code_in
from infinity_mm.engine import Engine
from infinity_mm.fs import Location
from infinity_mm.lock import exclusive
from infinity_mm.manifest import Manifest
from infinity_mm.pipeline.books import Fate, run_ledger, run_mixture
from infinity_mm.pipeline.closing import Examples, close_books
from infinity_mm.pipeline.decontamination import run_decontamination
from infinity_mm.pipeline.deduplication import run_dedup
from infinity_mm.pipeline.downloading import run_downloads
from infinity_mm.pipeline.exporting import run_exports
from infinity_mm.pipeline.indexing import run_indexing
from infinity_mm.pipeline.ingest import IngestTask, make_tasks, run_ingest
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.passes import Context, tidy
from infinity_mm.pipeline.pinning import remember
from infinity_mm.pipeline.planning import run_planning
from infinity_mm.pipeline.preparing import Prepared, prepare
from infinity_mm.pipeline.rails import check_drops, watch_quarantine
from infinity_mm.pipeline.screening import run_identity, run_measure, run_screen
from infinity_mm.pipeline.synthesis import check_synthesis, run_synthesis
from infinity_mm.progress import Reporter
from infinity_mm.recipe import Recipe, recipe_fingerprint
from infinity_mm.report import write_report
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


def run(recipe: Recipe, work: Location, options: RunOptions, exports: Collection[str] | None = None) -> Manifest:
    """Run the recipe in `work` and return the manifest that was written there.

    With `exports`, only these of the recipe's exports are written; the manifest keeps the others that are there.
    Raises `SourceError` before any work where a source's files are missing, and `JobError` subclasses later; what was
    finished by then stays, and the same call goes on from it.
    """
    began = time.monotonic()
    if work.is_local:
        keep_code_in(f"{work.path}/.compiled")  # workers of the embedded node inherit it
    prepared = prepare(recipe, work)
    recipe = prepared.recipe
    if recipe.synth is not None:
        check_synthesis(recipe.synth)  # hours of other work would come before the first call
    with exclusive(work), Engine(options.address, options.workers) as engine:
        context = Context(Store(work), engine, Reporter(options.quiet), recipe)
        remember(context.store, prepared.revisions)
        manifest, examples = _curate(context, began, exports, prepared)
        write_report(context.store, manifest, examples)
        return manifest


def _curate(
    context: Context, began: float, only: Collection[str] | None, prepared: Prepared
) -> tuple[Manifest, dict[str, Examples]]:
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
    expected = _planned_rows(recipe, tasks)
    synthesis = None
    if recipe.synth is not None:
        made, attempts, synthesis = run_synthesis(context, fates)
        fates += made
        expected[SYNTHETIC] = attempts
    fates = run_mixture(context, fates)
    ledgers = run_ledger(context, fates)
    books, examples = close_books(context, fates, ledgers, expected)
    exports = run_exports(context, fates, ledgers, measured, only)
    tidy(context, expected, keep=[f"export-{export.name}" for export in exports])
    manifest = Manifest(
        name=recipe.name,
        recipe=recipe.model_dump(mode="json", by_alias=True),
        recipe_fingerprint=recipe_fingerprint(recipe),
        seed=recipe.seed,
        versions=versions(),
        inputs={name: dict(plan.files) for name, plan in sorted(plans.items())},
        refused=prepared.refused,
        revisions=prepared.revisions,
        books=books,
        stages=tuple(context.stages),
        exports=exports,
        synthesis=synthesis,
        leakage=leakage,
        download=downloads.report,
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
    duplicates = run_dedup(context, measured, screens, leaks)
    fates = [Fate(part, screens[part], duplicates.get(part), decontaminate=leaks.get(part)) for part in sorted(screens)]
    return fates, leakage


def _planned_rows(recipe: Recipe, tasks: list[IngestTask]) -> dict[str, int]:
    rows = {use.name: 0 for use in recipe.sources}
    for task in tasks:
        rows[task.part.source] += task.rows
    return rows
