"""Reads the records of one shard, in shard order, from wherever they lie.

A shard's rows are spread over many parts (that is what a shuffle is), so each part is opened once,
only the row groups that hold wanted rows are decoded, and one at a time. In memory stand the wanted
rows of one shard, pictures included, and one row group: the sum of `SHARD_ROWS.bytes` plus 32 MiB.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from infinity_mm.errors import StageError
from infinity_mm.export.plan import Shard
from infinity_mm.fs import Location
from infinity_mm.schema import validate_records

Row = dict[str, Any]


@dataclass(frozen=True)
class _Wanted:
    """A row of a part, and the places in the shard that it fills."""

    row: int
    place: int
    donor: bool


def gather(work: Location, shard: Shard) -> list[Row]:
    """Return the shard's records as `Table.to_pylist` of `RECORDS` gives them, every picture with its bytes.

    Repaired messages and detected languages replace the record's own; pictures that a synthetic row
    borrows are fetched from its parent. Every record is validated. Raises `StageError` naming the row whose
    picture's bytes are nowhere, or which fails its schema.
    """
    plan = shard.rows.to_pylist()
    wanted: dict[str, list[_Wanted]] = defaultdict(list)
    for place, line in enumerate(plan):
        wanted[line["part"]].append(_Wanted(line["row"], place, donor=False))
        if line["donor_part"] is not None:
            wanted[line["donor_part"]].append(_Wanted(line["donor_row"], place, donor=True))
    records: list[Row | None] = [None] * len(plan)
    donors: dict[int, Row] = {}
    for part in sorted(wanted):
        for item, row in _read(work / part, wanted[part]):
            if item.donor:
                donors[item.place] = row
            else:
                records[item.place] = row
    finished = [_finish(records[place], line, donors.get(place)) for place, line in enumerate(plan)]
    for row, fault in zip(finished, validate_records(finished), strict=True):
        if fault is not None:
            raise StageError(f"record {row['id']} fails its schema before export: {fault}")
    return finished


def _read(location: Location, items: Sequence[_Wanted]) -> list[tuple[_Wanted, Row]]:
    found: list[tuple[_Wanted, Row]] = []
    waiting = sorted(items, key=lambda item: item.row)
    with location.open_input() as stream:
        parquet = pq.ParquetFile(stream)
        start = 0
        for group in range(parquet.metadata.num_row_groups):
            stop = start + parquet.metadata.row_group(group).num_rows
            inside = [item for item in waiting if start <= item.row < stop]
            if inside:
                table = parquet.read_row_group(group, use_threads=False)
                for item in inside:
                    found += [(item, table.slice(item.row - start, 1).to_pylist()[0])]
            start = stop
    if len(found) != len(items):
        raise StageError(f"{location} has {start} rows, a row beyond them was planned; delete the export and run again")
    return found


def _finish(row: Row | None, line: Row, donor: Row | None) -> Row:
    if row is None or row["id"] != line["id"]:
        raise StageError(f"row {line['row']} of {line['part']} is not {line['id']}; delete the export and run again")
    if line["messages"] is not None:
        row["messages"] = line["messages"]
    if line["language"] is not None:
        row["language"] = line["language"]
    for place, (image, data) in enumerate(zip(row["images"], row["image_bytes"], strict=True)):
        if data is None:
            row["image_bytes"][place] = _borrow(row, image, donor)
    return row


def _borrow(row: Row, image: Row, donor: Row | None) -> bytes:
    owner, _, number = image["uri"].removeprefix("record:").partition("#")
    if donor is None or donor["id"] != owner:
        raise StageError(
            f"record {row['id']} shows a picture of {owner}, which is not at hand; run again from the start"
        )
    data: bytes = donor["image_bytes"][int(number)]
    return data
