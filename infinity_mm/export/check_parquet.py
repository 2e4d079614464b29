"""Reads a Parquet shard, every byte once for its hash and then row group by row group, and tells what is wrong."""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infinity_mm.export.findings import AGAIN, Findings, Keys
from infinity_mm.export.parquet import SCHEMA
from infinity_mm.export.sidecar import picture_names
from infinity_mm.fs import Location
from infinity_mm.schema import validate_records

_CHUNK = 4 << 20
_ROWS = 32


def check_parquet(location: Location, name: str, keys: Keys, findings: Findings) -> tuple[str, int]:
    """Check every row of a file, add its ids to `keys`, and return (SHA-256 of the file, number of rows).

    `name` stands for the file in `findings`.
    One row group is in memory at a time. Raises OSError where the file cannot be opened.
    """
    rows = 0
    with location.open_input() as stream:
        digest = hashlib.sha256()
        while data := stream.read(_CHUNK):
            digest.update(data)
        try:
            parquet = pq.ParquetFile(stream)
            if parquet.schema_arrow.equals(SCHEMA):
                # One group at a time: a reader over all of them would keep the last one while it loads the next.
                for group in range(parquet.metadata.num_row_groups):
                    for batch in parquet.iter_batches(_ROWS, row_groups=[group], use_threads=False):
                        rows += batch.num_rows
                        _check(batch.to_pylist(), name, keys, findings)
            else:
                findings.add(name, "", f"is not of the schema of exports; {AGAIN}")
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            findings.add(name, "", f"cannot be read as Parquet: {error}; {AGAIN}")
    return digest.hexdigest(), rows


def _check(rows: list[dict[str, Any]], shard: str, keys: Keys, findings: Findings) -> None:
    records = [_record(row) for row in rows]
    for row, record, fault in zip(rows, records, validate_records(records), strict=True):
        key = row["id"]
        if not keys.add(key or ""):
            findings.add(shard, str(key), "this id is not of 32 hex digits; was another tool at work?")
        if fault is not None:
            findings.add(shard, str(key), f"{fault}; {AGAIN}")
            continue
        expected = [f"{key}.{suffix}" for suffix in picture_names(record)]
        found = [picture["path"] for picture in row["images"]]
        if found != expected:
            findings.add(shard, key, f"expected the pictures {expected}, got {found}; {AGAIN}")
        for image, data in zip(record["images"], record["image_bytes"], strict=True):
            findings.check_picture(shard, key, hashlib.sha256(data).hexdigest(), image["sha256"])


def _record(row: dict[str, Any]) -> dict[str, Any]:
    """Return the record that a row was made of."""
    pictures = row["images"] or []
    rest = {name: value for name, value in row.items() if name != "image_info"}
    return {**rest, "images": row["image_info"], "image_bytes": [(one or {}).get("bytes") for one in pictures]}
