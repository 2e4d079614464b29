"""The leakage table: how many rows of which source leak which evaluation set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import Field

from infinity_mm.frozen import Frozen


class Leak(Frozen):
    """Rows of one source that leak one benchmark, each counted under its strongest evidence."""

    rows: int
    image_and_question: int = 0
    image: int = 0
    question: int = 0


class Leakage(Frozen):
    """What one source, or one part of it, leaks; rows that several benchmarks know are counted once in `rows`."""

    #: Rows looked at, and those that leak.
    checked: int = 0
    rows: int = 0
    #: Benchmark -> rows.
    benchmarks: dict[str, Leak] = Field(default_factory=dict)


class LeakageReport(Frozen):
    """What a run found of the evaluation sets in its sources."""

    #: Digest of the index, and its benchmarks.
    index: str
    benchmarks: tuple[str, ...]
    #: What became of the rows that leak: "drop" or "mark".
    mode: str
    #: Source -> what it leaks; rows that a filter dropped before are not looked at.
    sources: dict[str, Leakage]


def add_leakage(several: Iterable[Leakage]) -> Leakage:
    """Return the sum over parts."""
    checked = rows = 0
    sums: dict[str, Counter[str]] = {}
    for one in several:
        checked += one.checked
        rows += one.rows
        for name, leak in one.benchmarks.items():
            sums.setdefault(name, Counter()).update(leak.model_dump())
    return Leakage(
        checked=checked, rows=rows, benchmarks={name: Leak(**number) for name, number in sorted(sums.items())}
    )
