"""What a run would do, and what a pilot of it predicts."""

from __future__ import annotations

import tempfile

from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.pipeline.ingest import make_tasks
from infinity_mm.pipeline.parts import SYNTHETIC
from infinity_mm.pipeline.passes import unfinished
from infinity_mm.pipeline.planning import make_task, read_plan
from infinity_mm.pipeline.preflight import (
    SAMPLED,
    Pictures,
    check_sample,
    picture_roots,
    sample_pictures,
    unmatched,
)
from infinity_mm.pipeline.preparing import prepare, warnings
from infinity_mm.pipeline.required import check_synthesis
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import Recipe, SourceUse
from infinity_mm.sources.families.listing import Listed
from infinity_mm.store import Store
from infinity_mm.synth.engines.select import resolve_engine
from infinity_mm.synth.models.describing import describe
from infinity_mm.synth.params import JudgeProbe, models_of


class SourcePlan(Frozen):
    """What is known of one source before a run."""

    source: str
    root: str
    files: int
    #: Of the annotation files.
    bytes: int
    #: None until a run has counted them.
    rows: int | None
    partitions: int | None
    done: int | None
    #: Published names (globs) that match no file here.
    files_absent: tuple[str, ...]
    #: Folders and archives in which pictures are looked up: those that are there, and those that are not.
    picture_roots: tuple[str, ...]
    picture_roots_absent: tuple[str, ...]
    #: None where nothing was sampled.
    pictures: Pictures | None
    #: Why a run would stop at this source; None where nothing speaks for that.
    problem: str | None


class Preview(Frozen):
    """What a run would do."""

    work: str
    #: Sources that the licence policy leaves out whole -> why.
    refused: dict[str, str]
    sources: tuple[SourcePlan, ...]
    stages: tuple[str, ...]
    #: What a run would warn of before it begins.
    warnings: tuple[str, ...] = ()


class Forecast(Frozen):
    """What a pilot predicts for the whole; plain proportion, so take it as an order of magnitude."""

    pilot_rows: int
    #: None where a source's rows have not been counted yet.
    rows: int | None
    kept_share: float
    kept_rows: int | None
    export_bytes: int | None
    tokens: int
    #: Hours of the engine on this machine's hardware, its start not included.
    engine_hours: float
    #: The writer's hours times its GPUs, and the judge's times its own; None where the pilot ran without a GPU, which
    #: says nothing about one.
    gpu_hours: float | None
    seconds: float

    def lines(self) -> list[str]:
        """Return the forecast for people."""
        known = f"{self.rows:,} rows" if self.rows is not None else "rows not counted yet: run once, or with a limit"
        kept = "" if self.kept_rows is None else f", about {self.kept_rows:,} of them kept"
        disk = "" if self.export_bytes is None else f", about {self.export_bytes / 1e6:,.1f} MB per export"
        return [
            f"pilot: {self.pilot_rows:,} rows in {self.seconds:,.1f} s, {self.kept_share:.1%} kept",
            f"whole: {known}{kept}{disk}; synthesis about {self.tokens:,} tokens, {self._hours()}",
        ]

    def _hours(self) -> str:
        if self.gpu_hours is not None:
            return f"{self.gpu_hours:,.3g} GPU-hours"
        return f"{self.engine_hours:,.3g} engine-hours with no GPU in use (for GPU-hours run the pilot on one)"


def preview(recipe: Recipe, work: Location, sample: int = SAMPLED) -> Preview:
    """Check everything that can be checked without work, and count what is known.

    Of every source, `sample` rows are read and their pictures looked up; 0 leaves that out. Raises `SourceError` where
    a root has no annotation files, `RecipeError` where no engine can run the model.
    """
    prepared = prepare(recipe, work)
    recipe = prepared.recipe
    stages = tuple(_stages(recipe))
    lines = tuple(_preview_source(recipe, use, prepared.listings[use.name], work, sample) for use in recipe.sources)
    told = tuple(warnings(recipe))
    return Preview(work=str(work), refused=prepared.refused, sources=lines, stages=stages, warnings=told)


def _preview_source(
    recipe: Recipe, use: SourceUse, listing: tuple[Listed, ...], work: Location, sample: int
) -> SourcePlan:
    store, source = Store(work), use.load()
    task = make_task(store, use, recipe.partition_rows)
    plan = read_plan(store, task.output) if store.at(task.output).exists() else None
    there, absent = picture_roots(source, Location(use.root))
    pictures = sample_pictures(use, plan, sample, store) if sample else None
    line = SourcePlan(
        source=use.name,
        root=str(Location(use.root)),
        files=len(listing),
        bytes=sum(one.size for one in listing),
        rows=None,
        partitions=None,
        done=None,
        files_absent=unmatched(use),
        picture_roots=there,
        picture_roots_absent=absent,
        pictures=pictures,
        problem=None if pictures is None else check_sample(use, pictures),
    )
    if plan is None:
        return line
    parts = make_tasks(work, use, source, plan)
    done = len(parts) - len(unfinished(store, parts))
    if source.downloads:  # their parts are named by what was downloaded, so they are counted, not looked up
        done = min(len(parts), len(store.at(f"records/{use.name}").files()))
    return line.model_copy(update={"rows": sum(part.rows for part in parts), "partitions": len(parts), "done": done})


def _stages(recipe: Recipe) -> list[str]:
    judged = [] if recipe.licenses.refuses_nothing else [f"license   {recipe.licenses.text()}"]
    stages = ["ingest    records, pictures decoded and measured once", "identity  native ids used twice"]
    stages += judged
    stages += [f"filter    {use.use} {use.with_ or ''}".rstrip() for use in recipe.filters]
    if (leaks := recipe.decontaminate) is not None:
        stages.append(f"decontam  {leaks.mode} what is in {Location(leaks.index)}, radius {leaks.radius}")
    if recipe.dedup.mode != "off":
        stages.append(
            f"dedup     {recipe.dedup.mode} mode, Jaccard {recipe.dedup.threshold}, radius {recipe.dedup.radius}"
        )
    if recipe.dedup.merge:
        most = f"{recipe.dedup.max_merged_turns} turns and {recipe.dedup.max_merged_chars} characters"
        stages.append(f"merge     conversations about one picture, up to {most}")
    if recipe.synth is not None:
        check_synthesis(recipe.synth)
        engine = resolve_engine(recipe.synth.model)
        attempts = recipe.synth.images * recipe.synth.per_image
        stages.append(f"synth     {attempts} attempts by {recipe.synth.model.name} under {engine}")
        stages += [f"model     {model.name}: {describe(model)}" for model in models_of(recipe.synth)]
    stages += [f"mixture   {name}: pictures alone, never exported" for name in sorted(recipe.image_only)]
    stages += [f"mixture   {name} at rate {rate}" for name, rate in recipe.mixture.rates.items()]
    stages += [f"mixture   {name} at most {limit}" for name, limit in recipe.mixture.limits.items()]
    stages += [f"export    {use.name}: {use.format}, {use.samples_per_shard} samples a shard" for use in recipe.export]
    return stages


def forecast(recipe: Recipe, rows: int, options: RunOptions) -> Forecast:
    """Run `rows` rows of every source in a temporary folder and scale the outcome up."""
    sources = tuple(use.model_copy(update={"limit": min(rows, use.limit or rows)}) for use in recipe.sources)
    synth = recipe.synth
    # What measures the judge does not grow with the pictures, and a cache would hide what a call takes.
    changes = {"cache": False, "judge_probe": JudgeProbe(rows=0)}
    small = None if synth is None else synth.model_copy(update={"images": min(synth.images, 16), **changes})
    with tempfile.TemporaryDirectory(prefix="infinity-mm-pilot-") as folder:
        pilot = recipe.model_copy(update={"sources": sources, "synth": small})
        pilot = prepare(pilot, Location.of(folder)).recipe
        manifest = run(pilot, Location.of(folder), options)
        store = Store(Location.of(folder))
        whole = 0
        limits = {use.name: use.limit for use in recipe.sources}
        for use in pilot.sources:
            plan = read_plan(store, make_task(store, use, recipe.partition_rows).output)
            total = sum(split.inputs(split.rows) for split in plan.splits)
            whole += min(total, limits[use.name] or total)
    books = {name: book for name, book in manifest.books.items() if name != SYNTHETIC}
    seen, kept = sum(book.rows for book in books.values()), sum(book.kept for book in books.values())
    scale = whole / seen if seen else 0.0
    size = max((export.bytes for export in manifest.exports), default=0)
    tokens, hours, gpu_hours = 0, 0.0, 0.0
    if manifest.synthesis is not None and synth is not None and small is not None:
        done = manifest.synthesis
        drawn = manifest.books[SYNTHETIC].rows // small.per_image
        times = synth.images / drawn if drawn else 0.0
        tokens = round((done.prompt_tokens + done.completion_tokens) * times)
        hours, gpu_hours = (seconds / 3_600 * times for seconds in (done.engine_seconds, done.gpu_seconds))
    return Forecast(
        pilot_rows=seen,
        rows=whole,
        kept_share=kept / seen if seen else 0.0,
        kept_rows=round(kept * scale),
        export_bytes=round(size * scale),
        tokens=tokens,
        engine_hours=hours,
        gpu_hours=gpu_hours if gpu_hours or not tokens else None,
        seconds=manifest.seconds,
    )
