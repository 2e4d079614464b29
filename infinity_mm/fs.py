"""The one seam to storage: local paths, s3:// and gs:// through pyarrow's file systems.

A `Location` is a URI, so tasks can carry it. Files appear whole or not at all: they are written aside
under a name that nobody reads, flushed, and renamed.
"""

from __future__ import annotations

import errno
import io
import os
import posixpath
import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple, cast
from urllib.parse import quote, unquote

import pyarrow as pa
from pyarrow import fs as pafs

from infinity_mm.errors import StoreError
from infinity_mm.walking import Found, Kind, walk

#: Prefix of a file that is still being written.
ASIDE = ".tmp-"
#: Bytes that are written at once: lines come one by one, and each would be a call of the system.
_WRITE_BUFFER = 256 << 10
#: Bytes that one request asks for where few are wanted: as many as arrive while a request is under way.
_READ_BUFFER = 256 << 10
#: What systems answer for names that no file can have: through a file, too long, through a circle of links.
_NO_SUCH_NAME = (errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
#: Object stores whose URIs are percent-encoded; what follows other schemes is taken as it is.
_STORES = ("s3://", "gs://", "gcs://")
#: Where the options of such a URI begin; a question mark before anything else is a sign of a glob.
_OPTIONS = re.compile(r"\?[a-z_]+=")
#: Signs of a name that stand for themselves in such a URI.
_PLAIN = "/:@!$&'()*+,;=~"
#: Bytes of an object's name at most, on Amazon's store and on Google's.
_LONGEST_NAME = 1024


class Entry(NamedTuple):
    """A file in a listing."""

    #: Relative to what was listed.
    path: str
    #: Bytes.
    size: int
    #: Time of last change in nanoseconds since the epoch (0 where the store has none).
    modified_ns: int


@dataclass(frozen=True)
class Location:
    """A file or folder, by URI (``file:///...``, ``s3://...``, ``gs://...``).

    URIs of object stores are percent-encoded and may end in options for the file system, e.g.
    ``s3://bucket/my%20data?endpoint_override=HOST:PORT``.
    """

    uri: str

    @staticmethod
    def of(path_or_uri: str | os.PathLike[str], base: Path | None = None) -> Location:
        """Return the location of a local path (made absolute) or of a URI; spaces and the like in one are encoded."""
        text = os.fspath(path_or_uri)
        if text.startswith(_STORES):
            place, mark, options = text.partition("?")
            return Location(quote(place.rstrip("/"), _PLAIN + "%") + mark + options)
        if "://" in text:
            return Location(text.rstrip("/"))
        path = Path(text).expanduser()
        if base is not None and not path.is_absolute():
            path = base / path
        return Location("file://" + os.path.abspath(path))

    @property
    def is_local(self) -> bool:
        """True for a path on this machine."""
        return self.uri.startswith("file://")

    @property
    def path(self) -> str:
        """Path inside the file system, not encoded; for local locations a plain absolute path."""
        if self.uri.startswith(_STORES):
            bucket, _, name = self._without_options()[0].partition("://")[2].partition("/")
            # Steps that mean nothing on a disk mean nothing here: pyarrow refuses an empty one.
            steps = (step for step in unquote(name).split("/") if step not in ("", "."))
            return "/".join((bucket.rpartition("@")[2], *steps))
        return self._open()[1]

    @property
    def name(self) -> str:
        """Last component, not encoded."""
        name = posixpath.basename(self._without_options()[0])
        return unquote(name) if self.uri.startswith(_STORES) else name

    def __truediv__(self, relative: str) -> Location:
        place, options = self._without_options()
        return Location(f"{place}/{self._encoded(relative)}{options}" if relative else self.uri)

    def appended(self, suffix: str) -> Location:
        """Return the place whose name is this one's with `suffix` behind it."""
        place, options = self._without_options()
        return Location(f"{place}{self._encoded(suffix)}{options}")

    def _encoded(self, name: str) -> str:
        return quote(name, _PLAIN, errors="surrogatepass") if self.uri.startswith(_STORES) else name

    def _without_options(self) -> tuple[str, str]:
        """Return the URI up to its options, and those with their question mark; in a local name it is a character."""
        place, mark, options = (self.uri, "", "") if self.is_local else self.uri.partition("?")
        return place, mark + options

    def __str__(self) -> str:
        return self.path if self.is_local else self.uri

    def _open(self) -> tuple[pafs.FileSystem, str]:
        if self.is_local:
            return pafs.LocalFileSystem(), self.uri[len("file://") :]
        try:
            if self.uri.startswith(_STORES):
                place, options = self._without_options()
                return _connect("/".join(place.split("/", 3)[:3]) + options), self.path
            filesystem, path = pafs.FileSystem.from_uri(self.uri)
        except (pa.ArrowInvalid, OSError) as error:
            raise StoreError(f"cannot open {self.uri}: {error}") from error
        return filesystem, path

    def exists(self) -> bool:
        """True if a file or folder is there."""
        return bool(self._info().type != pafs.FileType.NotFound)

    def is_dir(self) -> bool:
        """True if a folder is there."""
        return bool(self._info().type == pafs.FileType.Directory)

    def size(self) -> int:
        """Size in bytes of the file; raises `StoreError` where there is none."""
        info = self._info()
        if info.type != pafs.FileType.File:
            raise StoreError(f"no such file: {self}")
        return int(info.size)

    def modified_ns(self) -> int:
        """Time of last change in nanoseconds since the epoch (0 where the store has none)."""
        return int(self._info().mtime_ns or 0)

    def _is_no_name(self, path: str) -> bool:
        """True for what no file can be called, where the file system would call it an error."""
        too_long = len(path.partition("/")[2].encode("utf-8", "surrogatepass")) > _LONGEST_NAME
        return "\0" in path or (too_long and self.uri.startswith(_STORES))

    def _info(self) -> pafs.FileInfo:
        filesystem, path = self._open()
        if self._is_no_name(path):
            return pafs.FileInfo(path, pafs.FileType.NotFound)
        try:
            return filesystem.get_file_info(path)
        except OSError as error:
            if error.errno in _NO_SUCH_NAME:
                return pafs.FileInfo(path, pafs.FileType.NotFound)
            raise StoreError(f"cannot look at {self}: {error}") from error

    def files(self, recursive: bool = False) -> list[str]:
        """Return the paths of the files below, relative, sorted; [] where there is no folder."""
        return sorted(entry.path for entry in self._below(recursive) if entry.kind == "file")

    def entries(self) -> list[Entry]:
        """Return all files below, at any depth, with their sizes and times, in one listing; sorted by path.

        Links that lead nowhere are among them, with the time of the link: something is meant to be there.
        """
        found = (entry for entry in self._below(recursive=True) if entry.kind != "folder")
        return sorted(Entry(entry.path, entry.size, entry.modified_ns) for entry in found)

    def folders(self) -> list[str]:
        """Return the names of the folders directly below, sorted."""
        return sorted(entry.path for entry in self._below(recursive=False) if entry.kind == "folder")

    def _below(self, recursive: bool) -> list[Found]:
        filesystem, path = self._open()
        if self._is_no_name(path):
            return []
        try:
            if self.is_local:
                return list(walk(path, recursive))
            selector = pafs.FileSelector(path, allow_not_found=True, recursive=recursive)
            infos = filesystem.get_file_info(selector)
        except OSError as error:
            if error.errno in _NO_SUCH_NAME:
                return []
            raise StoreError(f"cannot list {self}: {error}") from error
        prefix = len(path.rstrip("/")) + 1
        kinds: dict[pafs.FileType, Kind] = {pafs.FileType.File: "file", pafs.FileType.Directory: "folder"}
        return [
            Found(info.path[prefix:], kinds[info.type], int(info.size or 0), int(info.mtime_ns or 0))
            for info in infos
            if info.type in kinds
        ]

    def make_dirs(self) -> None:
        """Create the folder and its parents."""
        filesystem, path = self._open()
        try:
            filesystem.create_dir(path, recursive=True)
        except OSError as error:
            raise StoreError(f"cannot create {self}: {error}; check permissions and free space") from error

    def open_input(self) -> pa.NativeFile:
        """Open for random access reading; raises OSError where that cannot be."""
        filesystem, path = self._open()
        if self._is_no_name(path):
            raise FileNotFoundError(errno.ENOENT, "no file has such a name", path)
        return filesystem.open_input_file(path)

    def open_buffered(self) -> IO[bytes]:
        """Open like `open_input` for reading in small steps, each of which would be a request to an object store."""
        stream = self.open_input()
        return cast(IO[bytes], stream if self.is_local else io.BufferedReader(stream, _READ_BUFFER))

    def read_bytes(self) -> bytes:
        """Return the whole content."""
        with self.open_input() as stream:
            return cast(bytes, stream.read())

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn an OSError of the body, which reads this file, into a `StoreError` that names it."""
        try:
            yield
        except OSError as error:
            raise StoreError(f"cannot read {self}: {error}") from error

    @contextmanager
    def write_whole(self) -> Iterator[IO[bytes]]:
        """Open for writing; the file appears under its name only after a clean exit.

        Raises `StoreError` on a full disk or missing permission; nothing is left behind then but a
        ``.tmp-*`` file, which the next run in the same folder removes. What the body raises for reasons of its
        own, an OSError of a file that it reads included, passes through: it is not this file's fault.
        """
        filesystem, path = self._open()
        parent, name = posixpath.split(path)
        aside = posixpath.join(parent, f"{ASIDE}{uuid.uuid4().hex[:8]}-{name}")
        with self._writing():
            if not self.uri.startswith("s3://"):  # there, folders are names that files begin with
                filesystem.create_dir(parent, recursive=True)
            stream = filesystem.open_output_stream(aside, buffer_size=_WRITE_BUFFER)
        with ExitStack() as broken_off:
            broken_off.callback(_close_quietly, stream)
            yield cast(IO[bytes], _Sink(self, stream))
            broken_off.pop_all()
        with self._writing():
            stream.close()
            if self.is_local:
                _flush(aside)
            filesystem.move(aside, path)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(f"cannot write {self}: {error}; free space or permissions, then run again")

    def write_bytes(self, data: bytes) -> None:
        """Write the whole content, whole or not at all."""
        with self.write_whole() as stream:
            stream.write(data)

    def delete(self) -> None:
        """Delete the file, if it is there; another process may delete it at the same time."""
        filesystem, path = self._open()
        if self._info().type == pafs.FileType.File:
            with suppress(FileNotFoundError):
                filesystem.delete_file(path)

    def delete_dir(self) -> None:
        """Delete the folder and all below it, if it is there."""
        filesystem, path = self._open()
        if self._info().type == pafs.FileType.Directory:
            filesystem.delete_dir(path)


class _Sink:
    """What `Location.write_whole` yields: failures of the stream below become `StoreError`s that name the file."""

    def __init__(self, location: Location, stream: pa.NativeFile) -> None:
        self._location = location
        self._stream = stream

    @property
    def closed(self) -> bool:
        """True once the file is closed, which its owner does."""
        return bool(self._stream.closed)

    def write(self, data: bytes | pa.Buffer) -> int:
        """Write all of the data."""
        try:  # not `_writing`: a million lines are written one by one, and a generator costs more than one of them
            return cast(int, self._stream.write(data))
        except OSError as error:
            raise self._location._unwritable(error) from error

    def tell(self) -> int:
        """Return the number of bytes written."""
        return cast(int, self._stream.tell())

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        with self._location._writing():
            self._stream.flush()

    def close(self) -> None:
        """Do nothing: the file gets its name at the end of `Location.write_whole` and not before."""


def split_options(pattern: str) -> tuple[str, str]:
    """Return a path, URI or glob of one up to the options of an object store, and those with their question mark."""
    found = _OPTIONS.search(pattern) if pattern.startswith(_STORES) else None
    return (pattern[: found.start()], pattern[found.start() :]) if found else (pattern, "")


@lru_cache(maxsize=64)
def _connect(bucket: str) -> pafs.FileSystem:
    """Return this process's client of a bucket, by URI with options: each client makes connections of its own."""
    return pafs.FileSystem.from_uri(bucket)[0]


def _close_quietly(stream: pa.NativeFile) -> None:
    """Close a file that will not be used: another error is on its way and is the one to tell."""
    with suppress(OSError):
        stream.close()


def _flush(path: str) -> None:
    """Force a written file to the disk before it gets its name: a power cut must not leave an empty one."""
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())
