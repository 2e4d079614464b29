"""The whole job: hash the pictures unit by unit, find the pairs, decide, write. Hashed units survive a kill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.dedup.image.facts import PictureFacts, picture_facts
from infinity_mm.dedup.image.inputs import Columns, Unit, find_units, read_unit
from infinity_mm.dedup.image.params import ImageParams
from infinity_mm.dedup.image.survivors import Field, survivors
from infinity_mm.dedup.pictures import pictures_of, same_pictures
from infinity_mm.dedup.ragged import Ints
from infinity_mm.dedup.settle import Agreement
from infinity_mm.errors import StageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.images import ImageFault, ImageLimits
from infinity_mm.progress import Reporter
from infinity_mm.store import Store, part_name
from infinity_mm.versions import computing

U = TypeVar("U")

VERSION = 1
#: Category under which rendered pictures are compared: only equal pixels count there.
RENDERED = "doc_chart_screen"
#: Clusters that the summary names, and members of each.
SHOWN = 5

HASHES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # Null for a usable picture; else the reason, and all that follows means nothing.
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("file_bytes", pa.int64()),
        pa.field("content", pa.string()),
        pa.field("phash", pa.uint64()),
        pa.field("luma_std", pa.float64()),
        pa.field("thumb", pa.binary()),
        pa.field("rendered", pa.bool_()),
    ]
)
REMOVED = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # The kept picture that it is the same as.
        pa.field("winner", pa.string(), nullable=False),
        # Bits of 64; 0 also for equal pixels.
        pa.field("distance", pa.int32(), nullable=False),
    ]
)
UNREADABLE = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("id", "reason", "detail")])


@dataclass(frozen=True)
class Job:
    """What to deduplicate, and how."""

    input: str
    columns: Columns
    params: ImageParams
    out: Location
    workers: int


def deduplicate_images(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Write ``removed.parquet``, ``unreadable.parquet`` and ``summary.json``; returns the summary.

    The result does not depend on the number of workers, nor on how often the job was stopped. Raises `UsageError`
    for input without pictures, `StageError` for an id that occurs twice and for a cluster above its limit.
    """
    units, skipped = find_units(job.input, job.columns)
    store = Store(job.out)
    paths = [_part(job, unit) for unit in units]
    each_unit(job.workers, store, units, paths, lambda unit, path: _hash_unit(job, store, unit, path), reporter)
    store.sweep("state/hashes", [path.rpartition("/")[2] for path in paths])
    table = pa.concat_tables([HASHES.empty_table(), *(store.read(path) for path in paths)])
    refuse_repeats(table.column("id"))
    faults = table.filter(pc.is_valid(table.column("reason")))
    usable = table.filter(pc.is_null(table.column("reason")))
    reporter.line(f"compare      {len(usable):,} pictures")
    removed = find_same(usable, job.params)
    refuse_clusters(removed, job.params.max_cluster)
    summary = _summary(job, table, faults, removed, skipped)
    store.write("removed.parquet", removed)
    store.write("unreadable.parquet", faults.select(UNREADABLE.names).cast(UNREADABLE))
    store.at("summary.json").write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))
    return summary


def _part(job: Job, unit: Unit) -> str:
    """Name a unit's hashes by what they are made from."""
    if unit.table is None:
        made_from: list[Any] = [[identity, size, time] for _, identity, size, time in unit.files]
    else:
        place = unit.table
        made_from = [place.uri, place.size(), place.modified_ns(), list(unit.row_groups), job.columns.id]
        made_from.append(job.columns.image)
    matters = job.params.model_dump(mode="json", include={"decode", "max_flat", "min_luma_std"})
    name = fingerprint(["images", VERSION], matters, made_from, ImageLimits(), computing("pillow"))
    return f"state/hashes/{part_name(unit.number, name)}"


def each_unit(
    workers: int,
    store: Store,
    units: Sequence[U],
    paths: Sequence[str],
    make: Callable[[U, str], None],
    reporter: Reporter,
    stage: str = "hash",
) -> None:
    """Make the parts, one of each unit, that are not there yet, several at a time."""
    missing = set(store.missing(paths))
    todo = [(unit, path) for unit, path in zip(units, paths, strict=True) if path in missing]
    # Threads, not processes: Pillow lets go of the interpreter while it decodes and resizes.
    pool = ThreadPoolExecutor(max(1, min(workers, len(todo))))
    try:
        work = as_completed([pool.submit(make, unit, path) for unit, path in todo])
        for done in reporter.follow(stage, work, len(todo), len(units) - len(todo)):
            done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _hash_unit(job: Job, store: Store, unit: Unit, path: str) -> None:
    rows = [_row(identity, data, job.params) for identity, data in read_unit(unit, job.columns)]
    store.write(path, pa.Table.from_pylist(rows, schema=HASHES))


def _row(identity: str, data: bytes | str, params: ImageParams) -> dict[str, Any]:
    if isinstance(data, str):
        return {"id": identity, "reason": "missing_image", "detail": data}
    facts = picture_facts(data, params, ImageLimits())
    if isinstance(facts, ImageFault):
        return {"id": identity, "reason": facts.reason, "detail": facts.detail}
    return {"id": identity} | {name: getattr(facts, name) for name in PictureFacts.__dataclass_fields__}


def find_same(table: pa.Table, params: ImageParams) -> pa.Table:
    """Return `REMOVED`, by id, for `HASHES` of usable pictures."""
    order = _keep_order(table, params)
    table = table.take(pa.array(order))
    wrapped = {name: _listed(table.column(name)) for name in ("width", "height", "luma_std", "phash", "thumb")}
    wrapped["pixel_sha256"] = _listed(table.column("content"))
    wrapped["category"] = pc.if_else(table.column("rendered"), RENDERED, "general")
    dedup = params.as_dedup()
    pictures = pictures_of(pa.table(wrapped), dedup)
    able = (pictures.telling() >= 0) & ~pictures.exact_only
    field = Field(pictures.phash, able, pictures.all_pixels, params.radius)

    def compare(earlier: Ints, later: Ints) -> Agreement:
        same, hamming = same_pictures(pictures, earlier, later, dedup)
        return Agreement(same, np.full(len(same), np.nan), hamming)

    losses = survivors(field, compare)
    ids = table.column("id")
    found = pa.table(
        [ids.take(pa.array(losses.loser)), ids.take(pa.array(losses.winner)), pa.array(losses.how.hamming)],
        schema=REMOVED,
    )
    return found.sort_by("id")


def _keep_order(table: pa.Table, params: ImageParams) -> Ints:
    """Return the rows in the order in which they are kept."""
    keys: list[tuple[str, str]] = [("id", "ascending")]
    if params.keep == "largest":
        table = table.append_column(
            "pixels", pc.multiply(table.column("width").cast(pa.int64()), table.column("height"))
        )
        keys = [("pixels", "descending"), ("file_bytes", "descending"), *keys]
    order: Ints = pc.sort_indices(table, sort_keys=keys).to_numpy().astype(np.int64)
    return order


def _listed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return each value as a list of one, as rows of several pictures have them."""
    return pa.chunked_array(
        [
            pa.ListArray.from_arrays(pa.array(np.arange(len(chunk) + 1, dtype=np.int32)), chunk)
            for chunk in column.chunks
        ],
        pa.list_(column.type),
    )


def refuse_repeats(ids: pa.ChunkedArray) -> None:
    """Raise `StageError` naming ids that occur more than once."""
    counts = ids.value_counts()
    twice = [row["values"] for row in counts.filter(pc.greater(counts.field("counts"), 1)).slice(0, 3).to_pylist()]
    if twice:
        raise StageError(f"ids must be unique, but these occur more than once: {', '.join(map(repr, twice))}")


def clusters_of(removed: pa.Table) -> list[dict[str, Any]]:
    """Return the winners that most rows lost to, with some of them; `removed` has the columns id and winner."""
    counts = removed.group_by("winner").aggregate([("id", "count")])
    counts = counts.sort_by([("id_count", "descending"), ("winner", "ascending")]).slice(0, SHOWN)
    shown = []
    for row in counts.to_pylist():
        members = removed.filter(pc.equal(removed.column("winner"), row["winner"])).slice(0, SHOWN)
        shown.append({"winner": row["winner"], "removed": row["id_count"], "members": members.column("id").to_pylist()})
    return shown


def refuse_clusters(removed: pa.Table, limit: int) -> None:
    """Raise `StageError` where one row stands for more than `limit` others, naming five of them."""
    for cluster in clusters_of(removed)[:1]:
        if cluster["removed"] > limit:
            raise StageError(
                f"{cluster['winner']!r} would stand for {cluster['removed']} others, more than --max-cluster "
                f"{limit}; five of them: {', '.join(cluster['members'])}. Lower --radius or raise it"
            )


def _summary(job: Job, table: pa.Table, faults: pa.Table, removed: pa.Table, skipped: int) -> dict[str, Any]:
    return {
        "pictures": len(table),
        "kept": len(table) - len(faults) - len(removed),
        "removed": len(removed),
        "removed_at_distance": {
            str(bits): number for bits, number in sorted(Counter(removed.column("distance").to_pylist()).items())
        },
        "unreadable": dict(sorted(Counter(faults.column("reason").to_pylist()).items())),
        "blank": pc.sum(pc.less(table.column("luma_std"), job.params.min_luma_std)).as_py() or 0,
        "rendered": pc.sum(table.column("rendered")).as_py() or 0,
        "files_without_a_picture_suffix": skipped,
        "largest_clusters": clusters_of(removed),
        "parameters": job.params.model_dump(mode="json"),
        "input": job.input,
    }
