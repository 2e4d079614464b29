"""Which row goes into which shard, at which place: a deterministic global shuffle.

The order is that of ``keyed_u64(seed, "shuffle", id)``, ties by id, so it depends on the set of ids and
the seed alone. Shards are contiguous ranges of it whose row counts differ by at most one, as many as
`ShardLimits` asks for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from infinity_mm.errors import StageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.frozen import Frozen
from infinity_mm.schema import MESSAGE

#: What `plan_shards` needs to know of each kept row.
KEPT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        # Path of the records part, relative to the work folder, and the row's index inside it.
        pa.field("part", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        # Bytes of the row's stored pictures and of its messages; what `ShardLimits.max_shard_bytes` counts.
        pa.field("bytes", pa.int64(), nullable=False),
    ]
)

#: Columns that the kept rows may have besides.
OVERLAYS = pa.schema(
    [
        # The record a synthetic row came from; looked up in `donors`.
        pa.field("parent", pa.string()),
        # Replace the record's own values where not null.
        pa.field("messages", pa.list_(pa.field("element", MESSAGE, nullable=False))),
        pa.field("language", pa.string()),
        # Attributes, one row per record of the part, whose `messages`, `license` and `language` replace all of these.
        pa.field("merged", pa.string()),
    ]
)

#: Where the records lie whose pictures other rows show (columns of `plan_shards(donors=...)`).
DONORS = pa.schema([KEPT.field(name) for name in ("id", "part", "row", "bytes")])

#: The rows of one shard, in order. `bytes` includes the pictures borrowed from the donor.
SHARD_ROWS = pa.schema(
    [
        *KEPT,
        pa.field("donor_part", pa.string()),
        pa.field("donor_row", pa.int64()),
        OVERLAYS.field("messages"),
        OVERLAYS.field("language"),
        OVERLAYS.field("merged"),
    ]
)

_REPEATING = ("source", "part", "donor_part", "language", "merged")


class ShardLimits(Frozen):
    """How large shards may grow, and how many there may be."""

    samples_per_shard: int = Field(default=10_000, gt=0)
    #: Bytes of pictures and texts of a shard; where one row alone has more, as many as that row.
    max_shard_bytes: int = Field(default=1_000_000_000, gt=0)
    #: The number of shards is a multiple of this, say ranks x loader workers, so that each reads equally many
    #: (where there are fewer rows than that: one shard a row).
    shards_multiple_of: int = Field(default=1, gt=0)


@dataclass(frozen=True)
class Shard:
    """One shard's rows, in order: all that the task that writes it needs."""

    index: int
    #: Number of shards in the plan.
    of: int
    #: Schema `SHARD_ROWS`.
    rows: pa.Table

    @property
    def fingerprint(self) -> str:
        """16 hex digits that name the rows, their places and their overlays."""
        return fingerprint(self.index, self.of, self.rows.to_pylist())


@dataclass(frozen=True)
class ShardPlan:
    """Every shard of an export; shards are cut on demand, so the plan is held once.

    Memory is about 80 bytes a row (3.5 GB for 44 million rows) plus the overlays.
    """

    #: Schema `SHARD_ROWS` with 64-bit string offsets, one chunk, in the order the rows came in.
    _rows: pa.Table
    #: The shuffle: int64 indices into `_rows`.
    _order: npt.NDArray[np.int64]
    #: Number of shards.
    count: int

    @property
    def rows(self) -> int:
        """Number of rows in all shards."""
        return len(self._order)

    def __len__(self) -> int:
        return self.count

    def shard(self, index: int) -> Shard:
        """Return one shard (0-based) as a table of its own; raises `IndexError` outside the plan."""
        if not 0 <= index < self.count:
            raise IndexError(f"shard {index} of {self.count}")
        start, stop = _bounds(self.rows, self.count)[index : index + 2]
        taken = self._rows.take(pa.array(self._order[start:stop]))
        return Shard(index, self.count, taken.cast(SHARD_ROWS))


def shuffle_keys(seed: int, ids: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Return ``keyed_u64(seed, "shuffle", id)`` of every id; 0.5 us each, the common prefix is hashed once."""
    common = hashlib.blake2b(f"{seed}\x1fshuffle\x1f".encode(), digest_size=8)

    def digest(key: str) -> bytes:
        own = common.copy()
        own.update(key.encode())
        return own.digest()

    return np.frombuffer(b"".join(map(digest, ids)), dtype=">u8").astype(np.uint64)


def plan_shards(kept: pa.Table, *, seed: int, limits: ShardLimits, donors: pa.Table | None = None) -> ShardPlan:
    """Shuffle the kept rows and cut them into balanced shards, as few as `limits` allow.

    `kept` has the columns of `KEPT` and any of `OVERLAYS`; the order of its rows does not matter. A row
    whose `parent` is in `donors` (columns of `DONORS`) can show that record's pictures. No rows give no
    shards. Raises `StageError` for a missing column or an id that occurs twice.
    """
    missing = [name for name in KEPT.names if name not in kept.column_names]
    if missing:
        raise StageError(f"kept rows lack the columns {missing}; expected {KEPT.names}, got {kept.column_names}")
    columns = {name: kept.column(name) for name in KEPT.names}
    for name in ("messages", "language", "merged"):
        column = kept.column(name) if name in kept.column_names else pa.nulls(len(kept), OVERLAYS.field(name).type)
        columns[name] = column
    columns.update(_locate_donors(kept, donors))
    columns["bytes"] = pc.add(columns["bytes"], columns.pop("donor_bytes"))
    rows = pa.table(
        {field.name: _contiguous(columns[field.name], field.type, field.name in _REPEATING) for field in SHARD_ROWS}
    )
    order = _order(rows.column("id"), seed)
    return ShardPlan(rows, order, _shard_count(rows.column("bytes").to_numpy()[order], limits))


def _bounds(rows: int, count: int) -> npt.NDArray[np.int64]:
    """Return the places, int64 of shape (count + 1,), that cut `rows` into shares differing by at most one."""
    small, larger = divmod(rows, count)
    shards = np.arange(count + 1, dtype=np.int64)
    bounds: npt.NDArray[np.int64] = shards * small + np.minimum(shards, larger)
    return bounds


def _shard_count(sizes: npt.NDArray[np.int64], limits: ShardLimits) -> int:
    """Return the number of shards for rows of `sizes` bytes (int64, shape (rows,), shuffled).

    Counts are tried upwards, in steps of 1/64, until the heaviest shard fits.
    """
    rows = len(sizes)
    if rows == 0:
        return 0
    ends = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
    cap = max(limits.max_shard_bytes, int(sizes.max()))
    unit = limits.shards_multiple_of
    units = -(-max(-(-rows // limits.samples_per_shard), -(-int(ends[-1]) // cap)) // unit)
    while units * unit < rows and np.diff(ends[_bounds(rows, units * unit)]).max() > cap:
        units += max(1, units // 64)
    return min(units * unit, rows)


def _locate_donors(kept: pa.Table, donors: pa.Table | None) -> dict[str, pa.Array]:
    """Return donor_part, donor_row and donor_bytes per kept row: null, null and 0 where it has none."""
    if donors is None or "parent" not in kept.column_names:
        nothing = pa.array(np.zeros(len(kept), dtype=np.int64))
        return {
            "donor_part": pa.nulls(len(kept), pa.string()),
            "donor_row": pa.nulls(len(kept), pa.int64()),
            "donor_bytes": nothing,
        }
    places = pc.index_in(kept.column("parent"), value_set=donors.column("id").combine_chunks(), skip_nulls=True)
    found = donors.select(["part", "row", "bytes"]).combine_chunks().take(places)
    return {
        "donor_part": found.column("part"),
        "donor_row": found.column("row"),
        "donor_bytes": pc.fill_null(found.column("bytes"), 0),
    }


def _contiguous(column: pa.ChunkedArray | pa.Array, kind: pa.DataType, repeats: bool) -> pa.Array:
    """Return one array that any number of bytes fits in: 64-bit offsets for ids, a dictionary for what repeats.

    `take` on a column of 32-bit offsets overflows at 2 GiB, which 67 million ids reach.
    """
    if not isinstance(column, pa.ChunkedArray):
        column = pa.chunked_array([column])
    if repeats:
        column = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    elif pa.types.is_string(kind):
        column = column.cast(pa.large_string())
    elif not pa.types.is_list(kind):
        column = column.cast(kind)
    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _order(ids: pa.ChunkedArray, seed: int) -> npt.NDArray[np.int64]:
    """Return the indices that sort by (shuffle key, id); raises `StageError` if an id occurs twice."""
    batches = (chunk.to_pylist() for chunk in _pieces(ids, 1 << 20))
    keys = shuffle_keys(seed, (key for batch in batches for key in batch))
    by_key = pa.table({"key": pa.array(keys), "id": ids})
    by_both = [("key", "ascending"), ("id", "ascending")]
    order: npt.NDArray[np.int64] = pc.sort_indices(by_key, sort_keys=by_both).to_numpy().astype(np.int64)
    ordered = keys[order]
    equal = np.flatnonzero(ordered[1:] == ordered[:-1])
    neighbours = ids.take(pa.array(np.stack([order[equal], order[equal + 1]], axis=1).ravel())).to_pylist()
    for first, second in zip(neighbours[::2], neighbours[1::2], strict=True):
        if first == second:
            raise StageError(f"id {first} is kept twice; every id may occur once. Check the ledger of its source")
    return order


def _pieces(column: pa.ChunkedArray, rows: int) -> Iterable[pa.ChunkedArray]:
    for start in range(0, len(column), rows):
        yield column.slice(start, rows)
