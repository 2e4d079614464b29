"""Rows of Parquet files: cut by the footer and a pass over the text columns, read in small batches.

The pass is for byte-identical repeats alone; pictures are not read for it. Where a reader names the columns that its
parser looks at, only they are read, and a row is what they hold.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import islice, repeat
from typing import Any, cast

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from infinity_mm.fs import Location
from infinity_mm.sources.base import Quarantine, Raw, Split
from infinity_mm.sources.families.lines import SNIPPET, find_repeats, repeats_within

#: Rows decoded at once: with pictures of 1 MB a batch stays near 16 MB.
_BATCH, _BATCH_WITHOUT_PICTURES = 16, 1_024
#: Bytes of a column chunk that are held at once; chunks of published files reach gigabytes.
_BUFFER = 1 << 20
_PARQUET_ERRORS = (pa.ArrowException, OSError)
#: What values raise that Python cannot hold: text that is no UTF-8, dates beyond the year 9999.
_VALUE_ERRORS = (ValueError, OverflowError)

#: A row and its content, or None and what is wrong with it, as bytes.
_Row = tuple[dict[str, Any] | None, bytes]


def is_parquet(location: Location) -> bool:
    """True for Parquet under any name; under its own name also where the content is no JSON either."""
    with location.open_input() as stream:
        head = stream.read(64)
    named = location.name.lower().endswith(".parquet")
    return bool(head[:4] == b"PAR1" or (named and head.lstrip()[:1] not in (b"{", b"[")))


def parquet_digest(location: Location) -> str:
    """Return a digest of size and footer: offsets, counts, statistics. The pictures are not read for it."""
    size = location.size()
    with location.open_input() as stream:
        stream.seek(max(0, size - 8))
        length = int.from_bytes(stream.read(4), "little")
        stream.seek(max(0, size - 8 - min(length, size)))
        return f"{size}-{xxhash.xxh3_128_hexdigest(stream.read())}"


def plan_parquet(location: Location, file: str, rows: int, columns: tuple[str, ...] = ()) -> list[Split]:
    """Cut a file into splits of about `rows` rows; one split of one row where it cannot be opened.

    `columns` are names in lower case; () reads all. Files with pictures are cut between row groups, as a part of
    a group cannot be reached without decoding what stands before; others anywhere, as publishers of URL lists
    write groups of a million rows.
    """
    digests = array("Q")
    try:
        with location.open_input() as stream:
            parquet = _opened(stream)
            leaves = _leaves(parquet, columns)
            light = [leaf.path for leaf in leaves if _is_light(leaf)]
            groups = [parquet.metadata.row_group(i).num_rows for i in range(parquet.metadata.num_row_groups)]
            for index, size in enumerate(groups):
                digests.extend(_group_digests(parquet, index, size, light, bool(columns)))
    except _PARQUET_ERRORS:
        return [Split(file, 0, 1, 0, 1)]
    repeats = find_repeats(digests)
    splits = []
    for start, stop in _cuts(groups, rows, anywhere=len(light) == len(leaves)):
        splits.append(Split(file, start, stop, start, stop - start, repeats_within(repeats, start, stop)))
    return splits


def read_parquet(location: Location, split: Split, columns: tuple[str, ...] = ()) -> Iterator[Raw]:
    """Yield the rows of a split, as many as were planned, whatever is damaged."""
    repeats = dict(split.repeats)
    for place, (row, content) in enumerate(_split_rows(location, split, columns)):
        number = split.start + place
        if row is None:
            fault = Quarantine(
                "malformed_archive", f"{split.file} cannot be read as Parquet here: {content.decode()}"[:400]
            )
            yield Raw(f"row={number}", None, f"damaged-{number}", 0, fault)
        else:
            digest = xxhash.xxh3_128_hexdigest(content)
            snippet = _snippet(row)
            yield Raw(f"row={number}", row, digest, repeats.get(place, 0), None, snippet)


def _opened(stream: pa.NativeFile) -> pq.ParquetFile:
    """Open a file to be read page by page: with `pre_buffer`, pyarrow's default, a row group is read whole."""
    return pq.ParquetFile(stream, buffer_size=_BUFFER, pre_buffer=False)


def _leaves(parquet: pq.ParquetFile, columns: tuple[str, ...]) -> list[Any]:
    """Return the leaf columns below the named columns, or all."""
    schema = parquet.metadata.schema
    found = [schema.column(place) for place in range(len(schema))]
    wanted = [leaf for leaf in found if leaf.path.partition(".")[0].lower() in columns]
    # A file with none of the names is read as it is, so that the parser can say what it found.
    return wanted or found


def _is_light(leaf: Any) -> bool:
    return bool(leaf.physical_type != "BYTE_ARRAY" or leaf.logical_type.type == "STRING")


def _cuts(groups: list[int], rows: int, anywhere: bool) -> Iterator[tuple[int, int]]:
    """Yield half-open ranges of about `rows` rows that cover all groups."""
    if anywhere:
        total = sum(groups)
        yield from ((start, min(start + rows, total)) for start in range(0, total, rows))
        return
    start = stop = 0
    for size in (*groups, 0):
        stop += size
        if stop - start >= rows or (size == 0 and stop > start):
            yield start, stop
            start = stop


def _group_digests(parquet: pq.ParquetFile, index: int, size: int, paths: list[str], projected: bool) -> Iterator[int]:
    """Yield one 64-bit digest per row of a group; 0 for rows behind damage, and where only pictures could tell."""
    done = 0
    try:
        for batch in _batches(parquet, index, paths, _BATCH_WITHOUT_PICTURES) if paths else ():
            contents = _joined(batch, projected) or (content for _, content in _python_rows(batch, projected))
            for content in islice(contents, size - done):
                yield xxhash.xxh3_64_intdigest(content)
                done += 1
    except _PARQUET_ERRORS:
        pass
    yield from repeat(0, size - done)


def _batches(parquet: pq.ParquetFile, index: int, paths: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    yield from parquet.iter_batches(rows, row_groups=[index], columns=paths, use_threads=False)


def _split_rows(location: Location, split: Split, columns: tuple[str, ...]) -> Iterator[_Row]:
    first = split.start
    group = 0
    try:
        with location.open_input() as stream:
            parquet = _opened(stream)
            leaves = _leaves(parquet, columns)
            for index in range(parquet.metadata.num_row_groups):
                size = parquet.metadata.row_group(index).num_rows
                start, stop = max(split.start - group, 0), min(split.stop - group, size)
                if start < stop:
                    yield from _group_rows(parquet, index, range(start, stop), leaves, bool(columns))
                    first = group + stop
                group += size
    except _PARQUET_ERRORS as error:
        yield from repeat((None, str(error).encode()), split.stop - first)


def _group_rows(
    parquet: pq.ParquetFile, index: int, wanted: range, leaves: list[Any], projected: bool
) -> Iterator[_Row]:
    """Yield a row or what is wrong with it for each of the `wanted` rows of a group: damage ends with the group."""
    done, seen, problem = 0, 0, "fewer rows than the footer says"
    size = _BATCH_WITHOUT_PICTURES if all(map(_is_light, leaves)) else _BATCH
    try:
        for batch in _batches(parquet, index, [leaf.path for leaf in leaves], size):
            start, stop = max(wanted.start - seen, 0), min(wanted.stop - seen, batch.num_rows)
            seen += batch.num_rows
            for row in _python_rows(batch.slice(start, stop - start), projected) if start < stop else ():
                yield row
                done += 1
            if seen >= wanted.stop:
                break
    except _PARQUET_ERRORS as error:
        problem = str(error)
    yield from repeat((None, problem.encode()), len(wanted) - done)


def _python_rows(batch: pa.RecordBatch, projected: bool) -> Iterator[_Row]:
    """Yield the rows of a batch; where one holds a value that Python cannot, it is the only one lost."""
    try:
        rows = batch.to_pylist()
    except _VALUE_ERRORS as error:
        if batch.num_rows == 1:
            yield None, str(error).encode()
            return
        for place in range(batch.num_rows):
            yield from _python_rows(batch.slice(place, 1), projected)
    else:
        yield from zip(rows, _joined(batch, projected) or map(_text_of, rows), strict=True)


def _joined(batch: pa.RecordBatch, projected: bool) -> list[bytes]:
    """Return what tells the rows of a projected batch apart where its columns are flat, else [].

    A file of a URL list has millions of rows: joining their columns in Arrow costs a fifth of making JSON of them.
    """
    columns = [column for column in batch.columns if not _is_binary(column.type)]
    if not projected or not columns or any(map(_is_deep, (column.type for column in columns))):
        return []
    texts = [pc.cast(pc.cast(column, pa.large_string()), pa.large_binary()) for column in columns]
    mark = pa.scalar(b"\x1f", pa.large_binary())
    joined = pc.binary_join_element_wise(*texts, mark, null_handling="replace", null_replacement=b"\x00")
    return cast("list[bytes]", joined.to_pylist())


def _is_deep(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_dictionary(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _text_of(row: dict[str, Any]) -> bytes:
    """Return a row as JSON without its binary values, so that a digest of it does not need the pictures."""
    return orjson.dumps(_without_bytes(row), default=str, option=orjson.OPT_SORT_KEYS)


def _snippet(row: dict[str, Any]) -> str:
    return _text_of(row)[:SNIPPET].decode("utf-8", "replace")


def _without_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_bytes(item) for key, item in value.items() if not isinstance(item, bytes)}
        return {key: item for key, item in kept.items() if key != "bytes"}
    if isinstance(value, list):
        return [_without_bytes(item) for item in value if not isinstance(item, bytes)]
    return value
