"""The reader of tars of pictures: each member that is named like a picture is a row; nothing is unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

import xxhash

from infinity_mm.archives.reading import MEMBER_BYTES
from infinity_mm.fs import Location
from infinity_mm.sources.base import Quarantine, Raw, Split
from infinity_mm.sources.families.lines import find_repeats, repeats_within
from infinity_mm.sources.families.picking import is_taken, why_unopened
from infinity_mm.sources.families.tars import content_end, file_members, member_content
from infinity_mm.sources.pictures import is_picture_name

_CHUNK = 1 << 20


def plan_tar_pictures(location: Location, file: str, rows: int) -> tuple[str, list[Split]]:
    """Return a digest of one tar's headers, and its splits of `rows` pictures; reads no picture.

    A tar that is cut or damaged behind a whole member has one row more, for what is lost, and so has one that goes on
    behind its end.
    """
    size, end = location.size(), 0
    found: list[tuple[str, int]] = []
    digest = xxhash.xxh3_128(str(size).encode())
    try:
        for tar, member in file_members(location, 0, None, links=True):
            end = content_end(tar)
            if is_taken(member.name):
                found.append((member.name, member.offset))
                digest.update(f"{member.name}\x1f{member.size}\x1f{member.offset}\x1f{member.mtime}".encode())
        if found and _goes_on(location, end):
            found.append(("goes on", end))
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

    A row is ``{"id": member name, "image": {"path": member name, "bytes": bytes}}``. Links, and archives in the
    archive, are rows with a fault.
    """
    repeats, done, last, size = dict(split.repeats), 0, "", location.size()
    lost = "something other than zeros follows its end, which is not read: tars are put together by unpacking them"
    try:
        for tar, member in file_members(location, split.start, split.stop, links=True):
            if not is_taken(member.name):
                continue
            name = member.name
            digest = xxhash.xxh3_128_hexdigest(name.encode("utf-8", "surrogatepass"))
            fault = _fault(member, split.file)
            row = None
            if fault is None:
                data = member_content(tar, member, size, MEMBER_BYTES)
                row = {"id": name, "image": {"path": name, "bytes": data}}
            yield Raw(f"member={name}", row, digest, repeats.get(done, 0), fault, name)
            done, last = done + 1, name
    except tarfile.ReadError as error:
        after = f"after {last}" if last else f"at byte {split.start}"
        lost = f"it is cut or damaged {after}: {error}"
    for place in range(done, split.rows):
        fault = Quarantine("malformed_archive", f"{split.file}: {lost}")
        yield Raw(f"member={split.first + place}", None, f"damaged-{split.first + place}", 0, fault)


def _fault(member: tarfile.TarInfo, file: str) -> Quarantine | None:
    """Return why a member has no picture to take, before it is read."""
    name = member.name
    if not is_picture_name(name):
        return Quarantine("unopened_archive", why_unopened(name, file), name)
    if not member.isfile():
        to = f"{name} in {file} is a link to {member.linkname}, and links in archives are not followed"
        return Quarantine("unsafe_path", to, name)
    if member.size > MEMBER_BYTES:
        return Quarantine("image_too_large", f"{name}: {member.size} bytes > {MEMBER_BYTES}, not read", name)
    return None


def _goes_on(location: Location, end: int) -> bool:
    """True where there is anything but zeros behind the end of a tar."""
    with location.open_input() as stream:
        stream.seek(min(end, stream.size()))
        return any(chunk.strip(b"\0") for chunk in iter(lambda: stream.read(_CHUNK), b""))
