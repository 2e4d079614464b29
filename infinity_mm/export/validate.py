"""Checking what was written: schemas, checksums, keys, and a reading by the format's own loader."""

from __future__ import annotations

import hashlib
import importlib.util
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from infinity_mm.errors import UsageError
from infinity_mm.export.check_parquet import check_parquet
from infinity_mm.export.check_tar import check_tar
from infinity_mm.export.findings import AGAIN, Findings, Keys
from infinity_mm.export.readers import read_parquet_with_datasets, read_tar_with_webdataset
from infinity_mm.export.sidecar import INDEX, Index, ShardStats
from infinity_mm.fs import Location
from infinity_mm.schema import RECORDS, validate_records

#: Records that are held as Python values at a time.
_ROWS = 64

Kind = Literal["work", "records", "export"]


def detect(path: Location) -> Kind:
    """Return what a folder holds; raises `UsageError` for anything else."""
    if (path / INDEX).exists():
        return "export"
    if (path / "records").is_dir():
        return "work"
    if path.path.rpartition("/")[0].endswith("/exports"):
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
    """Check a run folder (records and all exports), a folder of records, or one export.

    Every byte is read; in memory stand one row group or one sample, and 16 bytes per id. Files are named in the
    findings relative to `path`. Raises `UsageError` where `path` is none of these.
    """
    kind = detect(path)
    findings = Findings()
    if kind == "work":
        _check_records(path / "records", "records/", findings)
        for name in (path / "exports").folders():
            folder = path / f"exports/{name}"
            if (folder / INDEX).exists():
                _check_export(folder, f"exports/{name}/", findings)
            else:
                findings.add(f"exports/{name}", "", f"has no {INDEX}: the export is unfinished; run again")
    elif kind == "records":
        _check_records(path, "", findings)
    else:
        _check_export(path, "", findings)
    return findings


def _check_records(root: Location, prefix: str, findings: Findings) -> None:
    keys = Keys()
    for file in root.files(recursive=True):
        if not file.endswith(".parquet"):
            continue
        name = prefix + file
        try:
            with (root / file).open_input() as stream:
                parquet = pq.ParquetFile(stream, page_checksum_verification=True)
                if not parquet.schema_arrow.equals(RECORDS):
                    findings.add(name, "", "is not of the records schema (schemas/records.arrow.json); ingest again")
                    continue
                for group in range(parquet.metadata.num_row_groups):
                    for batch in parquet.iter_batches(_ROWS, row_groups=[group], use_threads=False):
                        _check_rows(name, batch.to_pylist(), keys, findings)
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            findings.add(name, "", f"cannot be read: {error}; delete it and run again")
    for identity, count in keys.repeated():
        findings.add("records", identity, f"this id occurs {count} times; ids must be unique")


def _check_rows(name: str, rows: list[dict[str, Any]], keys: Keys, findings: Findings) -> None:
    for row, fault in zip(rows, validate_records(rows), strict=True):
        keys.add(row["id"])
        findings.counts["records"] += 1
        if fault is not None:
            findings.add(name, row["id"], fault)
        for image, data in zip(row["images"], row["image_bytes"], strict=False):
            if data is not None:
                findings.check_picture(name, row["id"], hashlib.sha256(data).hexdigest(), image["sha256"])


def _check_export(folder: Location, prefix: str, findings: Findings) -> None:
    """Hold every shard of an export against the index."""
    before = len(findings.errors)
    try:
        index = Index.model_validate_json((folder / INDEX).read_bytes())
    except ValidationError as error:
        findings.add(prefix + INDEX, "", f"is damaged, or of another version: {error}; export again")
        return
    keys = Keys()
    samples = 0
    present = set(folder.files(recursive=True))
    for stats in index.shards:
        if stats.shard not in present:
            findings.add(prefix + stats.shard, "", "is named by the index and absent; export again")
            continue
        findings.counts["shards"] += 1
        samples += _check_shard(folder / stats.shard, prefix + stats.shard, index, stats, keys, findings)
    for file in sorted(present - {stats.shard for stats in index.shards}):
        if file.endswith((".tar", ".parquet")):
            findings.add(prefix + file, "", "is no shard of this export, and loaders would read it; delete it")
    findings.counts["samples"] += samples
    for key, count in keys.repeated():
        findings.add(folder.name, key, f"this key occurs {count} times; keys must be unique over all shards")
    if len(findings.errors) == before:
        _read_back(folder, index, samples, findings)


def _check_shard(location: Location, name: str, index: Index, stats: ShardStats, keys: Keys, findings: Findings) -> int:
    """Return the number of samples of a shard."""
    check = check_tar if index.format == "webdataset" else check_parquet
    try:
        digest, samples = check(location, name, keys, findings)
    except OSError as error:
        findings.add(name, "", f"cannot be read: {error}; {AGAIN}")
        return 0
    if digest != stats.sha256:
        findings.add(name, "", f"SHA-256 differs from the index ({stats.sha256}): damaged; {AGAIN}")
    if samples != stats.samples:
        findings.add(name, "", f"holds {samples} samples, the index says {stats.samples}; {AGAIN}")
    return samples


def _read_back(folder: Location, index: Index, samples: int, findings: Findings) -> None:
    """Count the samples as the format's own loader sees them, where it is installed and the export is local."""
    if not index.shards:
        return  # nothing was kept: loaders refuse an empty list
    package = "webdataset" if index.format == "webdataset" else "datasets"
    if not folder.is_local or importlib.util.find_spec(package) is None:
        findings.counts[f"{package}_not_tried"] += 1
        return
    paths = [(folder / stats.shard).path for stats in index.shards]
    reader = read_tar_with_webdataset if package == "webdataset" else read_parquet_with_datasets
    seen = reader(paths)
    findings.counts[f"{package}_read"] += seen
    if seen != samples:
        findings.add(folder.name, "", f"{package} reads {seen} samples of {samples}; export again")
