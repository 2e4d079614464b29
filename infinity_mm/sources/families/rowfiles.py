"""The reader of files that hold rows: JSON Lines, JSON arrays and objects, Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from infinity_mm.fs import Location
from infinity_mm.sources.base import Plan, Quarantine, Raw, Split
from infinity_mm.sources.families.files import find_files
from infinity_mm.sources.families.lines import (
    elements,
    find_repeats,
    is_json_lines,
    prepared_line,
    read_lines,
    scan_lines,
    scan_prepared,
)

#: Rows decoded at once from Parquet: with pictures of 1 MB a batch stays near 16 MB.
_BATCH = 16
_PARQUET_ERRORS = (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, UnicodeDecodeError)


@dataclass(frozen=True)
class RowFiles:
    """Reads rows from files in JSON or Parquet, decided by content."""

    #: Keys whose array holds the rows, where the file is an object: ("data",).
    inside: tuple[str, ...] = ()
    #: False for sources that are never JSON Lines (an object keyed by id is one line when minified).
    lines: bool = True
    suffixes: tuple[str, ...] = (".json", ".jsonl", ".parquet")
    #: Globs of files that are no annotations of the source.
    ignored: tuple[str, ...] = ()
    version: int = 2

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Cut every file; see `infinity_mm.sources.base.Reader`."""
        splits: list[Split] = []
        digests: list[tuple[str, str]] = []
        for file in find_files(root, files, self.suffixes, self.ignored):
            location = root / file
            if location.size() == 0:
                digests.append((file, "empty"))
            elif _is_parquet(location):
                digests.append((file, _parquet_digest(location)))
                splits += _plan_parquet(location, file, rows)
            elif self.lines and is_json_lines(location):
                scan = scan_lines(location, file, rows)
                digests.append((file, scan.digest))
                splits += scan.splits
            else:
                prepared = prepare_to / f"{xxhash.xxh3_64_hexdigest(file.encode())}.jsonl"
                with prepared.write_whole() as stream:
                    for locator, row, fault in elements(location, self.inside):
                        stream.write(prepared_line(locator, row, fault))
                digests.append((file, content_digest(location)))
                splits += scan_prepared(prepared, file, rows)
        return Plan(tuple(splits), tuple(digests))

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield the rows of a split; see `infinity_mm.sources.base.Reader`."""
        if split.prepared is None and _is_parquet(root / split.file):
            return _read_parquet(root / split.file, split)
        return read_lines(root, split)


def content_digest(location: Location) -> str:
    """Return xxh3_128 of a file's content, streaming, 32 hex digits."""
    digest = xxhash.xxh3_128()
    with location.open_input() as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _is_parquet(location: Location) -> bool:
    if location.name.lower().endswith(".parquet"):
        return True
    with location.open_input() as stream:
        return bool(stream.read(4) == b"PAR1")


def _parquet_digest(location: Location) -> str:
    """Return a digest of size and footer: offsets, counts, statistics. The pictures are not read for it."""
    size = location.size()
    with location.open_input() as stream:
        stream.seek(max(0, size - 8))
        length = int.from_bytes(stream.read(4), "little")
        stream.seek(max(0, size - 8 - min(length, size)))
        return f"{size}-{xxhash.xxh3_128_hexdigest(stream.read())}"


def _plan_parquet(location: Location, file: str, rows: int) -> list[Split]:
    try:
        with location.open_input() as stream:
            parquet = pq.ParquetFile(stream)
            groups = [parquet.metadata.row_group(i).num_rows for i in range(parquet.metadata.num_row_groups)]
            columns = [
                parquet.metadata.schema.column(i).path
                for i in range(len(parquet.metadata.schema))
                if parquet.metadata.schema.column(i).physical_type != "BYTE_ARRAY"
                or parquet.metadata.schema.column(i).logical_type.type == "STRING"
            ]
            digests = [
                xxhash.xxh3_64_intdigest(_text_of(row))
                for batch in parquet.iter_batches(columns=columns, batch_size=1024, use_threads=False)
                for row in batch.to_pylist()
            ]
    except _PARQUET_ERRORS:
        return [Split(file, 0, 1, 0, 1)]
    if not columns:
        digests = [0] * sum(groups)
    repeats = find_repeats(digests)
    splits = []
    start = stop = 0
    for size in (*groups, 0):
        stop += size
        if stop - start >= rows or (size == 0 and stop > start):
            inside = tuple((place - start, n) for place, n in repeats if start <= place < stop)
            splits.append(Split(file, start, stop, start, stop - start, inside))
            start = stop
    return splits


def _read_parquet(location: Location, split: Split) -> Iterator[Raw]:
    repeats = dict(split.repeats)
    done = split.start
    try:
        with location.open_input() as stream:
            parquet = pq.ParquetFile(stream)
            groups, first = [], 0
            for index in range(parquet.metadata.num_row_groups):
                size = parquet.metadata.row_group(index).num_rows
                if split.start <= first < split.stop and size:
                    groups.append(index)
                first += size
            for batch in parquet.iter_batches(_BATCH, row_groups=groups, use_threads=False):
                for row in batch.to_pylist():
                    text = _text_of(row)
                    digest = xxhash.xxh3_128_hexdigest(text)
                    repeat = repeats.get(done - split.start, 0)
                    yield Raw(f"row={done}", row, digest, repeat, None, text[:4_096].decode("utf-8", "replace"))
                    done += 1
    except _PARQUET_ERRORS as error:
        for row_number in range(done, split.stop):
            fault = Quarantine("malformed_archive", f"{split.file} cannot be read as Parquet: {error}"[:400])
            yield Raw(f"row={row_number}", None, f"damaged-{row_number}", 0, fault)


def _text_of(row: dict[str, Any]) -> bytes:
    """Return a row as JSON without its binary values, so that a digest of it does not need the pictures."""
    return orjson.dumps(_without_bytes(row), default=str, option=orjson.OPT_SORT_KEYS)


def _without_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_bytes(item) for key, item in value.items() if not isinstance(item, bytes)}
        return {key: item for key, item in kept.items() if key != "bytes"}
    if isinstance(value, list):
        return [_without_bytes(item) for item in value if not isinstance(item, bytes)]
    return value
