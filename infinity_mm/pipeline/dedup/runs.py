"""Files of which one row goes to one reader and the next to another: sorted by reader, one row group for each.

A reader loads its own row groups and no others, from an object store too. They are Parquet as all parts are, with
verified checksums, but not compressed: they hold hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from infinity_mm.errors import StoreError
from infinity_mm.store import Store

_LABELS = b"labels"


def write_runs(store: Store, path: str, table: pa.Table, labels: Sequence[str], ends: Sequence[int]) -> None:
    """Write a table, the rows up to ``ends[i]`` as those of ``labels[i]``; labels without rows are left out."""
    runs = []
    begin = 0
    for label, end in zip(labels, ends, strict=True):
        if end > begin:
            runs.append((label, begin, end))
        begin = end
    schema = table.schema.with_metadata({_LABELS: orjson.dumps([label for label, _, _ in runs])})
    table = table.replace_schema_metadata(schema.metadata)
    with (
        store.at(path).write_whole() as stream,
        pq.ParquetWriter(
            stream,
            schema,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
            write_page_checksum=True,
        ) as writer,
    ):
        for _, begin, end in runs:
            writer.write_table(table.slice(begin, end - begin), row_group_size=end - begin)


def read_runs(store: Store, path: str, wanted: Callable[[str], bool]) -> pa.Table:
    """Return the rows whose label is wanted; raises `StoreError` where the file is absent or damaged."""
    location = store.at(path)
    try:
        with location.open_input() as stream:
            parquet = pq.ParquetFile(stream, page_checksum_verification=True)
            labels = orjson.loads(parquet.schema_arrow.metadata[_LABELS])
            groups = [number for number, label in enumerate(labels) if wanted(label)]
            return parquet.read_row_groups(groups, use_threads=False).replace_schema_metadata()
    except (OSError, KeyError, ValueError) as error:
        raise StoreError(f"cannot read {location}: {error}; delete that file and run again") from error
