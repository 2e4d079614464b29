"""Compressed files of lines, as streams: gzip, bzip2, Zstandard, and zip archives of such files.

Nothing is unpacked to disk. A compressed stream cannot be entered in the middle, so a split is a range of rows,
and reading it decompresses what stands before; a file is therefore cut into `MOST_SPLITS` splits at most.
"""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import IO, Any, cast

import pyarrow as pa
import xxhash

from infinity_mm.fs import Location
from infinity_mm.sources.base import Quarantine, Raw, Split
from infinity_mm.sources.families.delimited import Dialect, find_dialect, is_delimited, read_fields, whole_rows
from infinity_mm.sources.families.lines import find_repeats, read_line, repeats_within

SUFFIXES = (".gz", ".bz2", ".zst", ".zip")
#: The mean row is reached by decompressing half the file: 256 splits cost 128 passes, at about 200 MB/s.
MOST_SPLITS = 256
#: Bytes of the longest line; what is longer after decompression is a bomb or no file of lines.
LONGEST_LINE = 256 << 20
#: Bytes asked for at once. What was asked for together is lost together where the stream is damaged.
_CHUNK = 1 << 16

_DAMAGE = (
    OSError, EOFError, zlib.error, zipfile.BadZipFile, pa.ArrowException,
    RuntimeError,  # zipfile: the member is encrypted
    NotImplementedError,  # zipfile: compressed by a method that Python lacks
)  # fmt: skip


class Damaged(Exception):
    """The archive ends or fails where more was expected; the message says how."""


def is_packed(file: str) -> bool:
    """True for the name of a compressed file."""
    return file.lower().endswith(SUFFIXES)


def inner_name(file: str) -> str:
    """Return the name without what says that it is compressed."""
    return file[: file.rindex(".")]


def scan_packed(location: Location, file: str, rows: int) -> tuple[Split, ...]:
    """Cut a compressed file into ranges of rows; where it breaks off, one more row stands for the rest."""
    digests = array("Q")
    try:
        for _, text, _ in _rows(location, file):
            digests.append(xxhash.xxh3_64_intdigest(text.strip()))
    except Damaged:
        digests.append(0)
    repeats = find_repeats(digests)
    size = max(rows, -(-len(digests) // MOST_SPLITS))
    cuts = [(start, min(start + size, len(digests))) for start in range(0, len(digests), size)]
    return tuple(Split(file, a, b, a, b - a, repeats_within(repeats, a, b)) for a, b in cuts)


def read_packed(location: Location, split: Split) -> Iterator[Raw]:
    """Yield the rows of a split of a compressed file, as many as were planned, whatever is damaged."""
    repeats = dict(split.repeats)
    done = 0
    try:
        for locator, text, dialect in islice(_rows(location, split.file), split.start, split.stop):
            again = repeats.get(done, 0)
            if is_delimited(inner_name(split.file)):
                yield read_fields(text, locator, again, dialect)
            else:
                yield read_line(text.strip(), locator, again)
            done += 1
    except Damaged as error:
        for number in range(split.start + done, split.stop):
            fault = Quarantine("malformed_archive", f"{split.file} breaks off after {number} rows: {error}"[:400])
            yield Raw(f"row={number}", None, f"damaged-{number}", 0, fault)


def _rows(location: Location, file: str) -> Iterator[tuple[str, bytes, Dialect | None]]:
    """Yield (locator, row, dialect of the table or None for JSON Lines)."""
    lines = packed_lines(location)
    inner = inner_name(file)
    if not is_delimited(inner):
        yield from ((locator, line, None) for locator, line in lines)
        return
    first, dialect = b"", None
    for locator, row in whole_rows(lines, inner):
        if dialect is None:
            first, dialect = row, find_dialect(row, inner)
        # Every member of a zip archive repeats the row of names.
        if not (dialect.named and row == first):
            yield locator, row, dialect


def packed_lines(location: Location) -> Iterator[tuple[str, bytes]]:
    """Yield (locator, line without its newline) of the non-blank lines; raises `Damaged` after what could be read.

    The lines of several members of a zip archive follow each other in the order of the archive.
    """
    try:
        with location.open_input() as stream:
            for member, content in _contents(stream, location.name.lower()):
                prefix = f"member={member}:" if member else ""
                with closing(content):
                    for number, line in enumerate(_lines(content), 1):
                        if line.strip():
                            yield f"{prefix}line={number}", line
    except _DAMAGE as error:
        raise Damaged(f"{type(error).__name__}: {error}") from error


def _contents(stream: pa.NativeFile, name: str) -> Iterator[tuple[str, io.BufferedIOBase]]:
    """Yield (member, decompressed stream); the member is "" where the archive can have only one."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(cast("IO[bytes]", stream)) as archive:
            members = [info for info in archive.infolist() if _is_content(info)]
            for info in members:
                yield info.filename if len(members) > 1 else "", cast(io.BufferedIOBase, archive.open(info))
    elif name.endswith(".gz"):
        yield "", gzip.GzipFile(fileobj=cast(Any, stream))
    elif name.endswith(".bz2"):
        yield "", bz2.BZ2File(cast("IO[bytes]", stream))
    else:
        yield "", cast(io.BufferedIOBase, pa.CompressedInputStream(stream, "zstd"))


def _is_content(info: zipfile.ZipInfo) -> bool:
    """False for folders and for what desktops leave in archives; names are shown only, so none of them is dangerous."""
    steps = info.filename.split("/")
    hidden = any((step.startswith(".") and step.strip(".")) or step == "__MACOSX" for step in steps)
    return not info.is_dir() and not hidden


def _lines(stream: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield the lines of a stream that need not know lines itself."""
    parts: list[bytes] = []
    length = 0
    while chunk := stream.read1(_CHUNK):
        head, *lines = chunk.split(b"\n")
        parts.append(head)
        for following in lines:
            yield b"".join(parts)
            parts, length = [following], 0
        length += len(chunk)
        if length > LONGEST_LINE:
            raise Damaged(f"a line has more than {LONGEST_LINE} bytes")
    if any(parts):
        yield b"".join(parts)
