"""What stands beside every shard and on top of every export: counts and checksums as JSON."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import IO, Any, Literal, cast

import orjson
import pyarrow as pa

from infinity_mm.export.plan import ShardLimits
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location

#: Written last; an export without it is unfinished.
INDEX = "index.json"

Format = Literal["webdataset", "parquet"]


class ShardStats(Frozen):
    """A shard's sidecar: its presence, naming the same fingerprint, says that the shard is done."""

    #: File, relative to the export.
    shard: str
    #: Fingerprint of the rows and of how they were written.
    fingerprint: str
    samples: int
    #: Members of a tar, or row groups of a Parquet file.
    members: int
    bytes: int
    sha256: str
    first_key: str
    last_key: str
    sources: dict[str, int]

    def write(self, location: Location) -> None:
        """Write the sidecar, whole."""
        location.write_bytes(orjson.dumps(self.model_dump(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))


class Index(Frozen):
    """`index.json` of an export."""

    format: Format
    #: Of the recipe that made it.
    recipe_fingerprint: str
    #: Of the shuffle.
    seed: int
    #: What the shards were cut by.
    limits: ShardLimits
    samples: int
    bytes: int
    sources: dict[str, int]
    shards: tuple[ShardStats, ...]


class Digesting:
    """A writable stream that counts and hashes what passes through."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: bytes | pa.Buffer) -> int:
        """Write, count, hash."""
        view = memoryview(cast(bytes, data))
        self._stream.write(view)
        self._digest.update(view)
        self.size += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.size

    def flush(self) -> None:
        """Do nothing: the stream below is flushed when it is closed."""

    def close(self) -> None:
        """Do nothing: the stream below is closed by its owner."""

    def hexdigest(self) -> str:
        """Return the SHA-256 so far, 64 hex digits."""
        return self._digest.hexdigest()


class Tally:
    """Counts the rows of a shard while they are written."""

    def __init__(self) -> None:
        self._first = ""
        self._last = ""
        self._sources: Counter[str] = Counter()

    def add(self, row: dict[str, Any]) -> None:
        """Count one row."""
        self._first = self._first or row["id"]
        self._last = row["id"]
        self._sources[row["source"]] += 1

    def stats(self, shard: str, fingerprint: str, members: int, sink: Digesting) -> ShardStats:
        """Return the shard's sidecar."""
        return ShardStats(
            shard=shard,
            fingerprint=fingerprint,
            samples=self._sources.total(),
            members=members,
            bytes=sink.size,
            sha256=sink.hexdigest(),
            first_key=self._first,
            last_key=self._last,
            sources=dict(sorted(self._sources.items())),
        )


def finish(
    folder: Location,
    kind: Format,
    stats: Sequence[ShardStats],
    *,
    recipe_fingerprint: str,
    seed: int,
    limits: ShardLimits,
) -> Index:
    """Write the export's index from its shards' sidecars."""
    sources: Counter[str] = Counter()
    for one in stats:
        sources.update(one.sources)
    index = Index(
        format=kind,
        recipe_fingerprint=recipe_fingerprint,
        seed=seed,
        limits=limits,
        samples=sum(one.samples for one in stats),
        bytes=sum(one.bytes for one in stats),
        sources=dict(sorted(sources.items())),
        shards=tuple(sorted(stats, key=lambda one: one.shard)),
    )
    text = orjson.dumps(index.model_dump(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    (folder / INDEX).write_bytes(text)
    return index


EXTENSIONS = {"jpeg": "jpg", "tiff": "tiff", "jpeg2000": "jp2"}


def picture_names(row: dict[str, Any]) -> list[str]:
    """Return the pictures' names without the key: ``jpg`` for one, ``0.jpg``, ``1.png`` for several; true formats."""
    suffixes = [EXTENSIONS.get(image["format"], image["format"]) for image in row["images"]]
    return suffixes if len(suffixes) == 1 else [f"{place}.{suffix}" for place, suffix in enumerate(suffixes)]
