"""The reader of files that hold rows: JSON Lines, JSON arrays and objects, Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, repeat
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
_PARQUET_ERRORS = (pa.ArrowException, OSError)
#: What values raise that Python cannot hold: text that is no UTF-8, dates beyond the year 9999.
_VALUE_ERRORS = (ValueError, OverflowError)


#: A row, or None and what is wrong with it.
_Row = tuple[dict[str, Any] | None, str | None]


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
    """True for Parquet under any name; under its own name also where the content is no JSON either."""
    with location.open_input() as stream:
        head = stream.read(64)
    named = location.name.lower().endswith(".parquet")
    return bool(head[:4] == b"PAR1" or (named and head.lstrip()[:1] not in (b"{", b"[")))


def _parquet_digest(location: Location) -> str:
    """Return a digest of size and footer: offsets, counts, statistics. The pictures are not read for it."""
    size = location.size()
    with location.open_input() as stream:
        stream.seek(max(0, size - 8))
        length = int.from_bytes(stream.read(4), "little")
        stream.seek(max(0, size - 8 - min(length, size)))
        return f"{size}-{xxhash.xxh3_128_hexdigest(stream.read())}"


def _plan_parquet(location: Location, file: str, rows: int) -> list[Split]:
    digests: list[int] = []
    groups: list[int] = []
    try:
        with location.open_input() as stream:
            parquet = pq.ParquetFile(stream)
            groups = [parquet.metadata.row_group(i).num_rows for i in range(parquet.metadata.num_row_groups)]
            leaves = [parquet.metadata.schema.column(i) for i in range(len(parquet.metadata.schema))]
            columns = [leaf.path for leaf in leaves
                       if leaf.physical_type != "BYTE_ARRAY" or leaf.logical_type.type == "STRING"]  # fmt: skip
            for index, size in enumerate(groups):
                read = _group_rows(parquet, index, size, columns) if columns else repeat(({}, None), size)
                digests += [xxhash.xxh3_64_intdigest(_text_of(row) if row is not None else b"") for row, _ in read]
    except _PARQUET_ERRORS:
        return [Split(file, 0, 1, 0, 1)]
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
    for place, (row, error) in enumerate(_split_rows(location, split)):
        number = split.start + place
        if row is None:
            fault = Quarantine("malformed_archive", f"{split.file} cannot be read as Parquet here: {error}"[:400])
            yield Raw(f"row={number}", None, f"damaged-{number}", 0, fault)
        else:
            text = _text_of(row)
            digest = xxhash.xxh3_128_hexdigest(text)
            yield Raw(
                f"row={number}", row, digest, repeats.get(place, 0), None, text[:4_096].decode("utf-8", "replace")
            )


def _split_rows(location: Location, split: Split) -> Iterator[_Row]:
    """Yield the rows of the row groups that begin in the split; as many as were planned, whatever is damaged."""
    first = 0
    try:
        with location.open_input() as stream:
            parquet = pq.ParquetFile(stream)
            for index in range(parquet.metadata.num_row_groups):
                size = parquet.metadata.row_group(index).num_rows
                if split.start <= first < split.stop:
                    yield from _group_rows(parquet, index, size, None)
                first += size
    except _PARQUET_ERRORS as error:
        yield from repeat((None, str(error)), split.stop - max(first, split.start))


def _group_rows(parquet: pq.ParquetFile, index: int, size: int, columns: list[str] | None) -> Iterator[_Row]:
    """Yield (row, None) or (None, error) for each of the `size` rows of a group: damage ends with its row group."""
    done, problem = 0, "fewer rows than the footer says"
    try:
        batch_size = _BATCH if columns is None else 1024
        batches = parquet.iter_batches(batch_size, row_groups=[index], columns=columns, use_threads=False)
        for row in islice((row for batch in batches for row in _python_rows(batch)), size):
            yield row
            done += 1
    except _PARQUET_ERRORS as error:
        problem = str(error)
    yield from repeat((None, problem), size - done)


def _python_rows(batch: pa.RecordBatch) -> Iterator[_Row]:
    """Yield the rows of a batch; where one holds a value that Python cannot, it is the only one lost."""
    try:
        rows = batch.to_pylist()
    except _VALUE_ERRORS:
        for place in range(batch.num_rows):
            try:
                yield batch.slice(place, 1).to_pylist()[0], None
            except _VALUE_ERRORS as error:
                yield None, str(error)
    else:
        yield from ((row, None) for row in rows)


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
