"""What stands beside every shard and on top of every export: counts and checksums as JSON."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import IO, Any, Literal

import orjson

from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location

#: Written last; an export without it is unfinished.
INDEX = "index.json"


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

    format: Literal["webdataset", "parquet"]
    #: Of the recipe that made it.
    recipe_fingerprint: str
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

    def write(self, data: bytes) -> int:
        """Write, count, hash."""
        self._stream.write(data)
        self._digest.update(data)
        self.size += len(data)
        return len(data)

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


def count_sources(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Return rows per source, by name."""
    return dict(sorted(Counter(row["source"] for row in rows).items()))


def finish(
    folder: Location, kind: Literal["webdataset", "parquet"], stats: Sequence[ShardStats], recipe_fingerprint: str
) -> Index:
    """Write the export's index from its shards' sidecars."""
    sources: Counter[str] = Counter()
    for one in stats:
        sources.update(one.sources)
    index = Index(
        format=kind,
        recipe_fingerprint=recipe_fingerprint,
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
