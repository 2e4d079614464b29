"""Lists of URLs as published, and what img2dataset (github.com/rom1504/img2dataset) has made of such a list.

img2dataset writes shards of 10,000 rows. ``00000.parquet`` has a row per URL: its `key`, `status`, `error_message`,
the caption, and the columns that the user asked it to keep. The pictures lie, by output format,

- webdataset: in ``00000.tar`` beside it, as ``<key>.jpg``,
- files: in the folder ``00000/``, as ``<key>.jpg``,
- parquet: in a column ``jpg`` of the same file;

``png`` or ``webp`` where that was asked for. A tar whose Parquet file was not kept is read by its own json members.
Shards are told from lists by the columns of the file, not by its name. Pictures are read where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infinity_mm.fs import Location
from infinity_mm.sources.base import Plan, Quarantine, Raw, Split
from infinity_mm.sources.families.files import find_files
from infinity_mm.sources.families.parquet import is_parquet
from infinity_mm.sources.families.rowfiles import RowFiles, without_packed_copies
from infinity_mm.sources.families.tars import TarRows, first_members, key_of, plan_tar

#: Under which a row of img2dataset's finds its picture, in a form that `read_images` knows.
PICTURE = "__picture__"
#: Columns of a shard that no list of URLs has.
_MARKS = {"key", "status", "error_message"}
#: Extensions of members and names of columns: the values of its option encode_format.
_FORMATS = ("jpg", "png", "webp")
#: Columns of shards that are read beside those of the list, in lower case.
COLUMNS = (*sorted(_MARKS), *_FORMATS)
#: Members of a tar that are looked at for the format: a sample has three.
_LOOKED_AT = 16


@dataclass(frozen=True)
class UrlLists:
    """Reads files of rows with `rows`, and shards of img2dataset's with their pictures under `PICTURE`."""

    rows: RowFiles
    version: int = 1

    @property
    def suffixes(self) -> tuple[str, ...]:
        """See `infinity_mm.sources.base.Reader`."""
        return (*self.rows.suffixes, ".tar")

    @property
    def ignored(self) -> tuple[str, ...]:
        """Globs of files that are no annotations of the source."""
        return self.rows.ignored

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Cut every file; tars that hold the pictures of a Parquet file are no files of rows."""
        found = without_packed_copies(find_files(root, files, self.suffixes, self.ignored))
        lists = [file for file in found if not file.endswith(".tar")]
        shards = {file for file in lists if is_shard(root / file)}
        splits: list[Split] = []
        digests: list[tuple[str, str]] = []
        for file in found:
            beside = file.removesuffix(".tar") + ".parquet"
            if file.endswith(".tar") and beside in shards:
                continue
            digest, cuts = self._plan_file(root, file, prepare_to, rows)
            digests.append((file, digest))
            splits += cuts
        return Plan(tuple(splits), tuple(digests))

    def _plan_file(self, root: Location, file: str, prepare_to: Location, rows: int) -> tuple[str, Iterable[Split]]:
        if file.endswith(".tar"):
            return plan_tar(root / file, file, rows)
        digest, splits = self.rows.plan_file(root / file, file, prepare_to, rows)
        tar = root / (file.removesuffix(".parquet") + ".tar")
        if is_shard(root / file) and tar.exists():
            digest = f"{digest}-{tar.size()}"  # of the same rows, but other pictures
        return digest, splits

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield the rows of a split; see `infinity_mm.sources.base.Reader`."""
        if split.file.endswith(".tar"):
            return (_of_sample(split.file, raw) for raw in TarRows().read(root, split))
        raws = self.rows.read(root, split)
        if split.prepared is not None or not is_shard(root / split.file):
            return raws
        pattern = _pattern(root, split.file)
        return (_of_row(split.file, pattern, raw) for raw in raws)


def is_shard(location: Location) -> bool:
    """True for a Parquet file with the columns that img2dataset writes."""
    try:
        if not is_parquet(location):
            return False
        with location.open_input() as stream:
            return set(pq.ParquetFile(stream).schema_arrow.names) >= _MARKS
    except (pa.ArrowException, OSError):
        return False


def _pattern(root: Location, file: str) -> str:
    """Return where the pictures of a shard are, with ``{}`` for the key."""
    stem = file.removesuffix(".parquet")
    tar = root / f"{stem}.tar"
    if tar.exists():
        return f"{stem}.tar/{{}}.{_format(first_members(tar, _LOOKED_AT))}"
    return f"{stem}/{{}}.{_format((root / stem).files())}"


def _format(names: Iterable[str]) -> str:
    return next((extension for _, extension in map(key_of, names) if extension in _FORMATS), _FORMATS[0])


def _of_row(file: str, pattern: str, raw: Raw) -> Raw:
    """Return a row of a shard's Parquet file with its picture: the bytes of a column, or where they are."""
    if raw.row is None:
        return raw
    row = {name: value for name, value in raw.row.items() if name not in _FORMATS}
    columns = [name for name in _FORMATS if name in raw.row]
    before, _, after = pattern.rpartition("{}")
    found: list[Mapping[str, Any]] = [{"path": f"{before}{row.get('key')}{after}"}]
    if columns:
        contents = [(f"{file}/{row.get('key')}.{name}", raw.row[name]) for name in columns]
        found = [{"path": path, "bytes": data} for path, data in contents if data is not None]
    return replace(raw, row={**row, PICTURE: found})


def _of_sample(file: str, raw: Raw) -> Raw:
    """Return a sample of a tar without its Parquet file; what is in a tar was a success."""
    if raw.row is None:
        return raw
    label = raw.row["json"]
    if not isinstance(label, dict):
        fault = Quarantine("unexpected_row", f"expected a JSON object, got {type(label).__name__}")
        return replace(raw, row=None, error=fault)
    pictures = [(name, data) for name, data in raw.row["images"] if key_of(name)[1] in _FORMATS]
    found = [{"path": f"{file}/{name}", "bytes": data} for name, data in pictures]
    return replace(raw, row={"key": raw.row["__key__"], "status": "success", **label, PICTURE: found})
