"""Shards of what was fetched: a plain tar of original bytes, an index of all outcomes, and statistics.

``downloads/hosts-<range>/<round>-<name>.tar`` holds the bodies (member = hash of the URL and the extension of what the
content is), ``....parquet`` one row per URL asked for, fetched or not, ``..._stats.json`` the sums. The index is
written last: a shard is there if its index is, so a kill loses the shard in the making and no other.
"""

from __future__ import annotations

import hashlib
import tarfile
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import IO, Any

import pyarrow as pa

from infinity_mm.download.content import SNIFFED_BYTES, picture_format
from infinity_mm.download.keys import bucket_of, host_of, url_hash
from infinity_mm.download.params import DownloadParams, judgement
from infinity_mm.download.request import Outcome
from infinity_mm.frozen import Frozen
from infinity_mm.store import Store

INDEX = pa.schema(
    [
        pa.field("url_hash", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),  # as the publisher writes it
        pa.field("bucket", pa.int32(), nullable=False),  # of its host
        pa.field("round", pa.int32(), nullable=False),  # which run asked, from 1
        pa.field("attempts", pa.int32(), nullable=False),  # rounds that asked for this URL so far, this one included
        pa.field("reason", pa.string()),  # null where the content was received
        pa.field("detail", pa.string(), nullable=False),
        pa.field("http_status", pa.int32(), nullable=False),
        pa.field("final_url", pa.string(), nullable=False),
        pa.field("content_type", pa.string(), nullable=False),  # as the server says
        pa.field("sha256", pa.string()),
        pa.field("md5", pa.string()),  # some publishers give no other checksum
        pa.field("size", pa.int64()),  # bytes
        pa.field("tar", pa.string()),  # file beside the index
        pa.field("offset", pa.int64()),  # of the content inside it
        pa.field("requests", pa.int32(), nullable=False),
        pa.field("seconds", pa.float32(), nullable=False),
        pa.field("policy", pa.string(), nullable=False),  # fingerprint of what decides on refusals
    ]
)
_EXTENSIONS = {"jpeg": "jpg", "jpeg2000": "jp2", None: "bin"}
_BLOCK = tarfile.BLOCKSIZE
#: Characters of a text of the server or about it that are kept.
_CUT = 2_000


class ShardStats(Frozen):
    """Sums over one shard; `<shard>_stats.json`."""

    urls: int
    downloaded: int
    bytes: int
    #: Reason -> URLs.
    failed: dict[str, int]
    requests: int
    #: Wall time from the first outcome to the last.
    seconds: float
    images_per_second: float


@dataclass(frozen=True)
class Earlier:
    """What is known of a URL that failed before."""

    attempts: int
    reason: str
    detail: str


@dataclass
class _Tar:
    """Writes members one after the other and knows where each begins; nothing is read back."""

    stream: IO[bytes]
    position: int = 0

    def add(self, name: str, data: bytes) -> int:
        """Append a member and return the offset of its content."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        self._write(info.tobuf(tarfile.USTAR_FORMAT))
        offset = self.position
        self._write(data)
        self._write(bytes(-len(data) % _BLOCK))
        return offset

    def close(self) -> None:
        """Write the two blocks of zeros that end a tar."""
        self._write(bytes(2 * _BLOCK))

    def _write(self, data: bytes) -> None:
        self.stream.write(data)
        self.position += len(data)


@dataclass
class ShardWriter:
    """Writes the outcomes of one partition in one round, shard after shard."""

    store: Store
    #: Folder of the shards, relative to the run folder.
    folder: str
    round: int
    params: DownloadParams
    #: URL -> what was known of it, for those that failed before.
    earlier: Mapping[str, Earlier] = field(default_factory=dict)

    def write(self, outcomes: Iterable[Outcome]) -> Iterator[ShardStats]:
        """Write all outcomes; yield the sums of each shard once it is there. Bodies are not kept."""
        source = iter(outcomes)
        for first in source:
            yield self._shard(first, source)

    def _shard(self, first: Outcome, source: Iterator[Outcome]) -> ShardStats:
        policy = judgement(self.params)
        path = f"{self.folder}/{self.round:04d}-{uuid.uuid4().hex[:12]}"
        began = time.monotonic()
        rows: list[dict[str, Any]] = []
        with self.store.at(f"{path}.tar").write_whole() as stream:
            tar = _Tar(stream)
            for outcome in chain([first], source):
                rows.append(self._row(outcome, tar, path.rpartition("/")[2], policy))
                if self._is_full(len(rows), tar.position, time.monotonic() - began):
                    break
            tar.close()
        stats = _sum_up(rows, time.monotonic() - began)
        self.store.at(f"{path}_stats.json").write_bytes(stats.model_dump_json(indent=1).encode())
        table = pa.Table.from_pylist(rows, schema=INDEX).sort_by("url_hash")
        self.store.write(f"{path}.parquet", table, group_rows=4_096)
        return stats

    def _is_full(self, urls: int, size: int, seconds: float) -> bool:
        params = self.params
        return urls >= params.shard_urls or size >= params.shard_bytes or seconds >= params.shard_seconds

    def _row(self, outcome: Outcome, tar: _Tar, shard: str, policy: str) -> dict[str, Any]:
        earlier = self.earlier.get(outcome.url)
        name = url_hash(outcome.url)
        row: dict[str, Any] = {
            "url_hash": name,
            "url": outcome.url,
            "bucket": bucket_of(host_of(outcome.url)),
            "round": self.round,
            "attempts": 1 if earlier is None else earlier.attempts + 1,
            "reason": outcome.reason,
            "detail": _clean(outcome.detail),
            "http_status": outcome.http_status,
            "final_url": _clean(outcome.final_url),
            "content_type": _clean(outcome.content_type),
            "requests": outcome.requests,
            "seconds": outcome.seconds,
            "policy": policy,
        }
        content = outcome.content
        if outcome.reason is None and content is None:
            row |= {"reason": "empty", "detail": "the answer had neither content nor a reason"}
        elif content is not None and outcome.reason is None:
            kind = picture_format(content[:SNIFFED_BYTES])
            row |= {
                "sha256": hashlib.sha256(content).hexdigest(),
                "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
                "size": len(content),
                "tar": f"{shard}.tar",
                "offset": tar.add(f"{name}.{_EXTENSIONS.get(kind, kind)}", content),
            }
        elif earlier is not None and earlier.reason == outcome.reason:
            # The same end in other words ("after 10.2 s") is no news, and must not remake what was made of it.
            row["detail"] = earlier.detail
        return row


def _sum_up(rows: list[dict[str, Any]], seconds: float) -> ShardStats:
    failed = Counter(row["reason"] for row in rows if row["reason"] is not None)
    downloaded = len(rows) - failed.total()
    return ShardStats(
        urls=len(rows),
        downloaded=downloaded,
        bytes=sum(row.get("size") or 0 for row in rows),
        failed=dict(sorted(failed.items())),
        requests=sum(row["requests"] for row in rows),
        seconds=round(seconds, 3),
        images_per_second=round(downloaded / max(seconds, 1e-3), 1),
    )


def _clean(text: str) -> str:
    """Return what a server sent as text that a file can hold."""
    return text[:_CUT].encode("utf-8", "backslashreplace").decode()
