"""WebDataset shards: plain tars, members of a sample side by side, original bytes, true extensions.

Keys are record ids: unique in the whole export, 32 characters, no dots. A text-only sample has a json member and
nothing else; there is no empty picture. Format: https://github.com/webdataset/webdataset.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from typing import Any

import orjson

from infinity_mm.export.sidecar import Digesting, ShardStats, Tally, picture_names
from infinity_mm.fs import Location

VERSION = 1
_SPEAKER = {"user": "human", "assistant": "gpt", "system": "system"}
_COLUMNS = (
    "id",
    "source",
    "source_id",
    "source_ref",
    "category",
    "license",
    "language",
    "images",
    "messages",
    "parent",
)


def shard_name(index: int) -> str:
    """Return the file name of a shard."""
    return f"shard-{index:06d}.tar"


def sidecar_name(index: int) -> str:
    """Return the file name of a shard's sidecar."""
    return f"shard-{index:06d}.json"


def write_shard(rows: Iterable[dict[str, Any]], folder: Location, index: int, fingerprint: str) -> ShardStats:
    """Write one tar and its sidecar, row by row as they come; the same rows give the same bytes."""
    name = shard_name(index)
    members = 0
    tally = Tally()
    with (folder / name).write_whole() as stream:
        sink = Digesting(stream)
        for row in rows:
            _add(sink, f"{row['id']}.json", _label(row))
            for suffix, data in zip(picture_names(row), row["image_bytes"], strict=True):
                _add(sink, f"{row['id']}.{suffix}", data)
            members += 1 + len(row["images"])
            tally.add(row)
        # Two blocks of zeros end a tar, and it fills whole records.
        sink.write(bytes(2 * tarfile.BLOCKSIZE + -(sink.size + 2 * tarfile.BLOCKSIZE) % tarfile.RECORDSIZE))
    stats = tally.stats(name, fingerprint, members, sink)
    stats.write(folder / sidecar_name(index))
    return stats


def _label(row: dict[str, Any]) -> bytes:
    tree = {name: row[name] for name in _COLUMNS}
    tree["extra"] = orjson.loads(row["extra"])
    # What trainers of the LLaVA and Infinity-MM family read.
    tree["conversations"] = [{"from": _SPEAKER[m["role"]], "value": m["content"]} for m in row["messages"]]
    return orjson.dumps(tree)


def _add(sink: Digesting, name: str, data: bytes) -> None:
    """Append a member; `tarfile.TarFile` would hold an object of every one until the end."""
    info = tarfile.TarInfo(name)  # time, owner and group stay 0, so that equal rows give equal tars
    info.size = len(data)
    info.mode = 0o644
    sink.write(info.tobuf(tarfile.USTAR_FORMAT))
    sink.write(data)
    sink.write(bytes(-len(data) % tarfile.BLOCKSIZE))
