"""Pictures by URL, for ingestion: where each URL of a split was stored, or why it was not."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

import pyarrow as pa

from infinity_mm.download.keys import is_storable
from infinity_mm.errors import StoreError
from infinity_mm.sources.base import ImageRef, Quarantine
from infinity_mm.store import Store

#: One row per distinct (URL, checksum) of a split.
RESOLVED = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),
        pa.field("checksum", pa.string(), nullable=False),
        # Null where there is content, and where the URL was never asked for: then `tar` is null too.
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("tar", pa.string()),  # relative to the run folder
        pa.field("offset", pa.int64()),
        pa.field("size", pa.int64()),
    ]
)
#: Tars kept open.
_OPEN = 32
#: Characters of a URL in a detail.
_CUT = 300


class Fetched:
    """Answers references by URL from the run folder's `downloads`; memory is bounded by the split's URLs."""

    def __init__(self, store: Store, path: str) -> None:
        self._store = store
        rows = store.read(path).to_pylist()
        self._rows: dict[tuple[str, str], dict[str, Any]] = {(row["url"], row["checksum"]): row for row in rows}
        self._tars: OrderedDict[str, pa.NativeFile] = OrderedDict()

    def __call__(self, reference: ImageRef) -> bytes | Quarantine:
        """Return the content, or a quarantine whose detail begins with the class of the failure.

        Raises `StoreError` where a shard of this run folder is damaged.
        """
        url = reference.url or ""
        if not is_storable(url):
            return _failed("invalid_url: a lone surrogate, which is no character", url)
        row = self._rows.get((url, reference.checksum))
        if row is None or (row["reason"] is None and row["tar"] is None):
            return _failed("not downloaded", url)
        if row["reason"] is not None:
            return _failed(": ".join(filter(None, (row["reason"], row["detail"]))), url)
        return self._read(row)

    def _read(self, row: dict[str, Any]) -> bytes:
        path = row["tar"]
        try:
            stream = self._tars.pop(path, None) or self._store.at(path).open_input()
            self._tars[path] = stream
            if len(self._tars) > _OPEN:
                self._tars.popitem(last=False)[1].close()
            stream.seek(row["offset"])
            data: bytes = stream.read(row["size"])
        except OSError as error:
            raise StoreError(f"cannot read {self._store.at(path)}: {error}; {_REMEDY}") from error
        if hashlib.sha256(data).hexdigest() != row["sha256"]:
            raise StoreError(f"{self._store.at(path)} is damaged at byte {row['offset']}; {_REMEDY}")
        return data


_REMEDY = "delete that tar and run again: its URLs are then fetched anew"


def _failed(why: str, url: str) -> Quarantine:
    return Quarantine("download_failed", f"{why} {shown(url)}")


def shown(url: str) -> str:
    """Return a URL for people, cut where it is very long."""
    text = url.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _CUT else text[:_CUT] + "..."
