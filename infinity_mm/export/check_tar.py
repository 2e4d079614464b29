"""Reads a WebDataset shard once, front to back, and tells what is wrong in it."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass, field
from typing import IO, Any, cast

import orjson
import pyarrow as pa

from infinity_mm.export.findings import AGAIN, Findings, Keys
from infinity_mm.export.sidecar import picture_names
from infinity_mm.fs import Location
from infinity_mm.schema import validate_records

_CHUNK = 1 << 20


class _Hashed:
    """A readable stream that hashes what passes through."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes."""
        data: bytes = self._stream.read(size)
        self._digest.update(data)
        return data

    def finish(self) -> str:
        """Read what is left and return the SHA-256 of the whole, 64 hex digits."""
        while self.read(_CHUNK):
            pass
        return self._digest.hexdigest()


@dataclass
class _Sample:
    """The members of one key, side by side; of a picture only the hash is kept."""

    key: str
    label: bytes | None = None
    #: Suffix without the key -> SHA-256.
    pictures: dict[str, str] = field(default_factory=dict)


def check_tar(location: Location, name: str, keys: Keys, findings: Findings) -> tuple[str, int]:
    """Check every sample of a tar, add its keys to `keys`, and return (SHA-256 of the file, number of samples).

    `name` stands for the file in `findings`.
    One sample's texts and 1 MiB of a picture are in memory at a time. Raises OSError where the file cannot be read.
    """
    seen: set[str] = set()
    samples = 0
    with location.open_input() as stream:
        source = _Hashed(stream)
        try:
            with tarfile.open(fileobj=cast(IO[bytes], source), mode="r|", bufsize=_CHUNK) as tar:
                sample: _Sample | None = None
                for member in tar:
                    key, _, suffix = member.name.partition(".")
                    if sample is None or sample.key != key:
                        if sample is not None:
                            _check(sample, name, findings)
                        sample = _Sample(key)
                        samples += 1
                        _note(key, name, seen, keys, findings)
                    _read(tar, member, suffix, sample, name, findings)
                if sample is not None:
                    _check(sample, name, findings)
        except tarfile.TarError as error:
            findings.add(name, "", f"cannot be read as a tar: {error}; {AGAIN}")
        return source.finish(), samples


def _note(key: str, shard: str, seen: set[str], keys: Keys, findings: Findings) -> None:
    if key in seen:
        findings.add(shard, key, "members are not side by side; loaders would split the sample")
    seen.add(key)
    if not keys.add(key):
        findings.add(shard, key, "this key is no id of 32 hex digits; was another tool at work?")


def _read(
    tar: tarfile.TarFile, member: tarfile.TarInfo, suffix: str, sample: _Sample, shard: str, findings: Findings
) -> None:
    if suffix in sample.pictures or (suffix == "json" and sample.label is not None):
        findings.add(shard, sample.key, f"has two members .{suffix}: the sample is repeated; {AGAIN}")
        return
    handle = tar.extractfile(member)
    if handle is None:
        findings.add(shard, sample.key, f"its member .{suffix} is no file; {AGAIN}")
    elif suffix == "json":
        sample.label = handle.read()
    else:
        digest = hashlib.sha256()
        while data := handle.read(_CHUNK):
            digest.update(data)
        sample.pictures[suffix] = digest.hexdigest()


def _check(sample: _Sample, shard: str, findings: Findings) -> None:
    if sample.label is None:
        findings.add(shard, sample.key, f"has no json member; {AGAIN}")
        return
    try:
        row = _record(orjson.loads(sample.label))
        names = picture_names(row)
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        findings.add(shard, sample.key, f"its json member is damaged: {error}; {AGAIN}")
        return
    if (fault := validate_records([row])[0]) is not None:
        findings.add(shard, sample.key, f"{fault}; {AGAIN}")
        return
    if row["id"] != sample.key:
        findings.add(shard, sample.key, f"its json member is of {row['id']}; {AGAIN}")
    if names != list(sample.pictures):
        found = ", ".join(sample.pictures) or "none"
        findings.add(shard, sample.key, f"expected the pictures {', '.join(names) or 'none'}, got {found}; {AGAIN}")
    for name, image in zip(names, row["images"], strict=True):
        if name in sample.pictures:
            findings.check_picture(shard, sample.key, sample.pictures[name], image["sha256"])


def _record(label: Any) -> dict[str, Any]:
    """Return the record that a label was made of; the bytes of its pictures are checked by their hashes."""
    if not isinstance(label, dict):
        raise TypeError(f"expected an object, got {type(label).__name__}")
    row = {name: value for name, value in label.items() if name != "conversations"}
    return {**row, "extra": orjson.dumps(label["extra"]).decode(), "image_bytes": [b""] * len(label["images"])}
