"""The deduplication stage of the pipeline, under Ray, against its kernels in one process.

``python -m benchmarks.dedup_pipeline [--records N] [--workers W] [--folder F]``. A seeded script writes records and
what ingestion would have measured of them, in parts of 2,000: documents of `benchmarks.corpus`, four in five as plain
conversations, one in five as the answer to a question about a picture. Pictures are hashes: one in three a copy of an
earlier one, with some bits of its hash changed.

The stage is the signature pass and all passes of deduplication, in a process of its own that starts Ray and ends
it; it is charged for all processes of the tree. The kernels alone are `signature.measure` for each part and one call of
`find_duplicates` for everything, in one process that keeps all of it in memory. Both read the same files. Then the
stage again, in a folder where it was run without a source of one row in a hundred.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import Corpus, mixed, unit
from benchmarks.processes import Tree, run_tree
from infinity_mm.dedup import resolve, signature
from infinity_mm.dedup.params import DedupParams
from infinity_mm.engine import Engine
from infinity_mm.filters.screen import SCREEN
from infinity_mm.fs import Location
from infinity_mm.pipeline.deduplication import run_dedup
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.passes import Context
from infinity_mm.pipeline.screening import run_measure
from infinity_mm.progress import Reporter
from infinity_mm.recipe import Recipe
from infinity_mm.schema import INGEST_ATTRIBUTES, MESSAGE
from infinity_mm.store import Store

PART_ROWS = 2_000
PICTURED, COPIED = 0.2, 0.33
BAR = 1.3
#: The rails look at sources, of which this is one of copies.
PARAMS = DedupParams(max_drop=1.0)
RECORDS = pa.schema([("id", pa.string()), ("category", pa.string()), ("messages", pa.list_(MESSAGE))])


def parts_of(records: int) -> list[tuple[Part, int]]:
    """Return the parts and the first row of each; the last hundredth of the rows is a source of its own."""
    found = []
    for source, begin, end in (("first", 0, records * 99 // 100), ("second", records * 99 // 100, records)):
        for number, first in enumerate(range(begin, end, PART_ROWS)):
            found.append((Part(source, number, f"{first:016x}"), first))
    return found


def write_parts(store: Store, records: int) -> None:
    """Write records, ingest attributes and verdicts of filters that dropped nothing."""
    corpus = Corpus(records)
    vocabulary = corpus.vocabulary()
    ends = [first for _, first in parts_of(records)[1:]] + [records]
    for (part, first), end in zip(parts_of(records), ends, strict=True):
        rows = np.arange(first, end)
        pictured = unit(mixed(corpus.seed, 20, rows)) < PICTURED
        ids = corpus.ids(rows)
        said = corpus._table(rows, vocabulary).column("text").to_pylist()
        asked = ["What does the picture show?" if shown else "Tell me more." for shown in pictured.tolist()]
        messages = [
            [{"role": "user", "content": one}, {"role": "assistant", "content": other}]
            for one, other in zip(asked, said, strict=True)
        ]
        categories = pa.array(["caption" if shown else "text_only" for shown in pictured.tolist()])
        store.write(part.records, pa.table([ids, categories, messages], schema=RECORDS))
        store.write(part.ingest, _ingested(corpus.seed, rows, pictured, ids, categories))
        nothing = pa.nulls(len(rows), pa.string())
        store.write(_screen(part), pa.table(dict.fromkeys(SCREEN.names, nothing)))


def _screen(part: Part) -> str:
    return part.attributes("screen", part.fingerprint)


def _ingested(seed: int, rows: np.ndarray, pictured: np.ndarray, ids: list[str], category: pa.Array) -> pa.Table:
    """Return what ingestion measures, of pictures that are copies, near copies and originals."""
    own = rows[pictured]
    copy = unit(mixed(seed, 21, own)) < COPIED
    base = np.where(copy, (mixed(seed, 22, own) % np.uint64(max(1, rows[0] + 1))).astype(np.int64), own)
    phash = mixed(seed, 23, base)
    for bit in range(3):
        changed = copy & (unit(mixed(seed, 24 + bit, own)) < 0.5)
        phash = phash ^ np.where(changed, np.uint64(1) << (mixed(seed, 30 + bit, own) % np.uint64(64)), np.uint64(0))
    thumbs = np.stack([mixed(seed, 40, base, place) for place in range(32)], axis=1).astype("<u8").view(np.uint8)
    lists = pa.array(np.concatenate([np.zeros(1, np.int32), np.cumsum(pictured)]).astype(np.int32))

    def column(values: pa.Array) -> pa.Array:
        return pa.ListArray.from_arrays(lists, values)

    some = len(own)
    empty = pa.array([[]] * len(rows))
    values = {
        "id": pa.array(ids),
        "category": category,
        "width": column(pa.array(np.full(some, 640, np.int32))),
        "height": column(pa.array(np.full(some, 480, np.int32))),
        "mode": column(pa.array(["RGB"] * some, pa.string())),
        "frames": column(pa.array(np.ones(some, np.int32))),
        "file_bytes": column(pa.array(np.full(some, 90_000))),
        "pixel_sha256": column(pa.array([f"{value:064x}" for value in mixed(seed, 50, phash).tolist()], pa.string())),
        "phash": column(pa.array(phash)),
        "luma_std": column(pa.array(np.full(some, 50.0, np.float32))),
        "flat": column(pa.array(np.full(some, 0.1, np.float32))),
        "thumb": column(pa.array([row.tobytes() for row in thumbs], pa.binary())),
    }
    columns = [values.get(field.name, empty).cast(field.type) for field in INGEST_ATTRIBUTES]
    return pa.Table.from_arrays(columns, schema=INGEST_ATTRIBUTES)


def run_stage(folder: Path, records: int, sources: int, workers: int | None) -> None:
    """Run the signature pass and deduplication on the first `sources` sources, and print their seconds."""
    names = ["first", "second"][:sources]
    parts = [part for part, _ in parts_of(records) if part.source in names]
    recipe = Recipe(
        name="bench", sources=[{"name": name, "root": "/nowhere"} for name in names], dedup=PARAMS,
        partition_rows=PART_ROWS,
    )  # fmt: skip
    with Engine(None, workers) as engine:
        context = Context(Store(Location.of(folder)), engine, Reporter(quiet=True), recipe)
        measured = run_measure(context, parts)
        run_dedup(context, measured, {part: _screen(part) for part in parts}, {})
    for stage in context.stages:
        print(f"{stage.name:<20} {stage.made:>5} made {stage.cached:>5} cached {stage.seconds:>8.2f} s")


def run_kernels(folder: Path, records: int) -> None:
    """Do the same in this process and in memory; print how many rows were removed."""
    store = Store(Location.of(folder))
    tables = []
    for part, _ in parts_of(records):
        signed = signature.measure(store.read(part.records, list(signature.READS)), PARAMS.signature)
        measured = store.read(part.ingest, [name for name in resolve.READS if name not in signed.column_names[1:]])
        columns = dict(zip(measured.column_names, measured.columns, strict=True))
        columns |= dict(zip(signed.column_names, signed.columns, strict=True))
        tables.append(pa.table(columns).select(resolve.READS))
    table = pa.concat_tables(tables)
    table = table.append_column("source", pa.array(["bench"] * len(table)))
    table = table.append_column("priority", pa.array(np.full(len(table), 100, np.int32)))
    print(f"{len(resolve.find_duplicates(table, PARAMS))} removed")


def compare(records: int, workers: int | None, folder: Path) -> None:
    """Run all and print a table."""
    store = Store(Location.of(folder))
    if not store.at("records").exists():
        write_parts(store, records)
    for made in ("state", "attributes/signature", "attributes/dedup"):
        store.at(made).delete_dir()

    def take(what: str, sources: int = 2) -> Tree:
        command = [sys.executable, "-m", "benchmarks.dedup_pipeline", what, "--folder", str(folder)]
        command += ["--records", str(records), "--sources", str(sources)]
        return run_tree([*command, "--workers", str(workers)] if workers else command)

    stage = take("stage")
    alone = take("kernels")
    removed = sum(
        pc.count(store.read(f"attributes/dedup/{source}/{name}", ["reason"]).column("reason")).as_py()
        for source in ("first", "second")
        for name in store.at(f"attributes/dedup/{source}").files()
    )
    if f"{removed} removed" not in alone.said:
        raise SystemExit(f"{removed} rows were removed under Ray, but alone {alone.said}")
    take("stage", 1)
    for made in ("attributes/signature", "attributes/dedup", "state/dedup-keys", "state/dedup-cells",
                 "state/dedup-sketches", "state/dedup-notes"):  # fmt: skip
        store.at(f"{made}/second").delete_dir()
    added = take("stage")
    table = Table(title=f"deduplication of {records:,} records, {removed:,} removed")
    for name in ("what", "CPU s", "s", "largest process, GiB", "to the kernels alone"):
        table.add_column(name, justify="left" if name == "what" else "right")
    lines = {"stage under Ray": stage, "kernels alone": alone, "stage, 1 % of the rows added": added}
    for what, tree in lines.items():
        ratio = tree.cpu / alone.cpu
        table.add_row(what, f"{tree.cpu:.1f}", f"{tree.wall:.1f}", f"{tree.peak / 2**30:.2f}", f"{ratio:.2f}")
    Console().print(table)
    print(f"bar: {BAR} x the kernels alone, at 1,000,000 records and above\n{stage.said}\nadded:\n{added.said}")


def main() -> None:
    """Run all, or one contender."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dedup_pipeline", description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=("all", "stage", "kernels"))
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--sources", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keep the files here; by default a temporary folder")
    given = parser.parse_args()
    if given.what == "stage":
        run_stage(given.folder, given.records, given.sources, given.workers)
    elif given.what == "kernels":
        run_kernels(given.folder, given.records)
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(given.records, given.workers, given.folder or Path(folder))


if __name__ == "__main__":
    main()
