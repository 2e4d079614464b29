"""The reader of sources whose layout is their own, and of the copies of them that have a row per line or record."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass

from infinity_mm.fs import Location
from infinity_mm.sources.base import Plan, Raw, Reader, Split
from infinity_mm.sources.families.files import find_files
from infinity_mm.sources.families.parquet import is_parquet
from infinity_mm.sources.families.rowfiles import RowFiles

_TABLES = RowFiles()


@dataclass(frozen=True)
class OrTables:
    """Reads Parquet and JSON Lines row by row, all other files as `base` does; published names go before both."""

    base: Reader

    @property
    def version(self) -> int:
        """Of both readers."""
        return 100 * self.base.version + _TABLES.version

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Those of `base`, Parquet and JSON Lines."""
        return (*self.base.suffixes, ".parquet", ".jsonl")

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Cut every file; see `infinity_mm.sources.base.Reader`."""
        found = find_files(root, files, self.suffixes)
        tables = [file for file in found if _is_table(root / file)]
        others = [file for file in found if file not in set(tables)]
        plans = [
            reader.plan(root, tuple(map(glob.escape, names)), prepare_to, rows)
            for reader, names in ((self.base, others), (_TABLES, tables))
            if names
        ]
        return Plan(
            tuple(split for plan in plans for split in plan.splits),
            tuple(digest for plan in plans for digest in plan.files),
        )

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield the rows of a split; see `infinity_mm.sources.base.Reader`."""
        if split.prepared is None and _is_table(root / split.file):
            return _TABLES.read(root, split)
        return self.base.read(root, split)


def _is_table(location: Location) -> bool:
    return location.name.lower().endswith(".jsonl") or is_parquet(location)
