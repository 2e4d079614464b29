"""The reader of tars of pictures: each member that is named like a picture is a row; nothing is unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

import xxhash

from infinity_mm.archives.reading import MEMBER_BYTES
from infinity_mm.fs import Location
from infinity_mm.sources.base import Quarantine, Raw, Split
from infinity_mm.sources.families.lines import find_repeats, repeats_within
from infinity_mm.sources.families.tars import file_members, member_content
from infinity_mm.sources.pictures import is_picture_name

_BLOCK = 512


def plan_tar_pictures(location: Location, file: str, rows: int) -> tuple[str, list[Split]]:
    """Return a digest of one tar's headers, and its splits of `rows` pictures; reads no picture.

    A tar that is cut or damaged behind a whole member has one row more, for what is lost.
    """
    size, end = location.size(), 0
    found: list[tuple[str, int]] = []
    digest = xxhash.xxh3_128(str(size).encode())
    try:
        for _, member in file_members(location, 0, None):
            end = member.offset_data + (member.size + _BLOCK - 1) // _BLOCK * _BLOCK
            if is_picture_name(member.name):
                found.append((member.name, member.offset))
                digest.update(f"{member.name}\x1f{member.size}\x1f{member.offset}\x1f{member.mtime}".encode())
    except tarfile.ReadError as error:
        if end <= size or not found:
            found.append((f"damaged: {error}", min(end, size)))
    repeats = find_repeats([xxhash.xxh3_64_intdigest(name.encode()) for name, _ in found])
    splits = []
    for start in range(0, len(found), rows):
        stop = min(start + rows, len(found))
        until = found[stop][1] if stop < len(found) else size
        splits.append(Split(file, found[start][1], until, start, stop - start, repeats_within(repeats, start, stop)))
    return digest.hexdigest(), splits


def read_tar_pictures(location: Location, split: Split) -> Iterator[Raw]:
    """Yield the pictures of a split with their bytes; what damage cuts off is one malformed_archive row per picture.

    A row is ``{"id": member name, "image": {"path": member name, "bytes": bytes}}``.
    """
    repeats, done, last = dict(split.repeats), 0, ""
    try:
        for tar, member in file_members(location, split.start, split.stop):
            if not is_picture_name(member.name):
                continue
            name, size = member.name, location.size()
            digest = xxhash.xxh3_128_hexdigest(name.encode("utf-8", "surrogatepass"))
            if member.size > MEMBER_BYTES:
                fault = Quarantine("image_too_large", f"{name}: {member.size} bytes > {MEMBER_BYTES}, not read", name)
                raw = Raw(f"member={name}", None, digest, repeats.get(done, 0), fault, name)
            else:
                row = {"id": name, "image": {"path": name, "bytes": member_content(tar, member, size)}}
                raw = Raw(f"member={name}", row, digest, repeats.get(done, 0), None, name)
            yield raw
            done, last = done + 1, name
    except tarfile.ReadError as error:
        for place in range(done, split.rows):
            after = f"after {last}" if last else f"at byte {split.start}"
            fault = Quarantine("malformed_archive", f"{split.file} is cut or damaged {after}: {error}")
            yield Raw(f"member={split.first + place}", None, f"damaged-{split.first + place}", 0, fault)
