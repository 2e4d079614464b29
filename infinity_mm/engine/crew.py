"""Workers that last over several passes, each with something costly in its process: a model, above all.

A crew starts nobody before its first task. Its passes come one after the other; their workers stay from one to the
next, so that a model is loaded once for all of them, and more join where a pass has tasks for more. A worker whose
process dies, at work or between two passes, is replaced. When the crew ends, its workers close what they hold before
they go: the models of whoever comes next then find the memory free.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import ray

from infinity_mm.engine.cluster import fetch, whole
from infinity_mm.errors import EngineDiedError, InfinityMMError, StageError
from infinity_mm.resources import Resources

W = TypeVar("W")
T = TypeVar("T")
R = TypeVar("R")

#: How often a task is tried again when its worker process dies (killed, out of memory, node lost).
WORKER_DEATHS = 3
#: Seconds between words about what is waited for, and for workers to close what they hold.
PATIENCE_S = 60.0


@runtime_checkable
class Closing(Protocol):
    """What a worker holds that is closed before its process ends: that alone would not free all of it at once."""

    def close(self) -> None:
        """Free what takes memory, here and in other processes."""
        ...


class _Host:
    """The Ray actor that holds what a worker needs, built on the worker's own process."""

    def __init__(self, build: Callable[[Any], Any], spec: Any) -> None:
        self._build = build
        self._spec = spec
        self._held: list[Any] = []

    def ready(self) -> bool:
        # Not in __init__: what a constructor raises reaches the driver as a death without a cause.
        if not self._held:
            self._held.append(self._build(self._spec))
        return True

    def handle(self, function: Callable[[Any, Any], Any], task: Any) -> Any:
        if not self._held:
            raise StageError("a worker was asked before it was ready; this is a bug, please report it")
        return function(self._held[0], task)

    def close(self) -> None:
        for held in self._held:
            if isinstance(held, Closing):
                held.close()


class Crew(Generic[W]):
    """Up to `actors` workers, each of which holds ``build(spec)`` and handles up to `threads` tasks at once.

    `room` says of (stage, workers that are wanted) for how many there is room, or raises. Use as a context manager,
    for one pass at a time.
    """

    def __init__(
        self,
        build: Callable[[Any], W],
        spec: Any,
        resources: Resources,
        actors: int,
        threads: int,
        tell: Callable[[str], None],
        room: Callable[[str, int], int],
    ) -> None:
        self._build, self._spec, self._need, self._tell, self._room = build, spec, resources, tell, room
        self._actors = max(1, actors)
        self._host = ray.remote(_Host).options(
            num_cpus=resources.cpus, num_gpus=resources.gpus, max_restarts=0, max_concurrency=threads
        )
        #: Tasks that a worker may have: those at work, and the next one.
        self._most = threads + 1
        self._stage = ""
        #: Workers at work with how many tasks they have, and by the call that waits for them those that still start.
        self._loads: dict[Any, int] = {}
        self._starting: dict[Any, Any] = {}
        #: In a row: of workers, without a finished task in between; of those that start, without one that came.
        self._deaths = 0
        self._stillborn = 0

    def __enter__(self) -> Crew[W]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        closing = [actor.close.remote() for actor in self._loads] if error is None else []
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=PATIENCE_S)
        self._end()

    def map(self, stage: str, function: Callable[[W, T], R], tasks: Sequence[T]) -> Generator[tuple[int, R]]:
        """Run ``function(held, task)`` on each task; yield (index of the task, result) as they finish.

        A task goes to the worker with the fewest, so a slow one holds nobody up. Work begins with the first worker
        that is there; the others join when the cluster has room for them, and their share of the last tasks is left
        for them. While there is none, `tell` hears every `PATIENCE_S` what is waited for. A worker whose process dies
        is replaced, and its unfinished tasks are sent again, after all others: one of them may be what it died of.

        Raises as `infinity_mm.engine.Engine.map` does; `ModelError` when `WORKER_DEATHS` die and no task is finished
        in between; `EngineError` where an embedded node will never have what a worker occupies. Whoever ends it before
        the last task ends the crew's workers with it.
        """
        waiting: dict[Any, tuple[int, Any]] = {}
        todo = list(range(len(tasks)))[::-1]
        try:
            self._gather(stage, len(tasks))
            while todo or waiting:
                while todo and (actor := self._take(len(todo) + len(waiting))) is not None:
                    index = todo.pop()
                    waiting[actor.handle.remote(function, tasks[index])] = index, actor
                reference = self._wait(waiting)
                if reference is None:
                    continue
                index, actor = waiting.pop(reference)
                try:
                    result = fetch(stage, reference, tasks[index])
                except EngineDiedError as error:
                    self._replace(actor, error)
                    todo.insert(0, index)
                else:
                    self._done(actor)
                    yield index, result
        finally:
            if todo or waiting:
                for reference in waiting:
                    ray.cancel(reference, force=False)
                self._end()

    def _gather(self, stage: str, tasks: int) -> None:
        """See who is left of the pass before, and start as many as there are tasks and room for."""
        self._stage, self._deaths, self._stillborn = stage, 0, 0
        if not tasks:
            return
        calls = {actor: actor.ready.remote() for actor in self._loads}
        for actor, call in calls.items():
            try:
                fetch(stage, call, "roll call")
            except EngineDiedError:
                del self._loads[actor]
        size = self._room(stage, min(self._actors, tasks))
        while len(self._loads) + len(self._starting) < size:
            self._start()

    def _take(self, unfinished: int) -> Any | None:
        """Return the worker with the fewest tasks, for one more; None where all have enough.

        While others are starting, it gets no more than its share of the `unfinished` tasks.
        """
        actor = min(self._loads, key=self._loads.__getitem__, default=None)
        share = math.ceil(unfinished / (len(self._loads) + len(self._starting))) if self._starting else self._most
        if actor is None or self._loads[actor] >= min(share, self._most):
            return None
        self._loads[actor] += 1
        return actor

    def _wait(self, tasks: Iterable[Any]) -> Any | None:
        """Return a task that ended, or None when the workers have changed or time has passed."""
        ended, _ = ray.wait([*tasks, *self._starting], num_returns=1, timeout=None if self._loads else PATIENCE_S)
        if not ended:
            self._tell(
                f"stage {self._stage!r} waits for a worker with {self._need}; the cluster has {whole()}, those in "
                "use included"
            )
            return None
        if ended[0] in self._starting:
            self._join(ended[0])
            return None
        return ended[0]

    def _done(self, actor: Any) -> None:
        """Note that a worker has finished a task."""
        self._deaths = 0
        if actor in self._loads:
            self._loads[actor] -= 1

    def _replace(self, actor: Any, error: EngineDiedError) -> None:
        """Put a new worker in the place of a dead one, which each of its tasks reports; raise when too many died."""
        if self._loads.pop(actor, None) is None:
            return
        self._deaths += 1
        if self._deaths >= WORKER_DEATHS:
            raise error
        ray.kill(actor)
        self._start()

    def _end(self) -> None:
        """End all workers, in the middle of whatever they do."""
        for actor in (*self._loads, *self._starting.values()):
            ray.kill(actor)
        self._loads, self._starting = {}, {}

    def _start(self) -> None:
        actor = self._host.remote(self._build, self._spec)
        self._starting[actor.ready.remote()] = actor

    def _join(self, reference: Any) -> None:
        """Take a worker into service; raises what it met in its start.

        One that died in its start is replaced; after `WORKER_DEATHS` in a row only where no other is left.
        """
        actor = self._starting.pop(reference)
        try:
            fetch(self._stage, reference, "start-up")
        except EngineDiedError as error:
            self._stillborn += 1
            if self._stillborn < WORKER_DEATHS:
                self._start()
            elif self._loads or self._starting:
                self._tell(f"warning: stage {self._stage!r} goes on with a worker less: {error}")
            else:
                raise
        except InfinityMMError:
            ray.kill(actor)
            raise
        else:
            self._loads[actor] = 0
            self._stillborn = 0
