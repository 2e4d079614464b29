"""The reader of WebDataset tars: ``<key>.json`` with an optional picture of the same key beside it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import xxhash

from infinity_mm.fs import Location
from infinity_mm.sources.base import Plan, Quarantine, Raw, Split
from infinity_mm.sources.families.files import find_files
from infinity_mm.sources.families.lines import SNIPPET, find_repeats

#: Largest json member that is read; a label of a sample is a few kilobytes.
_MAX_JSON = 64 << 20


@dataclass(frozen=True)
class TarRows:
    """Reads samples from tars, member by member, without unpacking; also samples that someone unpacked.

    A row is ``{"__key__": str, "json": object, "images": [(member name, bytes)]}``. An empty picture
    member is how Infinity-MM marks a sample without a picture, and is left out.
    """

    suffixes: tuple[str, ...] = (".tar", ".json")
    version: int = 2

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Scan the headers of every tar and cut it at sample borders."""
        splits: list[Split] = []
        digests: list[tuple[str, str]] = []
        for file in find_files(root, files, self.suffixes):
            if file.endswith(".json"):
                digests.append((file, xxhash.xxh3_128_hexdigest((root / file).read_bytes())))
                splits.append(Split(file, 0, 1, 0, 1))
                continue
            samples, digest = _scan(root / file)
            digests.append((file, digest))
            size = (root / file).size()
            repeats = find_repeats([xxhash.xxh3_64_intdigest(key.encode()) for key, _ in samples])
            for start in range(0, len(samples), rows):
                stop = min(start + rows, len(samples))
                end = samples[stop][1] if stop < len(samples) else size
                inside = tuple((place - start, n) for place, n in repeats if start <= place < stop)
                splits.append(Split(file, samples[start][1], end, start, stop - start, inside))
        return Plan(tuple(splits), tuple(digests))

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield the samples of a split; a cut tar ends with one malformed_archive row."""
        if split.file.endswith(".json"):
            yield _unpacked(root, split.file)
            return
        repeats = dict(split.repeats)
        for place, raw in enumerate(_samples(root / split.file, split)):
            yield Raw(raw.locator, raw.row, raw.digest, repeats.get(place, 0), raw.error, raw.snippet)


def _unpacked(root: Location, file: str) -> Raw:
    """Return a sample whose members lie in a folder: the json file and what has its key."""
    key, _ = key_of(file)
    folder, slash, _ = file.rpartition("/")
    names = [f"{folder}{slash}{name}" for name in (root / folder).files()]
    return _sample(key, {name: (root / name).read_bytes() for name in names if key_of(name)[0] == key})


def key_of(name: str) -> tuple[str, str]:
    """Return (key, extension) of a member: the key ends at the first dot of the file name."""
    folder, slash, base = name.removeprefix("./").rpartition("/")
    stem, _, extension = base.partition(".")
    return folder + slash + stem, extension.lower()


def _members(location: Location, start: int, stop: int | None) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield the file members whose header lies in the range; raises `tarfile.ReadError` where the tar is cut."""
    with location.open_input() as stream:
        stream.seek(start)
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            end = start
            while (member := tar.next()) is not None:
                if stop is not None and member.offset >= stop:
                    return
                end = member.offset_data + (member.size + 511) // 512 * 512
                # Members are collected by tarfile; a tar of a million would fill the memory.
                tar.members = []  # type: ignore[attr-defined]
                if member.isfile():
                    yield tar, member
        # tarfile takes a cut header for the end; a whole tar ends here, or goes on with zeros.
        stream.seek(min(end, stream.size()))
        if end > stream.size() or any(stream.read(512)):
            raise tarfile.ReadError(f"what follows byte {end} is no header")


def _scan(location: Location) -> tuple[list[tuple[str, int]], str]:
    """Return (key, offset of the first header) of every sample, in order, and a digest of all headers."""
    samples: list[tuple[str, int]] = []
    digest = xxhash.xxh3_128(str(location.size()).encode())
    try:
        for _, member in _members(location, 0, None):
            key, _ = key_of(member.name)
            if not samples or samples[-1][0] != key:
                samples.append((key, member.offset))
            digest.update(f"{member.name}\x1f{member.size}\x1f{member.offset}\x1f{member.mtime}".encode())
    except tarfile.ReadError:
        # The sample that was being scanned is the damaged one; without any, the file itself is.
        if not samples:
            samples.append((location.name, 0))
    return samples, digest.hexdigest()


def _samples(location: Location, split: Split) -> Iterator[Raw]:
    current: dict[str, bytes] = {}
    key, done = "", 0
    try:
        for tar, member in _members(location, split.start, split.stop):
            here, _ = key_of(member.name)
            if here != key and current:
                yield _sample(key, current)
                current, done = {}, done + 1
            key = here
            current[member.name] = _content(tar, member)
        if current:
            yield _sample(key, current)
            done += 1
    except tarfile.ReadError as error:
        for _ in range(done, split.rows):
            fault = Quarantine("malformed_archive", f"{split.file} is cut or damaged near sample {key!r}: {error}")
            yield Raw(f"member={key or location.name}.json", None, f"damaged-{key}-{done}", 0, fault)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    handle = tar.extractfile(member)
    data = handle.read() if handle is not None else b""
    if len(data) != member.size:
        raise tarfile.ReadError(f"member {member.name} has {len(data)} of {member.size} bytes")
    return data


def _sample(key: str, members: dict[str, bytes]) -> Raw:
    locator = f"member={key}.json"
    label = next((data for name, data in members.items() if key_of(name)[1] == "json"), None)
    digest = xxhash.xxh3_128_hexdigest(key.encode() + b"\0" + (label or b""))
    if label is None or len(label) > _MAX_JSON:
        fault = Quarantine("unexpected_row", f"sample {key!r} has no json member, only {sorted(members)}")
        return Raw(locator, None, digest, 0, fault, str(sorted(members)))
    snippet = label[:SNIPPET].decode("utf-8", "replace")
    try:
        tree: Any = orjson.loads(label)
    except orjson.JSONDecodeError as error:
        return Raw(locator, None, digest, 0, Quarantine("malformed_json", f"{key}.json: {error}"), snippet)
    images = [(name, data) for name, data in members.items() if key_of(name)[1] != "json" and data]
    return Raw(locator, {"__key__": key, "json": tree, "images": images}, digest, 0, None, snippet)
