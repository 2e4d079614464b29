"""Which files of a root a source reads, and what tells that they changed: asked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from infinity_mm.fs import Location
from infinity_mm.sources.base import Source
from infinity_mm.sources.families.files import find_files


@dataclass(frozen=True)
class Listed:
    """A file of rows, or a folder whose files are the rows."""

    #: Relative to the root.
    path: str
    #: Bytes, of a folder those of its files.
    size: int
    #: Another number where the content may be another: the time of last change, of a folder a digest of its listing.
    stamp: int
    #: Rows of a folder: cutting it reads no file. None for a file, which is read for its rows.
    members: int | None = None


@runtime_checkable
class Lists(Protocol):
    """A reader whose rows are not all in files of rows, so that it lists its root itself."""

    def list_files(self, root: Location, files: tuple[str, ...]) -> tuple[Listed, ...]:
        """Return what it would read; `files` as for `Reader.plan`. Raises `SourceError` where there is nothing."""
        ...


def list_files(source: Source, root: Location, patterns: tuple[str, ...]) -> tuple[Listed, ...]:
    """Return what a source reads below a root, in order; opens nothing.

    `patterns` are globs, () for what the reader looks for by itself. Raises `SourceError` where nothing is found.
    """
    reader = source.reader
    if isinstance(reader, Lists):
        return reader.list_files(root, patterns)
    found = find_files(root, patterns, reader.suffixes, getattr(reader, "ignored", ()))
    return tuple(Listed(path, (root / path).size(), (root / path).modified_ns()) for path in found)
