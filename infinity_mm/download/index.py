"""Reading back what was fetched: which shards are whole, and how each URL ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.download.keys import HostRange
from infinity_mm.download.shard import INDEX
from infinity_mm.fs import ASIDE
from infinity_mm.store import Store

FOLDER = "downloads"
_STATS = "_stats.json"


def clean_up(store: Store) -> tuple[str, ...]:
    """Delete what a kill left half-written, and return the whole shards, sorted: their paths without an ending.

    An index whose tar is gone (deleted or lost) is deleted as well: its URLs then count as never fetched.
    """
    endings: dict[str, set[str]] = {}
    for path in store.at(FOLDER).files(recursive=True):
        name = path.rpartition("/")[2]
        if name.startswith(ASIDE):
            store.at(f"{FOLDER}/{path}").delete()
            continue
        for ending in (".tar", ".parquet", _STATS):
            if name.endswith(ending):
                endings.setdefault(path.removesuffix(ending), set()).add(ending)
    whole = []
    for path, found in endings.items():
        if {".tar", ".parquet"} <= found:
            whole.append(f"{FOLDER}/{path}")
        else:
            for ending in found:
                store.at(f"{FOLDER}/{path}{ending}").delete()
    return tuple(sorted(whole))


def shards_of(shards: Iterable[str], hosts: HostRange) -> tuple[str, ...]:
    """Return those of the shards that can hold URLs of the range."""
    return tuple(shard for shard in shards if hosts.meets(HostRange.of_folder(shard.split("/")[1])))


def read_outcomes(store: Store, shards: Sequence[str], hosts: HostRange, columns: Sequence[str]) -> pa.Table:
    """Return how each URL of the range ended: content where there ever was any, else the last failure.

    The columns are `url_hash`, `reason`, `round`, `tar` (relative to the run folder here) and those asked for. One row
    per URL, ordered by `url_hash`; memory grows with the URLs of the range, not with their content.
    """
    first, stop = hosts.buckets
    wanted = {"url_hash", "reason", "round", "tar", *columns}
    schema = pa.schema([field for field in INDEX if field.name in wanted])
    tables = [schema.empty_table()]
    for shard in shards:
        table = store.read(f"{shard}.parquet", schema.names, [("bucket", ">=", first), ("bucket", "<", stop)])
        folder = shard.rpartition("/")[0]
        full = pc.binary_join_element_wise(folder, table.column("tar"), "/")
        tables.append(table.set_column(table.schema.get_field_index("tar"), "tar", full).cast(schema))
    attempts = pa.concat_tables(tables)
    attempts = attempts.append_column("failed", pc.is_valid(attempts.column("reason")))
    attempts = attempts.sort_by(
        [("url_hash", "ascending"), ("failed", "ascending"), ("round", "descending"), ("tar", "ascending")]
    )
    return attempts.filter(pa.array(_first_of_runs(attempts.column("url_hash")))).drop_columns("failed")


def _first_of_runs(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return, for a sorted column, which rows begin a run of equal values."""
    first = np.ones(len(column), np.bool_)
    if len(column) > 1:
        first[1:] = pc.not_equal(column.slice(1), column.slice(0, len(column) - 1)).to_numpy(zero_copy_only=False)
    return first
