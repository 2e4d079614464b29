"""The reader of files that hold rows: JSON Lines, JSON arrays and objects, Parquet, tables as text; also compressed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import xxhash

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.sources.base import Plan, Raw, Split
from infinity_mm.sources.families.delimited import is_delimited, read_table, scan_table
from infinity_mm.sources.families.files import find_files
from infinity_mm.sources.families.lines import (
    elements,
    is_json_lines,
    prepared_line,
    read_lines,
    scan_lines,
    scan_prepared,
)
from infinity_mm.sources.families.packed import SUFFIXES as PACKED
from infinity_mm.sources.families.packed import inner_name, is_packed, read_packed, scan_packed
from infinity_mm.sources.families.parquet import is_parquet, parquet_digest, plan_parquet, read_parquet

#: How a file begins that a clone without Git LFS has in place of a large one, and what it never reaches in bytes.
_POINTER = b"version https://git-lfs.github.com/spec/"
_LONGEST_POINTER = 1_024


@dataclass(frozen=True)
class RowFiles:
    """Reads rows from files, by content; compressed files and tables as text are told by their names."""

    #: Keys whose array holds the rows, where the file is an object: ("data",).
    inside: tuple[str, ...] = ()
    #: False for sources that publish an object keyed by id, which is one line when minified; copies as lines are read.
    lines: bool = True
    suffixes: tuple[str, ...] = (".json", ".jsonl", ".parquet", *(f".jsonl{packed}" for packed in PACKED))
    #: Globs of files that are no annotations of the source.
    ignored: tuple[str, ...] = ()
    #: The columns of Parquet files that are read, in lower case (files differ in the case); () reads all. A JSON
    #: object that begins with one of them is a row by itself, as dataset cards show them.
    columns: tuple[str, ...] = ()
    version: int = 5

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Cut every file; see `infinity_mm.sources.base.Reader`."""
        splits: list[Split] = []
        digests: list[tuple[str, str]] = []
        found = find_files(root, files, self.suffixes, self.ignored)
        for file in without_packed_copies(found):
            digest, cuts = self.plan_file(root / file, file, prepare_to, rows)
            digests.append((file, digest))
            splits += cuts
        return Plan(tuple(splits), tuple(digests))

    def plan_file(self, location: Location, file: str, prepare_to: Location, rows: int) -> tuple[str, Iterable[Split]]:
        """Return the digest of one file and its splits; raises `SourceError` where Git left a pointer in its place."""
        size = location.size()
        if size == 0:
            return "empty", ()
        if size < _LONGEST_POINTER and location.read_bytes().startswith(_POINTER):
            raise SourceError(
                f"{location}: expected rows, got a Git LFS pointer to them ({size} bytes); run `git lfs pull` in the "
                "clone, or download the file itself"
            )
        if is_packed(file):
            return content_digest(location), scan_packed(location, file, rows)
        if is_delimited(file):
            return content_digest(location), scan_table(location, file, rows)
        if is_parquet(location):
            return parquet_digest(location), plan_parquet(location, file, rows, self.columns)
        if is_json_lines(location, self.inside, several=not self.lines):
            scan = scan_lines(location, file, rows)
            return scan.digest, scan.splits
        prepared = prepare_to / f"{xxhash.xxh3_64_hexdigest(file.encode())}.jsonl"
        with prepared.write_whole() as stream:
            for locator, row, fault in elements(location, self.inside, self.columns):
                stream.write(prepared_line(locator, row, fault))
        return content_digest(location), scan_prepared(prepared, file, rows)

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield the rows of a split; see `infinity_mm.sources.base.Reader`."""
        location = root / split.file
        if split.prepared is not None:
            return read_lines(root, split)
        if is_packed(split.file):
            return read_packed(location, split)
        if is_delimited(split.file):
            return read_table(location, split)
        if is_parquet(location):
            return read_parquet(location, split, self.columns)
        return read_lines(root, split)


def without_packed_copies(files: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files without those that lie beside what someone unpacked from them."""
    return tuple(file for file in files if not (is_packed(file) and inner_name(file) in files))


def content_digest(location: Location) -> str:
    """Return xxh3_128 of a file's content, streaming, 32 hex digits."""
    digest = xxhash.xxh3_128()
    with location.open_input() as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
