"""Listing local folders: links are followed, circles of them end, and names that are no text are told of.

pyarrow's own listing enters a link to a folder above it forty times over, which two such links make a trillion, and
raises at the first name that is no UTF-8.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal, NamedTuple

Kind = Literal["file", "folder", "broken"]
#: What systems answer for links that lead nowhere, in a circle, or through a file.
_NOTHING_THERE = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)


class Found(NamedTuple):
    """What a listing found."""

    #: Relative to what was listed; bytes that are no UTF-8 are written as ``\\xff``, and no file opens by such a path.
    path: str
    #: A link that leads nowhere is "broken".
    kind: Kind
    #: Bytes; 0 for folders.
    size: int
    #: Time of last change in nanoseconds since the epoch.
    modified_ns: int


def walk(path: str, recursive: bool) -> Iterator[Found]:
    """Yield the files, folders and broken links below a folder, in no order; nothing where there is none.

    Links are followed, but for those to a folder that they lie in: what is there was listed already. What is neither
    file nor folder (pipes, sockets, devices), and what vanishes while it is looked at, is left out. Raises OSError
    for a folder that cannot be read.
    """
    try:
        here = os.stat(path)
    except FileNotFoundError:
        return
    waiting: list[tuple[bytes, bytes, frozenset[tuple[int, int]]]] = [
        (os.fsencode(path), b"", frozenset([(here.st_dev, here.st_ino)]))
    ]
    while waiting:
        folder, prefix, trail = waiting.pop()
        try:
            entries = os.scandir(folder)
        except FileNotFoundError:
            continue
        with entries:
            for entry in entries:
                found = _look(entry)
                if found is None:
                    continue
                kind, facts = found
                inner = prefix + entry.name
                if kind != "folder":
                    yield Found(_text(inner), kind, facts.st_size if kind == "file" else 0, facts.st_mtime_ns)
                    continue
                identity = (facts.st_dev, facts.st_ino)
                if entry.is_symlink() and identity in trail:
                    continue
                yield Found(_text(inner), kind, 0, facts.st_mtime_ns)
                if recursive:
                    waiting.append((entry.path, inner + b"/", trail | {identity}))


def _look(entry: os.DirEntry[bytes]) -> tuple[Kind, os.stat_result] | None:
    """Return the kind and the facts of what an entry leads to, those of the link itself where that is nothing."""
    try:
        facts = entry.stat()
    except OSError as error:
        if error.errno not in _NOTHING_THERE:
            raise
        with suppress(FileNotFoundError):
            return "broken", entry.stat(follow_symlinks=False)
        return None
    if stat.S_ISDIR(facts.st_mode):
        return "folder", facts
    return ("file", facts) if stat.S_ISREG(facts.st_mode) else None


def _text(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
