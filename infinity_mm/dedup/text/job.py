"""The whole job: steps that each leave files behind, so that a killed job goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infinity_mm.dedup.text.decide import gather_unit, parts_of, settle_part
from infinity_mm.dedup.text.identity import check_ids
from infinity_mm.dedup.text.meet import group_partition, sign_unit, unite
from infinity_mm.dedup.text.plan import Plan
from infinity_mm.dedup.text.spill import notes_of, reading
from infinity_mm.fs import Location
from infinity_mm.progress import Reporter

T = TypeVar("T")

#: Clusters that the summary names.
SHOWN = 5


@dataclass(frozen=True)
class Outcome:
    """What a job found; the content of ``summary.json``."""

    summary: dict[str, Any]


def deduplicate(plan: Plan, out: Location, workers: int, reporter: Reporter) -> Outcome:
    """Write ``removed.parquet`` and ``summary.json`` to `out`, and remove what was spilled.

    The result does not depend on `workers`, nor on the order of rows or files, nor on how often the job was stopped.
    """
    units = plan.units
    steps = _Steps(plan, workers, reporter)
    steps.run("sign", "texts", units, sign_unit)
    steps.run("ids", "unique", [None], lambda plan, _: check_ids(plan), leaves=False)
    steps.run("group", "groups", range(plan.partitions), group_partition)
    steps.run("unite", "components", [None], lambda plan, _: unite(plan))
    steps.run("gather", "sets", units, gather_unit)
    steps.run("settle", "removed", range(parts_of(plan)), settle_part)
    outcome = _write(plan, out)
    plan.spill.folder.delete_dir()
    return outcome


@dataclass(frozen=True)
class _Steps:
    plan: Plan
    workers: int
    reporter: Reporter

    def run(
        self, name: str, kind: str, items: Sequence[T], make: Callable[[Plan, T], None], leaves: bool = True
    ) -> None:
        """Make the files of a kind that are not there yet, several at a time."""
        missing = self.plan.spill.missing(kind, len(items)) if leaves else list(range(len(items)))
        todo = [items[number] for number in missing]
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


def _write(plan: Plan, out: Location) -> Outcome:
    tables = [reading(plan.spill.at("removed", part)).read_all() for part in range(parts_of(plan))]
    removed = pa.concat_tables(tables).replace_schema_metadata(None)
    removed = removed.take(pc.sort_indices(removed, sort_keys=[("id", "ascending")]))
    summary = _summary(plan, removed)
    with (out / "removed.parquet").write_whole() as stream:
        pq.write_table(removed, stream, compression="zstd")
    (out / "summary.json").write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))
    return Outcome(summary)


def _summary(plan: Plan, removed: pa.Table) -> dict[str, Any]:
    components = plan.spill.at("components", 0)
    nulls = sum(notes_of(plan.spill.at("texts", unit.number))["nulls"] for unit in plan.units)
    banding = plan.params.banding()
    clusters = removed.group_by("winner").aggregate([("id", "count")])
    clusters = clusters.sort_by([("id_count", "descending"), ("winner", "ascending")]).slice(0, SHOWN)
    equal = pc.sum(pc.equal(removed.column("similarity"), 1.0)).as_py() or 0
    return {
        "rows": plan.rows,
        "null_texts": nulls,
        "removed": len(removed),
        "removed_equal": equal,
        "kept": plan.rows - len(removed),
        "candidates": notes_of(components)["candidates"],
        "in_components": len(reading(components).read_all()),
        "largest_clusters": [{"winner": row["winner"], "removed": row["id_count"]} for row in clusters.to_pylist()],
        "parameters": plan.params.model_dump(mode="json"),
        "bands": banding.bands,
        "rows_per_band": banding.rows,
        "columns": {"text": plan.columns.text, "id": plan.columns.id, "priority": plan.columns.priority},
        "files": len({unit.file for unit in plan.units}),
        "fingerprint": plan.fingerprint,
    }
