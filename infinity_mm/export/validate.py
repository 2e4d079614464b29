"""Checking what was written: schemas, checksums, keys, and a reading by the format's own loader."""

from __future__ import annotations

import hashlib
import importlib.util
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from infinity_mm.errors import UsageError
from infinity_mm.export.readers import read_parquet_with_datasets, read_tar_with_webdataset
from infinity_mm.export.sidecar import INDEX, Index, ShardStats
from infinity_mm.fs import Location
from infinity_mm.schema import RECORDS, validate_records

Kind = Literal["work", "records", "export"]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong."""

    file: str
    #: Key, id or row inside the file; "" for the file as a whole.
    where: str
    #: What was expected, what came, and what to do.
    problem: str

    def __str__(self) -> str:
        return f"{self.file}{f' [{self.where}]' if self.where else ''}: {self.problem}"


@dataclass
class Findings:
    """What a validation saw."""

    errors: list[Fault] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, file: str, where: str, problem: str) -> None:
        """Note a fault."""
        self.errors.append(Fault(file, where, problem))


def detect(path: Location) -> Kind:
    """Return what a folder holds; raises `UsageError` for anything else."""
    if (path / INDEX).exists():
        return "export"
    if (path / "records").is_dir():
        return "work"
    if path.uri.rpartition("/")[0].endswith("/exports"):
        raise UsageError(
            f"{path} has no {INDEX}: the export is unfinished; run its recipe again, or `infinity-mm export`"
        )
    if any(name.endswith(".parquet") for name in path.files(recursive=True)):
        return "records"
    raise UsageError(
        f"{path} holds neither records nor a finished export (no {INDEX}); expected a run folder, its records/, or "
        "one of its exports/"
    )


def validate(path: Location) -> Findings:
    """Check a run folder (records and all exports), a folder of records, or one export."""
    kind = detect(path)
    findings = Findings()
    if kind == "work":
        _check_records(path / "records", findings)
        for name in (path / "exports").folders():
            folder = path / f"exports/{name}"
            if (folder / INDEX).exists():
                _check_export(folder, findings)
            else:
                findings.add(f"exports/{name}", "", f"has no {INDEX}: the export is unfinished; run again")
    elif kind == "records":
        _check_records(path, findings)
    else:
        _check_export(path, findings)
    return findings


def _check_records(root: Location, findings: Findings) -> None:
    seen: Counter[str] = Counter()
    for name in root.files(recursive=True):
        if not name.endswith(".parquet"):
            continue
        try:
            with (root / name).open_input() as stream:
                parquet = pq.ParquetFile(stream)
                if not parquet.schema_arrow.equals(RECORDS):
                    findings.add(name, "", "is not of the records schema (schemas/records.arrow.json); ingest again")
                    continue
                for batch in parquet.iter_batches(64, use_threads=False):
                    _check_rows(name, batch.to_pylist(), seen, findings)
        except (OSError, pa.ArrowInvalid) as error:
            findings.add(name, "", f"cannot be read: {error}; delete it and run again")
    for identity, count in seen.items():
        if count > 1:
            findings.add("records", identity, f"this id occurs {count} times; ids must be unique")


def _check_rows(name: str, rows: list[dict[str, Any]], seen: Counter[str], findings: Findings) -> None:
    for row, fault in zip(rows, validate_records(rows), strict=True):
        seen[row["id"]] += 1
        findings.counts["records"] += 1
        if fault is not None:
            findings.add(name, row["id"], fault)
        for image, data in zip(row["images"], row["image_bytes"], strict=False):
            if data is not None:
                findings.counts["pictures"] += 1
                _check_picture(name, row["id"], image, data, findings)


def _check_picture(name: str, where: str, image: dict[str, Any], data: bytes, findings: Findings) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != image["sha256"]:
        findings.add(name, where, f"picture's SHA-256 is {found}, the record says {image['sha256']}; the bytes changed")


def _check_export(folder: Location, findings: Findings) -> None:
    try:
        index = Index.model_validate_json((folder / INDEX).read_bytes())
    except ValidationError as error:
        findings.add(INDEX, "", f"is damaged: {error}; export again")
        return
    keys: Counter[str] = Counter()
    for stats in index.shards:
        location = folder / stats.shard
        if not location.exists():
            findings.add(stats.shard, "", "is named by the index and absent; export again")
            continue
        data = location.read_bytes()
        findings.counts["shards"] += 1
        if hashlib.sha256(data).hexdigest() != stats.sha256:
            findings.add(stats.shard, "", f"SHA-256 differs from the index ({stats.sha256}): damaged; export again")
        found = (
            _tar_keys(location, stats, findings)
            if index.format == "webdataset"
            else _parquet_keys(location, stats, findings)
        )
        if len(found) != stats.samples:
            findings.add(stats.shard, "", f"holds {len(found)} samples, the index says {stats.samples}; export again")
        keys.update(found)
    findings.counts["samples"] += keys.total()
    for key, count in keys.items():
        if count > 1:
            findings.add(folder.name, key, f"this key occurs {count} times; keys must be unique over all shards")
    _read_back(folder, index, keys.total(), findings)


def _tar_keys(location: Location, stats: ShardStats, findings: Findings) -> list[str]:
    keys: list[str] = []
    members: dict[str, dict[str, bytes]] = {}
    try:
        with location.open_input() as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                if not keys or keys[-1] != key:
                    if key in members:
                        findings.add(stats.shard, key, "members are not side by side; loaders would split the sample")
                    keys.append(key)
                if suffix in members.get(key, {}):
                    findings.add(stats.shard, key, f"has two members .{suffix}: the sample is repeated; export again")
                handle = tar.extractfile(member)
                members.setdefault(key, {})[suffix] = handle.read() if handle else b""
    except tarfile.ReadError as error:
        findings.add(stats.shard, "", f"cannot be read as a tar: {error}; export again")
    for key, files in members.items():
        label = files.pop("json", None)
        if label is None:
            findings.add(stats.shard, key, "has no json member; export again")
            continue
        try:
            images = orjson.loads(label)["images"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            findings.add(stats.shard, key, f"its json member is damaged: {error}; export again")
            continue
        if len(images) != len(files):
            findings.add(stats.shard, key, f"names {len(images)} pictures and holds {len(files)}; export again")
        for image, data in zip(images, files.values(), strict=False):
            _check_picture(stats.shard, key, image, data, findings)
    return keys


def _parquet_keys(location: Location, stats: ShardStats, findings: Findings) -> list[str]:
    try:
        with location.open_input() as stream:
            keys: list[str] = pq.read_table(stream, columns=["id"], use_threads=False).column("id").to_pylist()
            return keys
    except (OSError, pa.ArrowInvalid) as error:
        findings.add(stats.shard, "", f"cannot be read as Parquet: {error}; export again")
        return []


def _read_back(folder: Location, index: Index, samples: int, findings: Findings) -> None:
    """Count the samples as the format's own loader sees them, where it is installed and the export is local."""
    package = "webdataset" if index.format == "webdataset" else "datasets"
    if not folder.is_local or importlib.util.find_spec(package) is None or findings.errors:
        findings.counts[f"{package}_not_tried"] += 1
        return
    if not index.shards:
        return  # nothing was kept: loaders refuse an empty list
    paths = [(folder / stats.shard).path for stats in index.shards]
    reader = read_tar_with_webdataset if package == "webdataset" else read_parquet_with_datasets
    seen = reader(paths)
    findings.counts[f"{package}_read"] += seen
    if seen != samples:
        findings.add(folder.name, "", f"{package} reads {seen} samples of {samples}; export again")
