"""Reads the records of one shard, in shard order, from wherever they lie.

A shard's rows are spread over many parts (that is what a shuffle is). First the texts are read: each part is
opened once, and only the row groups that hold wanted rows are decoded, without their pictures, whose places in
the file are noted (`infinity_mm.export.pictures`). Then the pictures follow in shard order, each read by its
place, checked against its SHA-256, handed on and forgotten. In memory stand the texts of one shard and at
most `AHEAD_BYTES` of pictures; what is read of a local file is the shard's pictures once.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infinity_mm.errors import StageError
from infinity_mm.export.pictures import LOCAL_WINDOW, REMOTE_WINDOW, Span, Window, picture_chunk, walk
from infinity_mm.export.plan import Shard
from infinity_mm.fs import Location
from infinity_mm.schema import RECORD_COLUMNS, RECORDS, validate_records
from infinity_mm.store import Store

Row = dict[str, Any]

#: Bytes of pictures that are read before the writer asks for them, and how many rows at a time.
AHEAD_BYTES = 32 << 20
READERS = 8

_AGAIN = "delete the export and the folder state/shards, then run again"


@dataclass(frozen=True)
class _Wanted:
    """A row of a part, and the place in the shard that it fills."""

    row: int
    place: int
    donor: bool


@dataclass(frozen=True)
class _Held:
    """A record without its pixels, and where those lie."""

    part: str
    row: Row
    #: One per image. Bytes where the part's layout does not tell places; None where another record has them.
    pictures: tuple[Span | bytes | None, ...]

    @property
    def bytes(self) -> int:
        """Bytes of the stored pictures."""
        return sum(one.length if isinstance(one, Span) else len(one) for one in self.pictures if one is not None)


def gather(work: Location, shard: Shard) -> Iterator[Row]:
    """Yield the shard's records as `Table.to_pylist` of `RECORDS` gives them, every picture with its bytes.

    Repaired messages, detected languages and merged conversations replace the record's own; pictures that a synthetic
    row borrows are fetched from its parent. Every record is validated and every picture hashed. Raises `StageError`
    naming the row that fails its schema, or whose picture's bytes are nowhere or not those that were ingested.
    """
    plan = shard.rows.select(["id", "part", "row", "donor_part", "donor_row"]).to_pylist()
    wanted: dict[str, list[_Wanted]] = defaultdict(list)
    for place, line in enumerate(plan):
        wanted[line["part"]].append(_Wanted(line["row"], place, donor=False))
        if line["donor_part"] is not None:
            wanted[line["donor_part"]].append(_Wanted(line["donor_row"], place, donor=True))
    records: dict[int, _Held] = {}
    donors: dict[int, _Held] = {}
    for part in sorted(wanted):
        for item, held in _read_part(work, part, wanted[part]):
            (donors if item.donor else records)[item.place] = held
    for place, line in enumerate(plan):
        if records[place].row["id"] != line["id"]:
            raise StageError(f"row {line['row']} of {line['part']} is not {line['id']}; {_AGAIN}")
    overlays = shard.rows.select(["messages", "language"])
    merged = _read_merged(work, shard.rows)
    for place, data in enumerate(_pictures(work, records, donors)):
        overlay = overlays.slice(place, 1).to_pylist()[0] | merged.get(place, {})
        row = {**records.pop(place).row, **{name: value for name, value in overlay.items() if value is not None}}
        row["image_bytes"] = data
        if (fault := validate_records([row])[0]) is not None:
            raise StageError(f"record {row['id']} fails its schema before export: {fault}")
        yield row


def _read_merged(work: Location, rows: pa.Table) -> dict[int, Row]:
    """Return the merged conversation, its licence and its language, by place in the shard."""
    places = rows.select(["merged", "row"]).append_column("place", pa.array(range(len(rows)), pa.int64()))
    places = places.filter(places.column("merged").is_valid())
    found: dict[int, Row] = {}
    for path in sorted(set(places.column("merged").to_pylist())):
        own = places.filter(pc.equal(places.column("merged"), path))
        table = Store(work).read(path, ["messages", "license", "language"]).take(own.column("row"))
        found |= dict(zip(own.column("place").to_pylist(), table.to_pylist(), strict=True))
    return found


def _read_part(work: Location, part: str, items: Sequence[_Wanted]) -> Iterator[tuple[_Wanted, _Held]]:
    location = work / part
    waiting = sorted(items, key=lambda item: item.row)
    try:
        with location.open_input() as stream:
            parquet = pq.ParquetFile(stream, page_checksum_verification=True)
            if not parquet.schema_arrow.equals(RECORDS):
                raise StageError(f"{location} is not of the records schema; delete that file and run again")
            window = Window(stream, LOCAL_WINDOW if location.is_local else REMOTE_WINDOW)
            start = 0
            for group in range(parquet.metadata.num_row_groups):
                stop = start + parquet.metadata.row_group(group).num_rows
                inside = [item for item in waiting if start <= item.row < stop]
                if inside:
                    rows = [item.row - start for item in inside]
                    held = _read_group(parquet, window, group, part, rows)
                    yield from zip(inside, held, strict=True)
                start = stop
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise StageError(f"cannot read {location}: {error}; delete that file and run again") from error
    if waiting and waiting[-1].row >= start:
        raise StageError(f"{location} has {start} rows, a row beyond them was planned; {_AGAIN}")


def _read_group(parquet: pq.ParquetFile, window: Window, group: int, part: str, rows: Sequence[int]) -> list[_Held]:
    """Return some rows of a row group, by their number in it, ascending (a row may occur several times)."""
    table = parquet.read_row_group(group, columns=list(RECORD_COLUMNS), use_threads=False)
    stored = [[_is_stored(uri) for uri in uris] for uris in _uris(table)]
    before = [0]
    for flags in stored:
        before.append(before[-1] + sum(flags))
    spans = walk(window, picture_chunk(parquet.metadata.row_group(group)), before[-1])
    places = [] if spans is None else list(islice(spans, before[rows[-1] + 1]))
    if len(places) < before[rows[-1] + 1]:
        column = parquet.read_row_group(group, columns=["image_bytes"], use_threads=False).column(0)
        pictures = [tuple(column[row].as_py()) for row in rows]
    else:
        pictures = []
        for row in rows:
            following = iter(places[before[row] : before[row + 1]])
            pictures.append(tuple(next(following) if flag else None for flag in stored[row]))
    lines = table.take(pa.array(rows)).to_pylist()
    return [_Held(part, line, data) for line, data in zip(lines, pictures, strict=True)]


def _uris(table: pa.Table) -> list[list[str]]:
    return [[image["uri"] for image in images] for images in table.column("images").to_pylist()]


def _is_stored(uri: str) -> bool:
    return not uri.startswith("record:")


def _pictures(work: Location, records: dict[int, _Held], donors: dict[int, _Held]) -> Iterator[list[bytes]]:
    """Yield the pictures of each record in shard order; a few are read ahead, so that none waits for its round trip."""
    waiting: deque[tuple[int, Future[list[bytes]]]] = deque()
    ahead = 0
    with ThreadPoolExecutor(READERS) as pool:
        try:
            for place in range(len(records)):
                held, donor = records[place], donors.get(place)
                size = held.bytes + (donor.bytes if donor else 0)
                while waiting and (ahead + size > AHEAD_BYTES or len(waiting) >= 2 * READERS):
                    ahead -= waiting[0][0]
                    yield waiting.popleft()[1].result()
                waiting.append((size, pool.submit(_load, work, held, donor)))
                ahead += size
            while waiting:
                yield waiting.popleft()[1].result()
        finally:
            for _, future in waiting:
                future.cancel()


def _load(work: Location, held: _Held, donor: _Held | None) -> list[bytes]:
    """Read a record's pictures, its own and borrowed ones, and check them."""
    found = []
    for number, image in enumerate(held.row["images"]):
        owner, picture = held, held.pictures[number]
        if picture is None:
            owner, picture = _borrow(held.row["id"], image, donor)
        data = _read_span(work / owner.part, picture) if isinstance(picture, Span) else picture
        digest = hashlib.sha256(data).hexdigest()
        if digest != image["sha256"]:
            raise StageError(
                f"record {held.row['id']}: picture {number}, in {owner.part}, has SHA-256 {digest}, the record says "
                f"{image['sha256']}: the part was changed or damaged; delete {work / owner.part} and run again"
            )
        found.append(data)
    return found


def _read_span(location: Location, span: Span) -> bytes:
    with location.reading(), location.open_input() as stream:
        return cast(bytes, stream.read_at(span.length, span.offset))


def _borrow(identity: str, image: Row, donor: _Held | None) -> tuple[_Held, Span | bytes]:
    owner, _, number = image["uri"].removeprefix("record:").partition("#")
    if donor is not None and donor.row["id"] == owner and int(number) < len(donor.pictures):
        picture = donor.pictures[int(number)]
        if picture is not None:
            return donor, picture
    raise StageError(f"record {identity} shows a picture of {owner}, which is not at hand; run again from the start")
