"""What a person sees while a job runs: a bar on a terminal, plain lines in a log. All on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")

#: Seconds between lines where there is no terminal.
LINE_EVERY_S = 10.0


class Reporter:
    """Announces stages and follows their partitions. `quiet` says nothing at all."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False)

    def line(self, text: str) -> None:
        """Print one line."""
        if not self._quiet:
            self._console.print(text, markup=False, soft_wrap=True)

    def follow(self, stage: str, items: Iterable[T], total: int, cached: int) -> Iterator[T]:
        """Yield `items` while showing how many of `total` are done; `cached` were there before."""
        if self._quiet or total == 0:
            if total == 0 and cached:
                self.line(f"{stage:<12} {cached} partitions, all done before")
            yield from items
        elif sys.stderr.isatty():
            yield from self._bar(stage, items, total, cached)
        else:
            yield from self._lines(stage, items, total, cached)

    def _bar(self, stage: str, items: Iterable[T], total: int, cached: int) -> Iterator[T]:
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console) as bars:
            bar = bars.add_task(stage, total=total + cached, completed=cached)
            for item in items:
                yield item
                bars.advance(bar)

    def _lines(self, stage: str, items: Iterable[T], total: int, cached: int) -> Iterator[T]:
        before = f", {cached} done before" if cached else ""
        self.line(f"{stage:<12} {total} partitions{before}")
        began = said = time.monotonic()
        for done, item in enumerate(items, 1):
            yield item
            if time.monotonic() - said >= LINE_EVERY_S:
                said = time.monotonic()
                rest = (said - began) / done * (total - done)
                self.line(f"{stage:<12} {done}/{total}, about {rest:.0f} s left")
