"""What a person sees while URLs are fetched: how many a second, and how they fail."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from pydantic import Field

from infinity_mm.download.shard import ShardStats
from infinity_mm.errors import StoreError
from infinity_mm.frozen import Frozen
from infinity_mm.progress import LINE_EVERY_S, Reporter
from infinity_mm.store import Store

#: Folder of the sums of each task at work.
FETCHING = "state/fetching"


class Sums(Frozen):
    """How far one fetching task has come."""

    todo: int = 0
    urls: int = 0
    downloaded: int = 0
    bytes: int = 0
    #: Reason -> URLs.
    failed: dict[str, int] = Field(default_factory=dict)

    def plus(self, stats: ShardStats | Sums) -> Sums:
        """Return the sums with those of one more shard, or task."""
        names = self.failed.keys() | stats.failed.keys()
        return Sums(
            todo=self.todo + (stats.todo if isinstance(stats, Sums) else 0),
            urls=self.urls + stats.urls,
            downloaded=self.downloaded + stats.downloaded,
            bytes=self.bytes + stats.bytes,
            failed={name: self.failed.get(name, 0) + stats.failed.get(name, 0) for name in sorted(names)},
        )

    def line(self, seconds: float) -> str:
        """Return one line for people."""
        most = sorted(self.failed.items(), key=lambda item: (-item[1], item[0]))[:4]
        failures = f"; failed {sum(self.failed.values()):,}: " if most else ""
        return (
            f"fetch        {self.urls:,} of {self.todo:,} URLs begun, {self.urls / max(seconds, 1e-3):,.0f}/s, "
            f"{self.bytes / 1e6:,.1f} MB{failures}{', '.join(f'{name} {count:,}' for name, count in most)}"
        )


class Watch:
    """Prints a line every few seconds while tasks fetch, read from the files in which they note their sums."""

    def __init__(self, reporter: Reporter, store: Store, every: float = LINE_EVERY_S) -> None:
        self._reporter = reporter
        self._store = store
        self._every = every
        self._over = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._store.at(FETCHING).delete_dir()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self._say()

    def read(self) -> Sums:
        """Return the sums over all tasks since the watch began."""
        total = Sums()
        for name in self._store.at(FETCHING).files():
            if name.endswith(".json") and not name.startswith("."):
                total = total.plus(Sums.model_validate_json(self._store.at(f"{FETCHING}/{name}").read_bytes()))
        return total

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            self._say()

    def _say(self) -> None:
        try:
            sums = self.read()
        except (OSError, StoreError):  # a full or lost disk is for the tasks to report
            return
        if sums.urls:
            self._reporter.line(sums.line(time.monotonic() - self._began))
