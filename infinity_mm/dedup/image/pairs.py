"""Rows of pictures and text in Parquet files: the pipeline's pair mode on its own.

A row is removed only if all its pictures and its text match another row's, as `infinity_mm.dedup.resolve` says: the
same picture with another question stays, and so does the same question about another picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infinity_mm.dedup import signature
from infinity_mm.dedup.image.facts import PictureFacts, picture_facts
from infinity_mm.dedup.image.inputs import Unit, find_tables
from infinity_mm.dedup.image.job import RENDERED, UNREADABLE, clusters_of, each_unit, refuse_clusters, refuse_repeats
from infinity_mm.dedup.image.params import ImageParams
from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.resolve import find_duplicates
from infinity_mm.errors import StoreError, UsageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.images import ImageFault, ImageLimits
from infinity_mm.progress import Reporter
from infinity_mm.store import Store, part_name
from infinity_mm.versions import computing

VERSION = 1
_BATCH = 64

MEASURED = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # Null for a usable row; else why one of its pictures is none.
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("category", pa.string()),
        pa.field("width", pa.list_(pa.int32())),
        pa.field("height", pa.list_(pa.int32())),
        pa.field("pixel_sha256", pa.list_(pa.string())),
        pa.field("phash", pa.list_(pa.uint64())),
        pa.field("luma_std", pa.list_(pa.float64())),
        pa.field("thumb", pa.list_(pa.binary())),
        *(field for field in signature.ATTRIBUTES if field.name != "id"),
    ]
)
REMOVED = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("winner", pa.string(), nullable=False),
        # Of the texts, 0 to 1; null where only exact texts were compared, or none.
        pa.field("similarity", pa.float32()),
        # Largest of the pictures, bits of 64; null without pictures.
        pa.field("distance", pa.int32()),
        pa.field("reason", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class PairColumns:
    """Columns of the input: of text either `messages`, or `answer` with or without `question`."""

    id: str = "id"
    #: Bytes, ``{bytes, path}``, a list of them, or null for a row without pictures.
    image: str = "image"
    #: list<struct<role, content>>, as in exports.
    messages: str | None = None
    #: Null for captions, which have no question.
    question: str | None = None
    answer: str | None = None

    def all(self) -> list[str]:
        """Return the names that are read."""
        named = (self.id, self.image, self.messages, self.question, self.answer)
        return [name for name in named if name is not None]


@dataclass(frozen=True)
class PairJob:
    """What to deduplicate, and how."""

    input: str
    columns: PairColumns
    images: ImageParams
    #: Threshold and shingles of the texts.
    texts: DedupParams
    out: Location
    workers: int

    def params(self) -> DedupParams:
        """Return the parameters of the pipeline's pass."""
        chosen = self.images.as_dedup().model_dump() | {
            name: getattr(self.texts, name) for name in ("threshold", "recall", "signature", "min_near_words")
        }
        return DedupParams.model_validate({**chosen, "mode": "pair"})


def deduplicate_pairs(job: PairJob, reporter: Reporter) -> dict[str, Any]:
    """Write ``removed.parquet``, ``unreadable.parquet`` and ``summary.json``; returns the summary.

    Raises as `infinity_mm.dedup.image.job.deduplicate_images` does.
    """
    if (job.columns.messages is None) == (job.columns.answer is None):
        raise UsageError("name the texts: --messages-column, or --answer-column with or without --question-column")
    units = find_tables(job.input, job.columns.all())
    store = Store(job.out)
    paths = [_part(job, unit) for unit in units]
    each_unit(job.workers, store, units, paths, lambda unit, path: _measure_unit(job, store, unit, path), reporter)
    store.sweep("state/pairs", [path.rpartition("/")[2] for path in paths])
    table = pa.concat_tables([MEASURED.empty_table(), *(store.read(path) for path in paths)])
    refuse_repeats(table.column("id"))
    faults = table.filter(pc.is_valid(table.column("reason")))
    usable = table.filter(pc.is_null(table.column("reason")))
    reporter.line(f"compare      {len(usable):,} rows")
    removed = _find(usable, job.params())
    refuse_clusters(removed, job.images.max_cluster)
    summary = _summary(job, table, faults, removed)
    store.write("removed.parquet", removed)
    store.write("unreadable.parquet", faults.select(UNREADABLE.names).cast(UNREADABLE))
    store.at("summary.json").write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))
    return summary


def _find(usable: pa.Table, params: DedupParams) -> pa.Table:
    size = len(usable)
    table = usable.append_column("source", pa.array(["input"] * size, pa.string()))
    table = table.append_column("priority", pa.array([0] * size, pa.int32()))
    found = find_duplicates(table, params)
    return found.rename_columns({"hamming": "distance"}).select(REMOVED.names).cast(REMOVED)


def _part(job: PairJob, unit: Unit) -> str:
    place = unit.table
    assert place is not None
    images = job.images.model_dump(mode="json", include={"decode", "max_flat", "min_luma_std"})
    made_from = [place.uri, place.size(), place.modified_ns(), list(unit.row_groups), job.columns.all()]
    versions = [VERSION, signature.VERSION, computing("pillow", "ftfy")]
    name = fingerprint(["pairs", *versions], images, job.texts.signature, made_from, ImageLimits())
    return f"state/pairs/{part_name(unit.number, name)}"


def _measure_unit(job: PairJob, store: Store, unit: Unit, path: str) -> None:
    tables = [_measure(job, batch) for batch in _read(unit, job.columns)]
    store.write(path, pa.concat_tables([MEASURED.empty_table(), *tables]))


def _read(unit: Unit, columns: PairColumns) -> Iterator[pa.RecordBatch]:
    assert unit.table is not None
    try:
        with unit.table.open_input() as stream, pq.ParquetFile(stream, pre_buffer=False) as parquet:
            yield from parquet.iter_batches(_BATCH, list(unit.row_groups), columns=columns.all(), use_threads=False)
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(f"cannot read {unit.table}: {error}; mend or remove that file, then run again") from error


def _measure(job: PairJob, batch: pa.RecordBatch) -> pa.Table:
    columns = job.columns
    rows = batch.to_pylist()
    ids = pa.array([str(row[columns.id]) for row in rows], pa.string())
    talks = [_messages(row, columns) for row in rows]
    kind = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    texts = signature.measure(pa.table({"id": ids, "messages": pa.array(talks, kind)}), job.texts.signature)
    caption = columns.messages is None and columns.question is None
    seen = [_pictures(row[columns.image], job.images, caption) for row in rows]
    pictures = pa.Table.from_pylist(seen, schema=pa.schema([f for f in MEASURED if f.name in _PICTURE_COLUMNS]))
    joined = {"id": ids} | {name: pictures.column(name) for name in _PICTURE_COLUMNS}
    joined |= {name: texts.column(name) for name in texts.column_names if name != "id"}
    return pa.table([joined[name] for name in MEASURED.names], schema=MEASURED)


_PICTURE_COLUMNS = (
    "reason", "detail", "category", "width", "height", "pixel_sha256", "phash", "luma_std", "thumb",
)  # fmt: skip


def _messages(row: Mapping[str, Any], columns: PairColumns) -> list[dict[str, str]]:
    if columns.messages is not None:
        turns = row[columns.messages] or []
        return [{"role": str(turn.get("role")), "content": str(turn.get("content") or "")} for turn in turns]
    question = "" if columns.question is None else str(row[columns.question] or "")
    answer = str(row[columns.answer or ""] or "")
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _pictures(value: object, params: ImageParams, caption: bool) -> dict[str, Any]:
    cells = value if isinstance(value, list) else [] if value is None else [value]
    found: list[PictureFacts] = []
    for place, cell in enumerate(cells):
        data = cell.get("bytes") if isinstance(cell, Mapping) else cell
        if not isinstance(data, bytes):
            return {"reason": "missing_image", "detail": f"picture {place}: no bytes, got {type(data).__name__}"}
        facts = picture_facts(data, params, ImageLimits())
        if isinstance(facts, ImageFault):
            return {"reason": facts.reason, "detail": f"picture {place}: {facts.detail}"}
        found.append(facts)
    rendered = any(facts.rendered for facts in found)
    return {
        "category": RENDERED if rendered else "caption" if caption else "general",
        "width": [facts.width for facts in found],
        "height": [facts.height for facts in found],
        "pixel_sha256": [facts.content for facts in found],
        "phash": [facts.phash for facts in found],
        "luma_std": [facts.luma_std for facts in found],
        "thumb": [facts.thumb for facts in found],
    }


def _summary(job: PairJob, table: pa.Table, faults: pa.Table, removed: pa.Table) -> dict[str, Any]:
    reasons: Sequence[str] = removed.column("reason").to_pylist()
    return {
        "rows": len(table),
        "kept": len(table) - len(faults) - len(removed),
        "removed": len(removed),
        "removed_by_reason": dict(sorted(Counter(reasons).items())),
        "unreadable": dict(sorted(Counter(faults.column("reason").to_pylist()).items())),
        "largest_clusters": clusters_of(removed),
        "parameters": job.params().model_dump(mode="json"),
        "input": job.input,
    }
