"""The files of a cache: immutable, sorted by key, named by the range of keys they hold and by their content.

``k<prefix>-<digest>.parquet`` holds keys that begin with the prefix (hex digits; none for all keys). A partition adds
one file for all keys. Where more than `CROWD` files share a prefix they are merged into one; where that one would
exceed `MAX_ROWS` it is cut by the next digit. So a cache of many millions is a tree of small files: a look opens those
on the way to its keys, and in them the row groups whose statistics allow the key.

Any number of runs may add, look and merge at once, without locks:

- A file appears whole (`Location.write_whole`) and is never changed.
- A merge deletes its inputs after their union is there. A file that another merge deletes meanwhile is in that one's
  result. Names are made of content, and of two answers to one question the same one stays in every merge; so two
  merges can neither each delete what the other relies on nor write different files under one name.
- A look that finds a listed file gone lists again.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infinity_mm.errors import StoreError
from infinity_mm.fs import ASIDE, Location
from infinity_mm.synth.cache.entries import ENTRIES, digest, merge
from infinity_mm.synth.cache.key import PLACE

#: Files of one prefix that are left side by side.
CROWD = 8
#: Entries of one file, about 16 MB of short answers.
MAX_ROWS = 1 << 16
#: Entries of one row group: what a look must read for one picture.
GROUP_ROWS = 512
#: Files that are read at once; object stores answer in tens of milliseconds.
THREADS = 16
#: How often a look begins again because files were merged away under it.
_LOOKS = 20
#: Nanoseconds after which a half-written file belongs to a process that is gone.
_ABANDONED = 24 * 3600 * 10**9

_NAME = re.compile(r"k([0-9a-f]*)-[0-9a-f]{16}\.parquet")

T = TypeVar("T")


class Merged(NamedTuple):
    """What `GenerationFiles.compact` did."""

    #: Files that went.
    files: int
    #: Files that came.
    written: int


@dataclass(frozen=True)
class GenerationFiles:
    """A cache of generations in a folder of any file system."""

    root: Location

    def find(self, places: Collection[str]) -> pa.Table:
        """Return all entries whose keys begin with one of `places` (`PLACE` hex digits each), by key.

        Raises `StoreError` for a file that cannot be read.
        """
        if not places:
            return ENTRIES.empty_table()
        for _ in range(_LOOKS):
            names = [name for name, prefix in self._listing().items() if any(p.startswith(prefix) for p in places)]
            try:
                return merge(_at_once(lambda name: self._read(name, places), names))
            except FileNotFoundError:
                continue
        raise StoreError(f"files of the generation cache {self.root} vanish while they are read; is it being deleted?")

    def add(self, table: pa.Table) -> None:
        """Write a table of entries, sorted and unique, as one file; nothing where there are none."""
        if table.num_rows:
            self._write("", table)

    def compact(self) -> Merged:
        """Merge files until no prefix has more than `CROWD`, and delete half-written ones of a day ago."""
        gone = written = 0
        self._sweep()
        while crowded := {p: names for p, names in self._by_prefix().items() if len(names) > CROWD}:
            prefix = min(crowded, key=len)
            try:
                made = self._merge(prefix, crowded[prefix])
            except FileNotFoundError:
                continue  # another run merges the same files: look what is left
            gone, written = gone + len(crowded[prefix]), written + made
        return Merged(gone, written)

    def rows(self) -> int:
        """Return how many entries the files hold, from their footers; a question answered in two files counts twice."""
        return sum(_at_once(self._rows, list(self._listing())))

    def _merge(self, prefix: str, names: Sequence[str]) -> int:
        whole = merge(_at_once(lambda name: self._read(name, None), names))
        made = {self._write(*piece) for piece in _pieces(prefix, whole)}
        for name in names:
            if name not in made:
                (self.root / name).delete()
        return len(made)

    def _listing(self) -> dict[str, str]:
        """Return name -> prefix of the files.

        A folder that changes may be listed without both a merge's inputs and its result, so it is listed until nothing
        changes.
        """
        before = self.root.files()
        for _ in range(_LOOKS):
            after = self.root.files()
            if after == before:
                break
            before = after
        return {name: found[1] for name in before if (found := _NAME.fullmatch(name))}

    def _by_prefix(self) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = defaultdict(list)
        for name, prefix in self._listing().items():
            groups[prefix].append(name)
        return groups

    def _sweep(self) -> None:
        now = time.time_ns()
        for name in self.root.files():
            if name.startswith(ASIDE) and 0 < (self.root / name).modified_ns() < now - _ABANDONED:
                (self.root / name).delete()

    def _write(self, prefix: str, table: pa.Table) -> str:
        name = f"k{prefix}-{digest(table)}.parquet"
        with (self.root / name).write_whole() as stream:
            pq.write_table(table, stream, compression="zstd", row_group_size=GROUP_ROWS, write_page_checksum=True)
        return name

    def _read(self, name: str, places: Collection[str] | None) -> pa.Table:
        """Return a file's entries, of the given places or all; raises FileNotFoundError where it is gone."""
        location = self.root / name
        try:
            with location.open_input() as stream, pq.ParquetFile(stream, page_checksum_verification=True) as file:
                groups = None if places is None else _groups(file.metadata, places)
                if groups is None:
                    return file.read(use_threads=False).cast(ENTRIES)
                found = file.read_row_groups(groups, use_threads=False) if groups else ENTRIES.empty_table()
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowInvalid, pa.ArrowKeyError) as error:
            if not location.exists():  # an object that goes while it is read is an error of the store, not of a path
                raise FileNotFoundError(str(location)) from error
            raise StoreError(
                f"cannot read {location} of the generation cache: {error}; delete that file (its generations are then "
                "made again where they are needed) and run again"
            ) from error
        heads = pc.utf8_slice_codeunits(found.column("key"), 0, PLACE)
        return found.filter(pc.is_in(heads, value_set=pa.array(sorted(places or ()), pa.string()))).cast(ENTRIES)

    def _rows(self, name: str) -> int:
        with (self.root / name).open_input() as stream:
            return int(pq.read_metadata(stream).num_rows)


def _pieces(prefix: str, table: pa.Table) -> Iterable[tuple[str, pa.Table]]:
    """Yield (prefix, entries) of at most `MAX_ROWS` each, cut by further digits where there are more."""
    if table.num_rows <= MAX_ROWS or len(prefix) >= PLACE:
        yield prefix, table
        return
    digits = pc.utf8_slice_codeunits(table.column("key"), len(prefix), len(prefix) + 1)
    for digit in "0123456789abcdef":
        part = table.filter(pc.equal(digits, digit))
        if part.num_rows:
            yield from _pieces(prefix + digit, part)


def _groups(metadata: pq.FileMetaData, places: Collection[str]) -> list[int]:
    """Return the row groups in which keys of `places` can be, by their statistics."""
    column = metadata.schema.names.index("key")
    found = []
    for number in range(metadata.num_row_groups):
        known = metadata.row_group(number).column(column).statistics
        low, high = (known.min[:PLACE], known.max[:PLACE]) if known is not None and known.has_min_max else ("", "g")
        if any(low <= place <= high for place in places):
            found.append(number)
    return found


def _at_once(function: Callable[[str], T], names: Sequence[str]) -> list[T]:
    if len(names) < 2:
        return [function(name) for name in names]
    with ThreadPoolExecutor(min(THREADS, len(names))) as pool:
        return list(pool.map(function, names))
