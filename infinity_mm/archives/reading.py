"""One picture out of an archive, by the name of its member."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

from infinity_mm.archives.deflate import replay
from infinity_mm.archives.index import Kind, Points, kind_of, open_pieces, read_facts, read_members
from infinity_mm.archives.members import LINK, Members, scan_members
from infinity_mm.archives.pieces import ArchiveFiles, Pieces
from infinity_mm.fs import Location
from infinity_mm.images import ImageLimits
from infinity_mm.sources.base import Quarantine

#: What `zipfile` raises for a file that is no zip, or whose directory is damaged: names that are no UTF-8 among it.
NO_ZIP = (zipfile.BadZipFile, NotImplementedError, ValueError)
#: A larger member is not unpacked: its picture would be refused for its size, and a bomb must not get that far.
MEMBER_BYTES = ImageLimits().max_bytes


class Archive(Protocol):
    """An archive that is open for reading."""

    @property
    def problem(self) -> str:
        """What is wrong with it, so that members may be missing; "" for a whole archive."""
        ...

    def read(self, name: str) -> bytes | Quarantine | None:
        """Return a member's content, None where there is no such member, or why it cannot be had."""
        ...


@dataclass(frozen=True)
class IndexedArchive:
    """An archive and where its index is."""

    #: As the source declares it.
    image_root: str
    files: ArchiveFiles
    kind: Kind
    #: Base of the index's files, relative to the run folder; "" for a zip, which brings its own.
    index: str


def open_archive(root: Location, files: ArchiveFiles, index: Location | None = None) -> Archive:
    """Open an archive with the index that `build_index` wrote.

    Without one, the headers of a plain tar are read now; a tar.gz then has no members, and says so.
    """
    pieces = open_pieces(root, files)
    kind = kind_of(files, pieces)
    if kind == "zip":
        return ZipArchive(files, pieces)
    if index is not None:
        facts = read_facts(index)
        content = Inflated(pieces, Points(index)) if kind == "gzip" else pieces
        return TarArchive(files.name, content, read_members(index), facts.problem)
    if kind == "tar":
        members, problem = scan_members(pieces)
        return TarArchive(files.name, pieces, members, "; ".join(part for part in (problem, files.gap) if part))
    return Unindexed(files.name)


@dataclass(frozen=True)
class Unindexed:
    """A tar.gz that no run has indexed yet."""

    name: str

    @property
    def problem(self) -> str:
        """Why nothing is found in it."""
        return f"{self.name} is searched only after a run has indexed it"

    def read(self, name: str) -> None:
        """Return None."""


class Content(Protocol):
    """Uncompressed content with random access."""

    def seek(self, offset: int, /) -> Any:
        """Move to an offset."""
        ...

    def read(self, count: int, /) -> bytes:
        """Return the next bytes; fewer at the end, or where what follows is lost."""
        ...


class TarArchive:
    """A tar whose members are found by an index and read in place; links are not followed."""

    def __init__(self, name: str, content: Content, members: Members, problem: str) -> None:
        self._name = name
        self._content = content
        self._members = members
        self._problem = problem

    @property
    def problem(self) -> str:
        """What is wrong with it, or ""."""
        return f"{self._name} is not whole: {self._problem}" if self._problem else ""

    def read(self, name: str) -> bytes | Quarantine | None:
        """Return a member's content."""
        found = self._members.find(name)
        if found is None:
            return None
        offset, size = found
        if size == LINK:
            return Quarantine(
                "unsafe_path", f"{name} in {self._name} is a link, and links in archives are not followed"
            )
        if size > MEMBER_BYTES:
            return _too_large(name, self._name, size)
        self._content.seek(offset)
        data = self._content.read(size)
        if len(data) == size:
            return data
        problem = self._problem or "it changed since it was indexed; run again"
        return Quarantine("malformed_archive", f"{name}: {len(data)} of {size} bytes are in {self._name}: {problem}")


class Inflated:
    """The content of a gzip stream, by seek points; goes on from where it is if that is nearer."""

    def __init__(self, pieces: Pieces, points: Points) -> None:
        self._pieces = pieces
        self._points = points
        self._wanted = 0
        #: The piece of content at hand, and its offset.
        self._data = b""
        self._at = 0
        self._number = -1
        self._coming: Iterator[bytes] = iter(())

    def seek(self, offset: int) -> None:
        """Move to an offset of the uncompressed content."""
        self._wanted = offset

    def read(self, count: int) -> bytes:
        """Return the next bytes; fewer at the end, or where the stream is damaged."""
        nearest = self._points.before(self._wanted)
        if self._wanted < self._at or nearest > self._number:
            self._start(nearest)
        parts = []
        while count > 0:
            start = self._wanted - self._at
            part = self._data[start : start + count]
            if part:
                parts.append(part)
                self._wanted += len(part)
                count -= len(part)
            elif not self._next():
                break
        return b"".join(parts)

    def _start(self, number: int) -> bool:
        """Start at a point; False where there is none."""
        point = self._points.get(number)
        if point is None:
            return False
        self._number, self._data, self._at = number, b"", point.out
        self._coming = replay(self._pieces, point)
        return True

    def _next(self) -> bool:
        """Take the next piece of content; False where none follows."""
        self._at += len(self._data)
        self._data = b""
        try:
            for data in self._coming:
                if data:
                    self._data = data
                    # Points that were passed are behind; a later read must not go back to one of them.
                    self._number = max(self._number, self._points.before(self._at))
                    return True
        except zlib.error:
            return False
        following = self._points.before(self._at)
        return following > self._number and self._start(following)


class ZipArchive:
    """A zip, also one that was cut into pieces; its own directory is the index."""

    def __init__(self, files: ArchiveFiles, pieces: Pieces) -> None:
        self._name = files.name
        self._zip: zipfile.ZipFile | None = None
        #: Why nothing can be read from the archive; "" where something can.
        self.problem = ""
        try:
            self._zip = zipfile.ZipFile(cast(Any, pieces))
        except (*NO_ZIP, OSError) as error:
            gap = f" ({files.gap})" if files.gap else ""
            self.problem = f"{files.name} is damaged or cut{gap}: {error}; fetch it again"

    def read(self, name: str) -> bytes | Quarantine | None:
        """Return a member's content."""
        if self._zip is None:
            return Quarantine("malformed_archive", f"{name}: {self.problem}")
        try:
            info = self._zip.getinfo(name)
        except KeyError:
            return None
        if info.file_size > MEMBER_BYTES:
            return _too_large(name, self._name, info.file_size)
        try:
            return self._zip.read(name)
        # In turn: a wrong checksum or header, bad deflate data, a password or unknown method, a cut file, a bad offset.
        except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError) as error:
            return Quarantine("malformed_archive", f"{name} in {self._name} cannot be unpacked: {error}")


def _too_large(name: str, archive: str, size: int) -> Quarantine:
    return Quarantine("image_too_large", f"{name} in {archive}: {size} bytes > {MEMBER_BYTES}, not unpacked")
