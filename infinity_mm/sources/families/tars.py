"""The reader of WebDataset tars: ``<key>.json`` with an optional picture of the same key beside it."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import xxhash

from infinity_mm.fs import Location
from infinity_mm.sources.base import Plan, Quarantine, Raw, Split
from infinity_mm.sources.families.cut import parse_row
from infinity_mm.sources.families.files import find_files
from infinity_mm.sources.families.lines import SNIPPET, find_repeats, repeats_within

#: Largest json member that is read; a label of a sample is a few kilobytes.
_MAX_JSON = 64 << 20
_MAGIC, _MAGIC_AT = b"ustar", 257


@dataclass(frozen=True)
class TarRows:
    """Reads samples from tars, member by member, without unpacking; also samples that someone unpacked.

    A row is ``{"__key__": str, "json": object, "images": [(member name, bytes)]}``. An empty picture
    member is how Infinity-MM marks a sample without a picture, and is left out. With `texts`, members of these
    extensions are read as text, ``"texts": {extension: str}``, and a sample with one needs no json.
    """

    suffixes: tuple[str, ...] = (".tar", ".json")
    texts: tuple[str, ...] = ()
    version: int = 4

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Scan the headers of every tar and cut it at sample borders."""
        splits: list[Split] = []
        digests: list[tuple[str, str]] = []
        for file in find_files(root, files, self.suffixes):
            if file.endswith(".json") and not is_tar(root / file):
                digests.append((file, xxhash.xxh3_128_hexdigest((root / file).read_bytes())))
                splits.append(Split(file, 0, 1, 0, 1))
                continue
            digest, cuts = plan_tar(root / file, file, rows, ("json", *self.texts))
            digests.append((file, digest))
            splits += cuts
        return Plan(tuple(splits), tuple(digests))

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield the samples of a split; a cut tar ends with one malformed_archive row."""
        if split.file.endswith(".json") and not is_tar(root / split.file):
            yield _unpacked(root, split.file, self.texts)
            return
        repeats = dict(split.repeats)
        for place, raw in enumerate(_samples(root / split.file, split, self.texts)):
            yield Raw(raw.locator, raw.row, raw.digest, repeats.get(place, 0), raw.error, raw.snippet)


def is_tar(location: Location) -> bool:
    """True for a tar, whatever its name; and for what is named like one: a cut archive keeps its name."""
    if location.name.lower().endswith(".tar"):
        return True
    with location.open_input() as stream:
        head = stream.read(_MAGIC_AT + len(_MAGIC))
    return bool(head[_MAGIC_AT:] == _MAGIC)


def plan_tar(location: Location, file: str, rows: int, labels: tuple[str, ...] = ("json",)) -> tuple[str, list[Split]]:
    """Return a digest of one tar's headers and labels, and its splits at sample borders."""
    samples, digest = _scan(location, labels)
    size = location.size()
    repeats = find_repeats([xxhash.xxh3_64_intdigest(key.encode()) for key, _ in samples])
    splits = []
    for start in range(0, len(samples), rows):
        stop = min(start + rows, len(samples))
        end = samples[stop][1] if stop < len(samples) else size
        splits.append(Split(file, samples[start][1], end, start, stop - start, repeats_within(repeats, start, stop)))
    return digest, splits


def first_members(location: Location, count: int) -> list[str]:
    """Return the names of the first files in a tar; fewer where it is damaged."""
    names: list[str] = []
    with contextlib.suppress(tarfile.ReadError):
        names += (member.name for _, member in islice(file_members(location, 0, None), count))
    return names


def _unpacked(root: Location, file: str, texts: tuple[str, ...]) -> Raw:
    """Return a sample whose members lie in a folder: the json file and what has its key."""
    key, _ = key_of(file)
    folder, slash, _ = file.rpartition("/")
    names = [f"{folder}{slash}{name}" for name in (root / folder).files()]
    return _sample(key, {name: (root / name).read_bytes() for name in names if key_of(name)[0] == key}, texts)


def key_of(name: str) -> tuple[str, str]:
    """Return (key, extension) of a member: the key ends at the first dot of the file name."""
    folder, slash, base = name.removeprefix("./").rpartition("/")
    stem, _, extension = base.partition(".")
    return folder + slash + stem, extension.lower()


def file_members(
    location: Location, start: int, stop: int | None, links: bool = False
) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield the file members whose header lies in the range, with `links` those that lead to others as well.

    Raises `tarfile.ReadError` where the tar is cut.
    """
    size = location.size()
    with location.open_buffered() as stream:
        stream.seek(start)
        # Names that are no UTF-8 are escaped, so that they stay different and can be written.
        with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="backslashreplace") as tar:
            end = start
            while (member := _next(tar)) is not None:
                if stop is not None and member.offset >= stop:
                    return
                end = content_end(tar)
                # Members are collected by tarfile; a tar of a million would fill the memory.
                tar.members = []  # type: ignore[attr-defined]
                if member.isfile() or (links and (member.issym() or member.islnk())):
                    yield tar, member
                # After the yield: a cut member belongs to a sample all the same.
                parts = cast("list[tuple[int, int]] | None", member.sparse)
                stored = member.size if parts is None else sum(length for _, length in parts)
                _check_size(member, stored, size)
                if end <= member.offset:
                    raise tarfile.ReadError(f"member {member.name} claims to end at byte {end}, before it begins")
        # tarfile takes a cut header for the end; a whole tar ends here, or goes on with zeros.
        stream.seek(min(end, size))
        if end > size or any(stream.read(512)):
            raise tarfile.ReadError(f"what follows byte {end} is no header")


def _next(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    try:
        return tar.next()
    except ValueError as error:  # of damaged extended headers
        raise tarfile.ReadError(str(error)) from error


def content_end(tar: tarfile.TarFile) -> int:
    """Return where the last member that was taken ends, with its padding; of a sparse one, what is stored of it."""
    return int(cast(Any, tar).offset)


def _scan(location: Location, labels: tuple[str, ...]) -> tuple[list[tuple[str, int]], str]:
    """Return (key, offset of the first header) of every sample, in order, and a digest of headers and labels."""
    samples: list[tuple[str, int]] = []
    grouping = _Grouping()
    size = location.size()
    digest = xxhash.xxh3_128(str(size).encode())
    try:
        for tar, member in file_members(location, 0, None):
            if grouping.begins(member.name):
                samples.append((grouping.key, member.offset))
            digest.update(f"{member.name}\x1f{member.size}\x1f{member.offset}\x1f{member.mtime}".encode())
            # Writers of shards set all times to 0, and a corrected label may keep its length.
            if key_of(member.name)[1] in labels and member.size <= _MAX_JSON:
                digest.update(member_content(tar, member, size))
    except tarfile.ReadError:
        # The sample that was being scanned is the damaged one; without any, the file itself is.
        if not samples:
            samples.append((location.name, 0))
    return samples, digest.hexdigest()


class _Grouping:
    """Tells where samples begin: at another key, or at a name that the sample has already."""

    def __init__(self) -> None:
        self.key = ""
        self._names: set[str] = set()

    def begins(self, name: str) -> bool:
        """Take the next member; return whether it is the first of a sample."""
        key, _ = key_of(name)
        first = not self._names or key != self.key or name in self._names
        if first:
            self.key, self._names = key, set()
        self._names.add(name)
        return first


def _samples(location: Location, split: Split, texts: tuple[str, ...]) -> Iterator[Raw]:
    current: dict[str, bytes] = {}
    grouping, key, done, size = _Grouping(), "", 0, location.size()
    try:
        for tar, member in file_members(location, split.start, split.stop):
            if grouping.begins(member.name) and current:
                yield _sample(key, current, texts)
                current, done = {}, done + 1
            key = grouping.key
            current[member.name] = member_content(tar, member, size)
        if current:
            yield _sample(key, current, texts)
            done += 1
    except tarfile.ReadError as error:
        for place in range(done, split.rows):
            fault = Quarantine("malformed_archive", f"{split.file} is cut or damaged near sample {key!r}: {error}")
            yield Raw(f"member={key or location.name}.json", None, f"damaged-{key}-{split.first + place}", 0, fault)


def member_content(tar: tarfile.TarFile, member: tarfile.TarInfo, size: int, most: int = 0) -> bytes:
    """Return the content of a member of a tar of `size` bytes; raises `tarfile.ReadError` where it is cut.

    A sparse member, which may claim any number of bytes, is taken up to `most` bytes, and up to those of the tar.
    """
    if member.sparse is None or member.size > most:
        _check_size(member, member.size, size)
    handle = tar.extractfile(member)
    data = handle.read() if handle is not None else b""
    if len(data) != member.size:
        raise tarfile.ReadError(f"member {member.name} has {len(data)} of {member.size} bytes")
    return data


def _check_size(member: tarfile.TarInfo, stored: int, size: int) -> None:
    """Raise `tarfile.ReadError` where a header claims bytes that a file of `size` bytes cannot hold."""
    if not 0 <= stored <= size - member.offset_data:
        raise tarfile.ReadError(f"unexpected end of data: member {member.name} claims {stored} bytes")


def _sample(key: str, members: dict[str, bytes], texts: tuple[str, ...]) -> Raw:
    locator = f"member={key}.json"
    label = next((data for name, data in members.items() if key_of(name)[1] == "json"), None)
    written = {key_of(name)[1]: data for name, data in members.items() if key_of(name)[1] in texts}
    content = b"".join(b"\0" + kind.encode() + b"\0" + data for kind, data in sorted(written.items()))
    digest = xxhash.xxh3_128_hexdigest(key.encode() + b"\0" + (label or b"") + content)
    if (label is None and not written) or len(label or b"") > _MAX_JSON:
        expected = " or ".join(("json", *texts))
        fault = Quarantine("unexpected_row", f"sample {key!r} has no {expected} member, only {sorted(members)}")
        return Raw(locator, None, digest, 0, fault, str(sorted(members)))
    snippet = (label or content)[:SNIPPET].decode("utf-8", "replace")
    tree, problem = ({}, None) if label is None else parse_row(label)
    if problem is not None:
        return Raw(locator, None, digest, 0, Quarantine("malformed_json", f"{key}.json: {problem}"), snippet)
    images = [(name, data) for name, data in members.items() if key_of(name)[1] not in ("json", *texts) and data]
    row = {"__key__": key, "json": tree, "images": images}
    if texts:
        row["texts"] = {kind: data.decode("utf-8", "replace") for kind, data in written.items()}
    return Raw(locator, row, digest, 0, None, snippet)
