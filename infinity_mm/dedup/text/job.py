"""The whole job: steps that each leave files behind, so that a killed job goes on where it was."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infinity_mm.dedup.text.clusters import largest_clusters, refuse_clusters
from infinity_mm.dedup.text.decide import gather_unit, parts_of, settle_part
from infinity_mm.dedup.text.identity import check_ids
from infinity_mm.dedup.text.inputs import Columns
from infinity_mm.dedup.text.meet import group_run, sign_unit, unite
from infinity_mm.dedup.text.params import TextParams
from infinity_mm.dedup.text.plan import Plan, make_plan
from infinity_mm.dedup.text.spill import notes_of, numbers, reading
from infinity_mm.errors import UsageError
from infinity_mm.fs import ASIDE, Location
from infinity_mm.lock import exclusive
from infinity_mm.progress import Reporter

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What to deduplicate and where."""

    #: Parquet files: a path, a folder, a glob or a URI.
    pattern: str
    columns: Columns
    out: Location
    #: Local folder for intermediate files; below `out` where there is none.
    spill: Location | None = None
    #: Bytes for what grows with the input, about.
    memory: int = 1 << 30
    workers: int = 1
    resume: bool = True
    #: The job stops before it writes results where one text would stand for more removed ones than this.
    max_cluster: int = 1_000


def run(request: Request, params: TextParams, reporter: Reporter) -> dict[str, Any]:
    """Do the job, write ``removed.parquet`` and ``summary.json``, and return the summary.

    Raises `UsageError` where input or folders are not as asked for, `JobError` for what is found later: ids that are
    not unique, a cluster above its limit.
    """
    spill = request.spill or request.out / ".spill"
    if not spill.is_local:
        raise UsageError(f"intermediate files must be on a local disk, not in {spill}: give a folder by --spill")
    plan = make_plan(request.pattern, request.columns, params, spill, request.memory)
    with exclusive(spill):
        if not request.resume:
            plan.spill.discard()
        _sweep(spill, plan)
        summary = deduplicate(plan, request.out, request.workers, reporter, request.max_cluster)
    if request.spill is None:
        spill.delete_dir()
    return summary


def _sweep(spill: Location, plan: Plan) -> None:
    """Remove what runs on another input or with other parameters left behind, and half-written files."""
    for name in spill.folders():
        other = name.removeprefix(ASIDE)
        if len(other) == len(plan.fingerprint) and name != plan.fingerprint:
            (spill / name).delete_dir()
    folder = plan.spill.folder
    for name in folder.files(recursive=True):
        if posixpath.basename(name).startswith(ASIDE):
            (folder / name).delete()


def deduplicate(
    plan: Plan, out: Location, workers: int, reporter: Reporter, max_cluster: int = 1_000
) -> dict[str, Any]:
    """Take all steps that are not done yet, write the results to `out`, and remove what was spilled.

    The result does not depend on `workers`, nor on the order of rows or files, nor on how often the job was stopped.
    """
    units = plan.units
    steps = _Steps(plan, workers, reporter)
    steps.run("sign", "texts", units, sign_unit)
    check_ids(plan)
    steps.run("group", "groups", range(len(plan.runs())), group_run)
    steps.run("unite", "components", [None], lambda plan, _: unite(plan))
    steps.run("gather", "members", units, gather_unit)
    steps.run("settle", "removed", range(parts_of(plan)), settle_part)
    summary = _write(plan, out, max_cluster)
    plan.spill.discard()
    return summary


@dataclass(frozen=True)
class _Steps:
    plan: Plan
    workers: int
    reporter: Reporter

    def run(self, name: str, kind: str, items: Sequence[T], make: Callable[[Plan, T], None]) -> None:
        """Make the files of a kind that are not there yet, several at a time."""
        todo = [items[number] for number in self.plan.spill.missing(kind, len(items))]
        for _ in self.reporter.follow(name, self._each(make, todo), len(todo), len(items) - len(todo)):
            pass

    def _each(self, make: Callable[[Plan, T], None], todo: Sequence[T]) -> Iterator[None]:
        # Threads, not processes: the work is in compiled code that lets go of the interpreter.
        pool = ThreadPoolExecutor(max(1, min(self.workers, len(todo))))
        try:
            for done in as_completed([pool.submit(make, self.plan, item) for item in todo]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _write(plan: Plan, out: Location, max_cluster: int) -> dict[str, Any]:
    tables = [reading(plan.spill.at("removed", part)).read_all() for part in range(parts_of(plan))]
    removed = pa.concat_tables(tables).replace_schema_metadata(None)
    removed = removed.take(pc.sort_indices(removed, sort_keys=[("id", "ascending")]))
    refuse_clusters(plan, removed, max_cluster)
    removed = removed.select(["id", "winner", "similarity"])
    summary = _summary(plan, removed, max_cluster)
    with (out / "removed.parquet").write_whole() as stream:
        pq.write_table(removed, stream, compression="zstd")
    (out / "summary.json").write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return summary


def _summary(plan: Plan, removed: pa.Table, max_cluster: int) -> dict[str, Any]:
    components = plan.spill.at("components", 0)
    nulls = sum(notes_of(plan.spill.at("words", unit.number))["nulls"] for unit in plan.units)
    banding = plan.params.banding()
    equal = int((numbers(removed, "similarity") == 1.0).sum())
    return {
        "rows": plan.rows,
        "null_texts": nulls,
        "removed": len(removed),
        "removed_equal": equal,
        "kept": plan.rows - len(removed),
        "candidates": notes_of(components)["candidates"],
        "in_components": len(reading(components).read_all()),
        "largest_clusters": largest_clusters(removed),
        "max_cluster": max_cluster,
        "parameters": plan.params.model_dump(mode="json"),
        "bands": banding.bands,
        "rows_per_band": banding.rows,
        "columns": {"text": plan.columns.text, "id": plan.columns.id, "priority": plan.columns.priority},
        "files": len({piece.file for unit in plan.units for piece in unit.pieces}),
        "fingerprint": plan.fingerprint,
    }
