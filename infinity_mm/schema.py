"""Arrow and JSON Schemas of everything a run folder holds; `schemas/` is generated from here.

Image bytes are a column of their own (not a field inside `images`): reading the metadata of a table
with 200 KB pictures then costs 0.4 us a row instead of 91 us.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from infinity_mm.record import Record

IMAGE = pa.struct(
    [
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
    ]
)

MESSAGE = pa.struct(
    [
        pa.field("role", pa.string(), nullable=False),
        pa.field("content", pa.string(), nullable=False),
    ]
)

#: One row of any source. Parquet parts in ``records/<source>/`` have exactly this schema.
RECORDS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("source_ref", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("license", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("images", pa.list_(pa.field("element", IMAGE, nullable=False)), nullable=False),
        pa.field("image_bytes", pa.list_(pa.field("element", pa.large_binary())), nullable=False),
        pa.field("messages", pa.list_(pa.field("element", MESSAGE, nullable=False)), nullable=False),
        pa.field("parent", pa.string()),
        pa.field("extra", pa.string(), nullable=False),
    ]
)

#: Columns of `RECORDS` that every pass may read; all but the pixels.
RECORD_COLUMNS: tuple[str, ...] = tuple(name for name in RECORDS.names if name != "image_bytes")

JOINED = pa.struct(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source_ref", pa.string(), nullable=False),
        pa.field("turn", pa.int32(), nullable=False),  # counted from 1
    ]
)

#: Measured while a picture is decoded at ingest; one row per record, list columns one entry per image.
INGEST_ATTRIBUTES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        # What had to be mended to read the row, e.g. "suffix_mismatch", "placeholder_inserted".
        pa.field("notes", pa.list_(pa.string()), nullable=False),
        # Optional pictures that the row does without, as "reason: detail"; not among the lists below.
        pa.field("images_lost", pa.list_(pa.string()), nullable=False),
        # Raw rows that are in this record beside its own, where a source's questions are grouped by picture.
        pa.field("joined", pa.list_(pa.field("element", JOINED, nullable=False)), nullable=False),
        pa.field("width", pa.list_(pa.int32()), nullable=False),  # pixels
        pa.field("height", pa.list_(pa.int32()), nullable=False),  # pixels
        pa.field("mode", pa.list_(pa.string()), nullable=False),  # Pillow's mode of the stored picture
        pa.field("frames", pa.list_(pa.int32()), nullable=False),  # above 1 for animations
        pa.field("file_bytes", pa.list_(pa.int64()), nullable=False),
        pa.field("pixel_sha256", pa.list_(pa.string()), nullable=False),  # of the RGB pixels and the size
        pa.field("phash", pa.list_(pa.uint64()), nullable=False),
        pa.field("luma_std", pa.list_(pa.float32()), nullable=False),  # 0 to 127.5
        pa.field("flat", pa.list_(pa.float32()), nullable=False),  # share of pixels in the most frequent tone, 0 to 1
        pa.field("thumb", pa.list_(pa.binary()), nullable=False),  # 16 x 16 luma, uint8, row by row
    ]
)


def to_table(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return the rows as a table of exactly `schema` (also when there are none)."""
    return pa.Table.from_pylist(list(rows), schema=schema)


def validate_records(rows: Sequence[dict[str, Any]]) -> list[str | None]:
    """Check rows, as `pyarrow.Table.to_pylist` gives them, against `Record`.

    Returns, per row, None or what is wrong, as ``field: expected, got`` sentences joined by "; ".
    """
    faults: list[str | None] = []
    for row in rows:
        try:
            Record.model_validate(row)
        except ValidationError as error:
            found = (f"{'.'.join(map(str, e['loc'])) or 'record'}: {e['msg']}" for e in error.errors())
            faults.append("; ".join(found))
        else:
            faults.append(None)
    return faults
