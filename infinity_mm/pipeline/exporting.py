"""The export pass: one shard plan per export, one task per shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from infinity_mm.errors import StageError
from infinity_mm.export import parquet, webdataset
from infinity_mm.export.gather import gather
from infinity_mm.export.plan import DONORS, KEPT, OVERLAYS, Shard, plan_shards
from infinity_mm.export.sidecar import INDEX, Index, ShardStats, finish
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.manifest import ExportReport
from infinity_mm.pipeline.books import Fate
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.pipeline.spoken import REPAIRED, repaired
from infinity_mm.recipe import ExportUse, export_fingerprint
from infinity_mm.record import IMAGE_ONLY
from infinity_mm.store import Store, part_name

_VERSIONS = {"webdataset": webdataset.VERSION, "parquet": parquet.VERSION}


@dataclass(frozen=True)
class ShardTask:
    """One shard of one export."""

    work: str
    folder: str
    format: str
    index: int
    of: int
    #: The shard's rows (schema `SHARD_ROWS`), written by the driver.
    plan: str
    fingerprint: str
    shard: str
    sidecar: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The shard and its sidecar."""
        return (self.shard, self.sidecar)


def run_exports(
    context: Context,
    fates: Sequence[Fate],
    ledgers: Mapping[Part, str],
    overlays: Mapping[Part, Mapping[str, str]],
    only: Collection[str] | None = None,
) -> tuple[ExportReport, ...]:
    """Write the exports of the recipe from the kept rows; `overlays` are the attributes of each part.

    With `only`, those of these names; the others are reported as they stand on the disk, if they do.
    """
    uses = context.recipe.export
    chosen = [use for use in uses if only is None or use.name in only]
    made = {}
    if chosen:
        kept, donors = kept_rows(context.store, fates, ledgers, overlays)
        made = {use.name: _run_export(context, use, kept, donors) for use in chosen}
    return tuple(report for use in uses if (report := made.get(use.name) or _standing(context, use)) is not None)


def _standing(context: Context, use: ExportUse) -> ExportReport | None:
    """Report an export of an earlier run; None where there is no finished one."""
    location = context.store.at(f"exports/{use.name}/{INDEX}")
    if not location.exists():
        return None
    try:
        index = Index.model_validate_json(location.read_bytes())
    except ValidationError:
        return None  # damaged, or of another version: `validate` says so
    return _report(context, use, index)


def _report(context: Context, use: ExportUse, index: Index) -> ExportReport:
    return ExportReport(
        name=use.name,
        format=index.format,
        shards=len(index.shards),
        samples=index.samples,
        bytes=index.bytes,
        current=index.recipe_fingerprint == export_fingerprint(context.recipe, use),
    )


def kept_rows(
    store: Store, fates: Sequence[Fate], ledgers: Mapping[Part, str], overlays: Mapping[Part, Mapping[str, str]]
) -> tuple[pa.Table, pa.Table]:
    """Return the kept rows (`KEPT` and `OVERLAYS`), and where the records of all ingested parts lie (`DONORS`)."""
    kept: list[pa.Table] = [pa.schema([*KEPT, *OVERLAYS]).empty_table()]
    donors: list[pa.Table] = [DONORS.empty_table()]
    for fate in sorted(fates, key=lambda fate: fate.part):
        places = _places(store, fate)
        ledger = store.read(ledgers[fate.part], ["id", "outcome"])
        alive = ledger.filter(pc.equal(ledger.column("outcome"), "kept")).column("id").combine_chunks()
        rows = _kept_of(store, fate, places, alive, overlays.get(fate.part, {}))
        kept.append(rows)
        if fate.part.source != SYNTHETIC:
            donors.append(places)
    return pa.concat_tables(kept), pa.concat_tables(donors)


def _places(store: Store, fate: Fate) -> pa.Table:
    """Return where each record of a part lies, and the bytes of its pictures (`DONORS`)."""
    measured = store.read(fate.part.ingest, ["id", "file_bytes"])
    sizes = _sum_lists(measured.column("file_bytes"), lambda values: values)
    rows = measured.num_rows
    part = pa.array([fate.part.records]).take(pa.array(np.zeros(rows, dtype=np.int64)))
    columns = [measured.column("id"), part, pa.array(np.arange(rows)), pa.array(sizes)]
    return pa.table(columns, names=DONORS.names).cast(DONORS)


def _kept_of(store: Store, fate: Fate, places: pa.Table, alive: pa.Array, texts: Mapping[str, str]) -> pa.Table:
    """Return the kept rows of one part (`KEPT` and `OVERLAYS`)."""
    records = store.read(fate.part.records, ["id", "category", "parent", "messages"])
    chosen = pc.is_in(records.column("id"), value_set=alive)
    if pc.any(pc.and_(chosen, pc.equal(records.column("category"), IMAGE_ONLY))).as_py():
        raise StageError(
            f"{fate.part.records} has pictures without texts among the kept rows, and they are never exported; delete "
            f"attributes/mixture/{fate.part.source} and run again"
        )
    if not records.column("id").equals(places.column("id")):
        raise StageError(
            f"{fate.part.ingest} is not of the rows of {fate.part.records}; delete both files and run again"
        )
    spoken = [None if value == "und" else value for value in _column(store, texts.get("language"), "language", records)]
    mended: list[Any] = _column(store, texts.get("text"), REPAIRED, records)
    for number, contents in enumerate(mended):
        if contents is not None:
            mended[number] = repaired(records.column("messages")[number].as_py(), contents)
    written = _written(records.column("messages"))
    merged: list[str | None] = [None] * records.num_rows
    if fate.merge is not None:
        told = store.read(fate.merge, ["messages"]).column("messages")
        written = np.where(told.is_valid().to_numpy(), _written(told), written)
        merged = [fate.merge if valid else None for valid in told.is_valid().to_pylist()]
    rows = pa.table(
        {
            "id": records.column("id"),
            "source": [fate.part.source] * records.num_rows,
            "part": places.column("part"),
            "row": places.column("row"),
            "bytes": pc.add(places.column("bytes"), pa.array(written)),
            "parent": records.column("parent"),
            "messages": pa.array(mended, OVERLAYS.field("messages").type),
            "language": pa.array(spoken, pa.string()),
            "merged": pa.array(merged, pa.string()),
        }
    )
    return rows.filter(chosen).cast(pa.schema([*KEPT, *OVERLAYS]))


def _written(messages: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the bytes of the texts of each record: int64 of shape (records,)."""
    return _sum_lists(messages, lambda turns: pc.binary_length(pc.struct_field(turns, "content")))


def _sum_lists(lists: pa.ChunkedArray, measure: Callable[[pa.Array], pa.Array]) -> npt.NDArray[np.int64]:
    """Return, per list, the sum of what `measure` makes of its elements: int64 of shape (lists,)."""
    whole = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], lists.type)
    weights = measure(whole.flatten()).to_numpy(zero_copy_only=False)
    parents = pc.list_parent_indices(whole).to_numpy(zero_copy_only=False)
    # Sums of bytes stay far below 2^53, where float64 is exact.
    return np.bincount(parents, weights=weights, minlength=len(whole)).astype(np.int64)


def _column(store: Store, path: str | None, name: str, records: pa.Table) -> list[Any]:
    """Return an attribute of each record; None where it was not measured."""
    if path is None:
        return [None] * records.num_rows
    values: list[Any] = store.read(path, [name]).column(name).to_pylist()
    return values


def _run_export(context: Context, use: ExportUse, kept: pa.Table, donors: pa.Table) -> ExportReport:
    store, folder = context.store, f"exports/{use.name}"
    plan = plan_shards(kept, seed=context.recipe.seed, limits=use.limits, donors=donors)
    tasks = []
    for index in range(len(plan)):
        shard = plan.shard(index)
        name = fingerprint([use.format, _VERSIONS[use.format]], shard.fingerprint)
        path = f"state/shards/{use.name}/{part_name(index, name)}"
        if store.missing([path]):
            store.write(path, shard.rows)
        if use.format == "webdataset":
            files = (webdataset.shard_name(index), webdataset.sidecar_name(index))
        else:
            files = (parquet.shard_name(index, len(plan)), parquet.sidecar_name(index, len(plan)))
        paths = (f"{folder}/{files[0]}", f"{folder}/{files[1]}")
        tasks.append(ShardTask(store.work.uri, folder, use.format, index, len(plan), path, name, *paths))
    _drop_stale(store, tasks)
    folders = (folder, f"{folder}/data", f"{folder}/index")  # of either format: neither leaves shards to the other
    run_pass(context, f"export-{use.name}", write_shard, tasks, owns=lambda name: name != INDEX, folders=folders)
    return _finish(context, use, kept, tasks)


def _drop_stale(store: Store, tasks: Sequence[ShardTask]) -> None:
    """Delete sidecars of other rows: shard names carry no fingerprint, so their sidecars must tell."""
    for task in tasks:
        if not store.missing([task.sidecar]):
            stats = orjson.loads(store.at(task.sidecar).read_bytes())
            if stats.get("fingerprint") != task.fingerprint:
                store.at(task.sidecar).delete()
    for folder in {task.folder for task in tasks}:
        store.at(f"{folder}/{INDEX}").delete()


def write_shard(task: ShardTask) -> None:
    """Gather one shard's rows and write it."""
    store = Store(Location(task.work))
    rows = gather(store.work, Shard(task.index, task.of, store.read(task.plan)))
    folder = store.at(task.folder)
    if task.format == "webdataset":
        webdataset.write_shard(rows, folder, task.index, task.fingerprint)
    else:
        parquet.write_shard(rows, folder, task.index, task.of, task.fingerprint)


def _finish(context: Context, use: ExportUse, kept: pa.Table, tasks: Sequence[ShardTask]) -> ExportReport:
    """Write index, card and the table of places, from the sidecars on disk."""
    store = context.store
    stats = [ShardStats.model_validate_json(store.at(task.sidecar).read_bytes()) for task in tasks]
    if use.format == "parquet":
        parts = kept.column("part").unique().to_pylist()
        licenses = {text for part in parts for text in store.read(part, ["license"]).column("license").to_pylist()}
        sources: Counter[str] = Counter()
        for one in stats:
            sources.update(one.sources)
        text = parquet.card(context.recipe.name, sources.total(), sources, sorted(licenses))
        store.at(f"exports/{use.name}/README.md").write_bytes(text.encode())
    index = finish(
        store.at(f"exports/{use.name}"),
        use.format,
        stats,
        recipe_fingerprint=export_fingerprint(context.recipe, use),
        seed=context.recipe.seed,
        limits=use.limits,
    )
    _note_places(store, use, tasks)
    store.sweep(f"state/shards/{use.name}", [task.plan.rpartition("/")[2] for task in tasks])
    return _report(context, use, index)


def _note_places(store: Store, use: ExportUse, tasks: Sequence[ShardTask]) -> None:
    """Write the table of places, for `infinity-mm explain`: one row group a shard, from the plans."""
    schema = pa.schema([("id", pa.string()), ("shard", pa.string()), ("position", pa.int64())])
    name = part_name(0, fingerprint([task.fingerprint for task in tasks]))
    path = f"state/exports/{use.name}/{name}"
    if store.missing([path]):
        with (
            store.at(path).write_whole() as stream,
            pq.ParquetWriter(stream, schema, compression="zstd") as writer,
        ):
            for task in tasks:
                ids = store.read(task.plan, ["id"]).column("id")
                shard = [task.shard.removeprefix(f"{task.folder}/")] * len(ids)
                writer.write_table(pa.table([ids, shard, np.arange(len(ids))], schema=schema))
    store.sweep(f"state/exports/{use.name}", [name])
