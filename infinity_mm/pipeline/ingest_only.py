"""One source to unified records, alone: the first passes of the main job, and a ledger of them."""

from __future__ import annotations

import resource
import time

from pydantic import ValidationError

from infinity_mm.dedup.params import DedupParams
from infinity_mm.download.params import DownloadParams
from infinity_mm.engine import Engine
from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.hub import is_hub
from infinity_mm.ledger import SourceBooks
from infinity_mm.licenses import LicensePolicy
from infinity_mm.lock import exclusive
from infinity_mm.manifest import DownloadReport, Manifest
from infinity_mm.pipeline.books import Fate, run_ledger
from infinity_mm.pipeline.closing import close_books
from infinity_mm.pipeline.downloading import download_alone, run_downloads
from infinity_mm.pipeline.indexing import run_indexing
from infinity_mm.pipeline.ingest import make_tasks, run_ingest
from infinity_mm.pipeline.passes import Context, tidy
from infinity_mm.pipeline.pinning import remember
from infinity_mm.pipeline.planning import run_planning
from infinity_mm.pipeline.preparing import Prepared, prepare
from infinity_mm.pipeline.run import RunOptions
from infinity_mm.pipeline.screening import run_identity, run_screen
from infinity_mm.progress import Reporter
from infinity_mm.recipe import Recipe, SourceUse, recipe_fingerprint
from infinity_mm.sources.base import Plan
from infinity_mm.store import Store
from infinity_mm.versions import versions


def ingest_only(
    use: SourceUse,
    work: Location,
    options: RunOptions,
    download: DownloadParams | None = None,
    licenses: LicensePolicy | None = None,
) -> Manifest:
    """Ingest one source into `work`, beside whatever other sources are there.

    Raises `SourceError` for an unknown source, a missing root, a root without annotation files, a source that the
    licence policy refuses, and where `work` is the folder of a `run`: its ledger and manifest would no longer be
    those of its recipe.
    """
    began = time.monotonic()
    source = use.load()
    prepared = recipe_of(use, work, download, licenses)
    recipe, (use,) = prepared.recipe, prepared.recipe.sources
    _refuse_run_folder(work, use)
    with exclusive(work), Engine(options.address, options.workers) as engine:
        context = Context(Store(work), engine, Reporter(options.quiet), recipe)
        remember(context.store, prepared.revisions)
        plans = run_planning(context)
        plan = plans[use.name]
        archives = run_indexing(context)[use.name]
        downloads = run_downloads(context, plans)
        tasks = make_tasks(work, use, source, plan, downloads.pictures.get(use.name), archives)
        run_ingest(context, tasks)
        parts = [task.part for task in tasks]
        screens = run_screen(context, run_identity(context, tasks), {part: {"ingest": part.ingest} for part in parts})
        fates = [Fate(part, screens[part]) for part in parts]
        ledgers = run_ledger(context, fates, only_sources={use.name})
        books, _ = close_books(context, fates, ledgers, {use.name: sum(task.rows for task in tasks)})
        tidy(context, [use.name])
        manifest = _manifest(context, prepared, plan, books, downloads.report, began)
        whole = _beside(_read_manifest(work), manifest)
        context.store.at("manifest.json").write_bytes(whole.model_dump_json(indent=1).encode())
        return manifest


def _manifest(
    context: Context,
    prepared: Prepared,
    plan: Plan,
    books: dict[str, SourceBooks],
    download: DownloadReport | None,
    began: float,
) -> Manifest:
    recipe = prepared.recipe
    return Manifest(
        command="ingest",
        name=recipe.name,
        recipe=recipe.model_dump(mode="json", by_alias=True),
        recipe_fingerprint=recipe_fingerprint(recipe),
        seed=recipe.seed,
        versions=versions(),
        inputs={recipe.sources[0].name: dict(plan.files)},
        revisions=prepared.revisions,
        books=books,
        stages=tuple(context.stages),
        exports=(),
        synthesis=None,
        download=download,
        seconds=round(time.monotonic() - began, 3),
        driver_peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _read_manifest(work: Location) -> Manifest | None:
    """Return the manifest of an earlier job in `work`; None without one that this version can read."""
    place = work / "manifest.json"
    if not place.exists():
        return None
    try:
        return Manifest.model_validate_json(place.read_bytes())
    except ValidationError:
        return None


def _refuse_run_folder(work: Location, use: SourceUse) -> None:
    earlier = _read_manifest(work)
    if earlier is not None and earlier.command == "run":
        raise SourceError(
            f"--work: {work} is the run folder of the recipe {earlier.name!r}, whose books this would replace. Ingest "
            f"into another folder, or add {use.name!r} to the recipe's sources and `infinity-mm run` it"
        )


def _beside(earlier: Manifest | None, manifest: Manifest) -> Manifest:
    """Return the manifest of a folder that several sources were ingested into, one after the other."""
    if earlier is None:
        return manifest
    uses = {use["name"]: use for recipe in (earlier.recipe, manifest.recipe) for use in recipe["sources"]}
    tree = {**manifest.recipe, "name": "ingest", "sources": [uses[name] for name in sorted(uses)]}
    return manifest.model_copy(
        update={
            "name": "ingest",
            "recipe": tree,
            "recipe_fingerprint": recipe_fingerprint(Recipe.model_validate(tree)),
            "revisions": dict(sorted((earlier.revisions | manifest.revisions).items())),
            "inputs": dict(sorted((earlier.inputs | manifest.inputs).items())),
            "books": dict(sorted((earlier.books | manifest.books).items())),
        }
    )


def download_only(use: SourceUse, work: Location, options: RunOptions, download: DownloadParams) -> DownloadReport:
    """Download the pictures that one source gives by URL into `work`, and ingest nothing.

    Raises `SourceError` for a source that has none, and as `ingest_only` does.
    """
    if not use.load().downloads:
        raise SourceError(f"{use.name} gives no pictures by URL: there is nothing to download; `infinity-mm ingest` it")
    prepared = recipe_of(use, work, download)
    with exclusive(work), Engine(options.address, options.workers) as engine:
        context = Context(Store(work), engine, Reporter(options.quiet), prepared.recipe)
        remember(context.store, prepared.revisions)
        return download_alone(context, run_planning(context))


def recipe_of(
    use: SourceUse, work: Location, download: DownloadParams | None, licenses: LicensePolicy | None = None
) -> Prepared:
    """Return the recipe of one source alone; raises `SourceError` where its root or its files are not there."""
    if not is_hub(use.root) and not Location(use.root).is_dir():
        raise SourceError(f"--root: no folder at {Location(use.root)}")
    recipe = Recipe(
        name=f"ingest-{use.name}".replace("_", "-"),
        sources=(use,),
        dedup=DedupParams(mode="off"),
        download=download or DownloadParams(),
        licenses=licenses or LicensePolicy(),
    )
    return prepare(recipe, work)
