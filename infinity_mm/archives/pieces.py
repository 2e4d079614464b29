"""Which files make up an archive, and reading them as one: publishers cut large archives into numbered pieces."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import IO

from infinity_mm.fs import Location

#: Names that mean an archive (or a family of archives) among image roots; a folder's name does not end so.
_ARCHIVE = re.compile(r"\.(?:zip|tar|tgz|tar\.gz)$", re.IGNORECASE)
#: The end of a piece's name: ``x.tar.gz_part3``, ``x.tar.gz.part03``, ``x.tar.003``, ``x.tar.gz.partaa``, ``x.zip.aa``.
_PIECE = re.compile(r"[._-]?part[._-]?(\d{1,4}|[a-z]{2})$|[._-](\d{1,4}|[a-z]{2})$")


@dataclass(frozen=True)
class ArchiveFiles:
    """The files of one archive, in order."""

    #: Relative to the source's root, without what tells pieces apart: ``imgs.tar.gz``, ``partial-imgs``.
    name: str
    #: Relative to the source's root.
    pieces: tuple[str, ...]
    #: What the pieces' numbers skip, e.g. "piece 1 of partial-imgs is missing"; only what stands before it is used.
    gap: str = ""


def is_archive_root(image_root: str) -> bool:
    """True for an image root that names archives: by suffix, or by a glob of pieces such as ``partial-imgs.*``."""
    return bool(_ARCHIVE.search(image_root)) or "*" in image_root.rpartition("/")[2]


def find_archives(root: Location, image_root: str) -> tuple[ArchiveFiles, ...]:
    """Return the archives that an image root names, whole or in pieces, in the order of their names.

    The root's last component may be a glob: of archives (``*.tar.gz``, pieces of each are found by the usual
    suffixes) or of the pieces of one archive whose name says nothing (``partial-imgs.*``).
    """
    folder, slash, pattern = image_root.rpartition("/")
    found: dict[str, list[tuple[int, str]]] = {}
    for file in (root / folder).files():
        if file.startswith("."):
            continue  # half-written, or what a publisher did not mean to publish: ".git.tar.gz"
        base, number = _cut(file)
        if fnmatchcase(file, pattern) and _ARCHIVE.search(file):
            base, number = file, 0
        elif number is None or not (fnmatchcase(base, pattern) or fnmatchcase(file, pattern)):
            continue
        found.setdefault(base, []).append((number, file))
    whole = [name for name, files in found.items() if any(file == name for _, file in files)]
    archives = []
    for base, files in sorted(found.items()):
        if base in whole:
            files = [(0, base)]  # the pieces were joined, and left lying
        kept, gap = _in_order(base, sorted(files))
        archives.append(ArchiveFiles(folder + slash + base, tuple(folder + slash + file for file in kept), gap))
    return tuple(archives)


def _cut(file: str) -> tuple[str, int | None]:
    """Return (name without what marks a piece, number of the piece), or (file, None) for a name that marks none."""
    match = _PIECE.search(file)
    if match is None or _ARCHIVE.search(file):
        return file, None
    text = match[1] or match[2]
    number = int(text) if text.isdigit() else (ord(text[0]) - 97) * 26 + ord(text[1]) - 97
    return file[: match.start()], number


def _in_order(base: str, files: Sequence[tuple[int, str]]) -> tuple[list[str], str]:
    """Return the pieces up to the first gap in their numbers, which begin with 0 or 1, and what is missing."""
    kept: list[str] = []
    start = files[0][0]
    if start > 1:
        return kept, f"piece 0 of {base} is missing"
    for place, (number, file) in enumerate(files):
        if number != start + place:
            return kept, f"piece {start + place} of {base} is missing"
        kept.append(file)
    return kept, ""


class Pieces:
    """Files read as one binary stream with random access; what a cut or vanished file lacks reads as the end."""

    def __init__(self, locations: Sequence[Location]) -> None:
        self._locations = tuple(locations)
        self._streams: dict[int, IO[bytes]] = {}
        self._starts = [0]
        for location in self._locations:
            self._starts.append(self._starts[-1] + location.size())
        self._at = 0

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return self._starts[-1]

    def seekable(self) -> bool:
        """True: `zipfile` asks."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, never before the start; returns it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, count: int = -1) -> bytes:
        """Return the next `count` bytes, fewer only at the end; all that is left for a negative count."""
        stop = self.size if count < 0 else min(self.size, self._at + count)
        parts = []
        for number in range(len(self._locations)):
            start, end = self._starts[number], self._starts[number + 1]
            if start <= self._at < min(stop, end):
                stream = self._stream(number)
                stream.seek(self._at - start)
                parts.append(stream.read(min(stop, end) - self._at))
                self._at += len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close the files."""
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()

    def _stream(self, number: int) -> IO[bytes]:
        if number not in self._streams:
            self._streams[number] = self._locations[number].open_buffered()
        return self._streams[number]
