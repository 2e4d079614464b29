"""The engine's seam without Ray, for tests of what passes do and not of where they do it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any


class InlineEngine:
    """Runs every task here and now, as `infinity_mm.engine.Engine` would on a cluster."""

    cpus = 1

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        pass

    def __enter__(self) -> "InlineEngine":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    @property
    def gpus(self) -> float:
        """None here."""
        return 0.0

    def check_room(self, who: str, need: Any) -> None:
        """Leave it to the test what there is room for."""

    def map(
        self, stage: str, function: Callable[[Any], Any], tasks: Sequence[Any], resources: Any = None, together: int = 1
    ) -> Iterator[tuple[int, Any]]:
        for index, task in enumerate(tasks):
            yield index, function(task)

    def crew(
        self,
        build: Callable[[Any], Any],
        spec: Any,
        resources: Any,
        actors: int = 1,
        threads: int = 1,
        tell: Callable[[str], None] = print,
    ) -> "InlineCrew":
        return InlineCrew(build, spec)

    def map_actors(
        self,
        stage: str,
        build: Callable[[Any], Any],
        spec: Any,
        tasks: Sequence[Any],
        resources: Any,
        actors: int = 1,
        threads: int = 1,
        tell: Callable[[str], None] = print,
    ) -> Iterator[tuple[int, Any]]:
        yield from InlineCrew(build, spec).map(stage, lambda worker, task: worker(task), tasks)


class InlineCrew:
    """One worker in this process, as `infinity_mm.engine.crew.Crew` would have them on a cluster."""

    def __init__(self, build: Callable[[Any], Any], spec: Any) -> None:
        self._build, self._spec = build, spec
        self._held: list[Any] = []

    def __enter__(self) -> "InlineCrew":
        return self

    def __exit__(self, *error: object) -> None:
        for held in self._held:
            held.close()

    def map(self, stage: str, function: Callable[[Any, Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        if tasks and not self._held:
            self._held.append(self._build(self._spec))
        for index, task in enumerate(tasks):
            yield index, function(self._held[0], task)
