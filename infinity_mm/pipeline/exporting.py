"""The export pass: one shard plan per export, one task per shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from infinity_mm.export import parquet, webdataset
from infinity_mm.export.gather import gather
from infinity_mm.export.plan import DONORS, KEPT, OVERLAYS, Shard, plan_shards
from infinity_mm.export.sidecar import INDEX, ShardStats, finish
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.manifest import ExportReport
from infinity_mm.pipeline.books import Fate
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.recipe import ExportUse, recipe_fingerprint
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
) -> tuple[ExportReport, ...]:
    """Write every export of the recipe from the kept rows; `overlays` are the attributes of each part."""
    if not context.recipe.export:
        return ()
    kept, donors = kept_rows(context.store, fates, ledgers, overlays)
    return tuple(_run_export(context, use, kept, donors) for use in context.recipe.export)


def kept_rows(
    store: Store, fates: Sequence[Fate], ledgers: Mapping[Part, str], overlays: Mapping[Part, Mapping[str, str]]
) -> tuple[pa.Table, pa.Table]:
    """Return the kept rows (`KEPT` and `OVERLAYS`), and where the records of all ingested parts lie (`DONORS`)."""
    kept: list[pa.Table] = []
    donors: list[pa.Table] = []
    schema = pa.schema([*KEPT, *OVERLAYS])
    for fate in sorted(fates, key=lambda fate: fate.part):
        alive = {row["id"] for row in store.read(ledgers[fate.part]).to_pylist() if row["outcome"] == "kept"}
        records = store.read(fate.part.records, ["id", "parent", "messages"]).to_pylist()
        sizes = store.read(fate.part.ingest, ["file_bytes"]).column("file_bytes").to_pylist()
        texts = overlays.get(fate.part, {})
        mended = _column(store, texts.get("text"), "messages_repaired", len(records))
        spoken = _column(store, texts.get("language"), "language", len(records))
        rows = []
        for number, record in enumerate(records):
            if record["id"] not in alive:
                continue
            row = {"id": record["id"], "source": fate.part.source, "part": fate.part.records, "row": number}
            row |= {"bytes": sum(sizes[number]), "parent": record["parent"], "language": spoken[number]}
            if mended[number] is not None:
                turns = zip(record["messages"], mended[number], strict=True)
                row["messages"] = [{"role": turn["role"], "content": text} for turn, text in turns]
            rows.append(row)
        kept.append(pa.Table.from_pylist(rows, schema=schema))
        if fate.part.source != SYNTHETIC:
            places = [
                {"id": record["id"], "part": fate.part.records, "row": number, "bytes": sum(sizes[number])}
                for number, record in enumerate(records)
            ]
            donors.append(pa.Table.from_pylist(places, schema=DONORS))
    return pa.concat_tables([schema.empty_table(), *kept]), pa.concat_tables([DONORS.empty_table(), *donors])


def _column(store: Store, path: str | None, name: str, rows: int) -> list[Any]:
    if path is None:
        return [None] * rows
    values: list[Any] = store.read(path, [name]).column(name).to_pylist()
    return [None if value == "und" else value for value in values]


def _run_export(context: Context, use: ExportUse, kept: pa.Table, donors: pa.Table) -> ExportReport:
    store, folder = context.store, f"exports/{use.name}"
    plan = plan_shards(kept, seed=context.recipe.seed, samples_per_shard=use.samples_per_shard, donors=donors)
    tasks = []
    places: list[dict[str, object]] = []
    for index in range(len(plan)):
        shard = plan.shard(index)
        name = fingerprint([use.format, _VERSIONS[use.format]], shard.fingerprint)
        path = f"state/shards/{use.name}/{part_name(index, name)}"
        if store.missing([path]):
            store.write(path, shard.rows)
        if use.format == "webdataset":
            files = (webdataset.shard_name(index), webdataset.shard_name(index).replace(".tar", ".json"))
        else:
            files = (parquet.shard_name(index, len(plan)), parquet.sidecar_name(index, len(plan)))
        paths = (f"{folder}/{files[0]}", f"{folder}/{files[1]}")
        tasks.append(ShardTask(store.work.uri, folder, use.format, index, len(plan), path, name, *paths))
        ids = shard.rows.column("id").to_pylist()
        places += [{"id": key, "shard": files[0], "position": number} for number, key in enumerate(ids)]
    _drop_stale(store, tasks)
    folders = (folder, f"{folder}/data", f"{folder}/index")  # of either format: neither leaves shards to the other
    run_pass(context, f"export-{use.name}", write_shard, tasks, owns=lambda name: name != INDEX, folders=folders)
    return _finish(context, use, kept, tasks, places)


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


def _finish(
    context: Context, use: ExportUse, kept: pa.Table, tasks: Sequence[ShardTask], places: list[dict[str, object]]
) -> ExportReport:
    """Write index, card and the table of places, from the sidecars on disk."""
    store = context.store
    stats = [ShardStats.model_validate_json(store.at(task.sidecar).read_bytes()) for task in tasks]
    index = finish(store.at(f"exports/{use.name}"), use.format, stats, recipe_fingerprint(context.recipe))
    if use.format == "parquet":
        parts = kept.column("part").unique().to_pylist()
        licenses = {text for part in parts for text in store.read(part, ["license"]).column("license").to_pylist()}
        text = parquet.card(context.recipe.name, index.samples, index.sources, sorted(licenses))
        store.at(f"exports/{use.name}/README.md").write_bytes(text.encode())
    schema = pa.schema([("id", pa.string()), ("shard", pa.string()), ("position", pa.int64())])
    name = part_name(0, fingerprint([task.fingerprint for task in tasks]))
    store.write(f"state/exports/{use.name}/{name}", pa.Table.from_pylist(places, schema=schema))
    store.sweep(f"state/exports/{use.name}", [name])
    store.sweep(f"state/shards/{use.name}", [task.plan.rpartition("/")[2] for task in tasks])
    return ExportReport(name=use.name, format=use.format, shards=len(tasks), samples=index.samples, bytes=index.bytes)
