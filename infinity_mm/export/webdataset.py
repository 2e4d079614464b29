"""WebDataset shards: plain tars, members of a sample side by side, original bytes, true extensions.

Keys are record ids: unique in the whole export, 32 characters, no dots. A text-only sample has a json member and
nothing else; there is no empty picture. Format: https://github.com/webdataset/webdataset.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from typing import IO, Any, cast

import orjson

from infinity_mm.export.sidecar import Digesting, ShardStats, Tally, picture_names
from infinity_mm.fs import Location

VERSION = 1
_COPY_BYTES = 1 << 20
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
        with tarfile.open(
            fileobj=cast(IO[bytes], sink), mode="w:", format=tarfile.USTAR_FORMAT, copybufsize=_COPY_BYTES
        ) as tar:
            for row in rows:
                _add(tar, f"{row['id']}.json", _label(row))
                for suffix, data in zip(picture_names(row), row["image_bytes"], strict=True):
                    _add(tar, f"{row['id']}.{suffix}", data)
                members += 1 + len(row["images"])
                tar.members.clear()  # else one object a member stays until the shard is done
                tally.add(row)
    stats = tally.stats(name, fingerprint, members, sink)
    stats.write(folder / sidecar_name(index))
    return stats


def _label(row: dict[str, Any]) -> bytes:
    tree = {name: row[name] for name in _COLUMNS}
    tree["extra"] = orjson.loads(row["extra"])
    # What trainers of the LLaVA and Infinity-MM family read.
    tree["conversations"] = [{"from": _SPEAKER[m["role"]], "value": m["content"]} for m in row["messages"]]
    return orjson.dumps(tree)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # time, owner and group stay 0, so that equal rows give equal tars
    info.size = len(data)
    info.mode = 0o644
    tar.addfile(info, io.BytesIO(data))
