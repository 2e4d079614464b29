"""The one module that imports Ray.

The pipeline hands over module-level functions and lists of small frozen tasks; each task reads its
own inputs from the store and writes its own outputs, so nothing but a few hundred bytes travels
through Ray and a task can run anywhere, be repeated, or be lost with its node. Plain Ray tasks are
used rather than Ray Data: an identity pass over a million short rows costs Ray Data about seven times
the CPU of reading and writing them with pyarrow, and its file names, order and block sizes are not a
function of the input.
"""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, Protocol, TypeVar

import ray
from ray import exceptions as ray_errors

from infinity_mm.errors import EngineDiedError, EngineError, InfinityMMError, StageError
from infinity_mm.housekeeping import keep_house
from infinity_mm.resources import Resources

T = TypeVar("T")
R = TypeVar("R")

#: How often a task is tried again when its worker process dies (killed, out of memory, node lost).
WORKER_DEATHS = 3
#: Seconds between words about what is waited for.
PATIENCE_S = 60.0
#: Bundles of tasks for each CPU, at least: so that all end at about the same time.
_BUNDLES = 8


class Worker(Protocol):
    """A loaded model or another costly object that lives in an actor and answers tasks."""

    def __call__(self, task: Any) -> Any:
        """Handle one task."""
        ...


class _Host:
    """The Ray actor that holds a `Worker`, built on the worker's own process."""

    def __init__(self, build: Callable[[Any], Worker], spec: Any) -> None:
        self._build = build
        self._spec = spec
        self._worker: Worker | None = None

    def ready(self) -> bool:
        # Not in __init__: what a constructor raises reaches the driver as a death without a cause.
        self._worker = self._build(self._spec)
        return True

    def handle(self, task: Any) -> Any:
        if self._worker is None:
            raise StageError("a worker was asked before it was ready; this is a bug, please report it")
        return self._worker(task)


class Engine:
    """A connection to Ray: the cluster at `address`, the one that ``RAY_ADDRESS`` names, or an embedded node.

    Use as a context manager. `workers` asks for an embedded node, and bounds how many one-CPU tasks it runs at once
    (default: the machine's cores); results never depend on it.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        # Ray sets the variable for what is submitted to a cluster as a job; "local" is its word for none.
        named = os.environ.get("RAY_ADDRESS") if workers is None else None
        self._address = address or (named if named != "local" else None) or None
        self._workers = workers

    def __enter__(self) -> Engine:
        # The embedded node is private to this process: no usage reports, and no rewriting of the
        # workers' command line when the job was started through `uv run` (that hangs them).
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        if self._address is None:
            # A token file in the home directory is only needed between machines.
            os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        else:
            _check_reachable(self._address)
        try:
            ray.init(
                address=self._address or "local",
                num_cpus=None if self._address else self._workers,
                include_dashboard=False if self._address is None else None,
                logging_level=logging.ERROR,
                log_to_driver=False,
                configure_logging=False,
                namespace="infinity-mm",
            )
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            where = self._address or "an embedded node"
            raise EngineError(f"Ray could not start ({where}): {error}; try `infinity-mm doctor`") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        ray.shutdown()

    @property
    def cpus(self) -> int:
        """CPUs of the whole cluster, at least 1."""
        return max(1, int(_cluster().cpus))

    @property
    def gpus(self) -> float:
        """GPUs of the whole cluster."""
        return _cluster().gpus

    def map(
        self,
        stage: str,
        function: Callable[[T], R],
        tasks: Sequence[T],
        resources: Resources | None = None,
        together: int = 1,
    ) -> Generator[tuple[int, R]]:
        """Run `function` on each task; yield (index of the task, result) as they finish.

        Handing one over costs some 6 ms of CPU in all processes together. So where tasks take little more, and there
        are many for each CPU, up to `together` are handed over at once; they also fail, and are tried again, as one.
        At most two tasks per CPU, or such bundles, are submitted ahead. Raises what the function raised, if it is one
        of this package's errors; `EngineError` if workers died more than `WORKER_DEATHS` times on one
        task; `StageError` for any other exception (a bug), with the task named.
        """
        need = resources or Resources()
        remote = ray.remote(_run).options(
            name=stage, num_cpus=need.cpus, num_gpus=need.gpus, max_retries=WORKER_DEATHS, retry_exceptions=False
        )
        cpus = self.cpus
        bundles = _bundles(tasks, together, _BUNDLES * cpus)
        size = len(bundles[0]) if bundles else 1
        with closing(self._drain(stage, bundles, lambda bundle: remote.remote(function, bundle), 2 * cpus)) as done:
            for number, results in done:
                yield from enumerate(results, number * size)

    def map_actors(
        self,
        stage: str,
        build: Callable[[Any], Worker],
        spec: Any,
        tasks: Sequence[T],
        resources: Resources,
        actors: int = 1,
        threads: int = 1,
        tell: Callable[[str], None] = lambda line: None,
    ) -> Generator[tuple[int, Any]]:
        """Like `map`, on up to `actors` long-lived workers, each built once as ``build(spec)``.

        With `threads` above 1 a worker handles as many tasks at once, each in a thread of its own. A task goes to the
        worker with the fewest, so a slow one holds nobody up.

        Work begins with the first worker that is there; the others join when the cluster has room for them, and their
        share of the last tasks is left for them. While there is none, `tell` hears every `PATIENCE_S` what is waited
        for. A worker whose process dies is replaced, and its unfinished tasks are sent again, after all others: one of
        them may be what it died of. Raises `ModelError` when `WORKER_DEATHS` die and no task is finished in between,
        `EngineError` where an embedded node will never have what a worker occupies.
        """
        size = self._room(stage, resources, min(max(1, actors), len(tasks)), tell)
        pool = _Pool(stage, build, spec, resources, threads, tell)
        waiting: dict[Any, tuple[int, Any]] = {}
        todo = list(range(len(tasks)))[::-1]
        try:
            pool.fill(size)
            while todo or waiting:
                while todo and (actor := pool.take(len(todo) + len(waiting))) is not None:
                    index = todo.pop()
                    waiting[actor.handle.remote(tasks[index])] = index, actor
                reference = pool.wait(waiting)
                if reference is None:
                    continue
                index, actor = waiting.pop(reference)
                try:
                    result = _get(stage, reference, tasks[index])
                except EngineDiedError as error:
                    pool.replace(actor, error)
                    todo.insert(0, index)
                else:
                    pool.done(actor)
                    yield index, result
        finally:
            for reference in waiting:
                ray.cancel(reference, force=False)
            pool.close()

    def check_room(self, who: str, need: Resources) -> None:
        """Raise `EngineError` where an embedded node cannot hold one worker of `who`; a cluster may grow."""
        if self._address is None and not (there := _cluster()).how_many(need):
            raise EngineError(
                f"{who} needs {need} for one engine, and this machine offers {there}; lower `gpus` or `cpus` "
                "of the model in the recipe, or give --address of a cluster that has them"
            )

    def _room(self, stage: str, need: Resources, wanted: int, tell: Callable[[str], None]) -> int:
        """Return how many of the wanted workers an embedded node can hold; all for a cluster, which may grow.

        Raises `EngineError` where it cannot hold one.
        """
        if self._address is not None:
            return wanted
        self.check_room(f"stage {stage!r}", need)
        room = _cluster().how_many(need)
        if room < wanted:
            tell(f"stage {stage!r}: room for {room} of {wanted} workers with {need} each")
        return min(room, wanted)

    def _drain(
        self, stage: str, bundles: Sequence[Sequence[T]], submit: Callable[[Sequence[T]], Any], ahead: int
    ) -> Generator[tuple[int, Any]]:
        waiting: dict[Any, int] = {}
        following = 0
        try:
            while following < len(bundles) or waiting:
                while following < len(bundles) and len(waiting) < ahead:
                    waiting[submit(bundles[following])] = following
                    following += 1
                finished, _ = ray.wait(list(waiting), num_returns=1)
                for reference in finished:
                    index = waiting.pop(reference)
                    bundle = bundles[index]
                    yield index, _get(stage, reference, bundle[0] if len(bundle) == 1 else bundle)
        finally:
            for reference in waiting:
                ray.cancel(reference, force=False)


def _run(function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
    """Run tasks on a worker."""
    keep_house()
    return [function(task) for task in tasks]


def _bundles(tasks: Sequence[T], most: int, least_bundles: int) -> list[Sequence[T]]:
    """Cut tasks into bundles of one size, `most` at most, that leave `least_bundles` or are of one task each."""
    size = max(1, min(most, len(tasks) // least_bundles))
    return [tasks[begin : begin + size] for begin in range(0, len(tasks), size)]


class _Pool:
    """The actors of one pass, those that are still starting, and how many tasks each has; one that died is replaced."""

    def __init__(
        self,
        stage: str,
        build: Callable[[Any], Worker],
        spec: Any,
        resources: Resources,
        threads: int,
        tell: Callable[[str], None],
    ) -> None:
        self._stage, self._build, self._spec, self._need, self._tell = stage, build, spec, resources, tell
        self._host = ray.remote(_Host).options(
            num_cpus=resources.cpus, num_gpus=resources.gpus, max_restarts=0, max_concurrency=threads
        )
        #: Tasks that an actor may have: those at work, and the next one.
        self._most = threads + 1
        self._loads: dict[Any, int] = {}
        self._starting: dict[Any, Any] = {}
        #: In a row: of workers, without a finished task in between; of those that start, without one that came.
        self._deaths = 0
        self._stillborn = 0

    def fill(self, size: int) -> None:
        while len(self._loads) + len(self._starting) < size:
            self._start()

    def take(self, unfinished: int) -> Any | None:
        """Return the actor with the fewest tasks, for one more; None where all have enough.

        While others are starting, it gets no more than its share of the `unfinished` tasks.
        """
        actor = min(self._loads, key=self._loads.__getitem__, default=None)
        share = math.ceil(unfinished / (len(self._loads) + len(self._starting))) if self._starting else self._most
        if actor is None or self._loads[actor] >= min(share, self._most):
            return None
        self._loads[actor] += 1
        return actor

    def wait(self, tasks: Iterable[Any]) -> Any | None:
        """Return a task that ended, or None when the actors have changed or time has passed."""
        ended, _ = ray.wait([*tasks, *self._starting], num_returns=1, timeout=None if self._loads else PATIENCE_S)
        if not ended:
            self._tell(
                f"stage {self._stage!r} waits for a worker with {self._need}; the cluster has {_cluster()}, those in "
                "use included"
            )
            return None
        if ended[0] in self._starting:
            self._join(ended[0])
            return None
        return ended[0]

    def done(self, actor: Any) -> None:
        """Note that an actor has finished a task."""
        self._deaths = 0
        if actor in self._loads:
            self._loads[actor] -= 1

    def replace(self, actor: Any, error: EngineDiedError) -> None:
        """Put a new actor in the place of a dead one, which each of its tasks reports; raise when too many died."""
        if self._loads.pop(actor, None) is None:
            return
        self._deaths += 1
        if self._deaths >= WORKER_DEATHS:
            raise error
        ray.kill(actor)
        self._start()

    def close(self) -> None:
        for actor in (*self._loads, *self._starting.values()):
            ray.kill(actor)

    def _start(self) -> None:
        actor = self._host.remote(self._build, self._spec)
        self._starting[actor.ready.remote()] = actor

    def _join(self, reference: Any) -> None:
        """Take an actor into service; raises what it met in its start.

        One that died in its start is replaced; after `WORKER_DEATHS` in a row only where no other is left.
        """
        actor = self._starting.pop(reference)
        try:
            _get(self._stage, reference, "start-up")
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


def _cluster() -> Resources:
    """Return what the whole cluster has."""
    there = ray.cluster_resources()
    return Resources(float(there.get("CPU", 0)), float(there.get("GPU", 0)))


def _check_reachable(address: str) -> None:
    """Fail within seconds where nobody listens at ``host:port``; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise EngineError(f"Ray could not start: nobody answers at {address} ({error}); check --address") from error


def _get(stage: str, reference: Any, task: object) -> Any:
    """Fetch one result and turn Ray's exceptions into this package's."""
    try:
        return ray.get(reference)
    except ray_errors.RayTaskError as error:
        cause = error.cause if isinstance(error.cause, BaseException) else error
        if isinstance(cause, InfinityMMError):
            raise type(cause)(f"{cause}") from error
        raise StageError(f"stage {stage!r} failed on {task}: {type(cause).__name__}: {cause}\n{error}") from error
    except ray_errors.RayActorError as error:
        raise EngineDiedError(
            f"stage {stage!r}: the model's process died ({error.__class__.__name__}) on {_short(task)}. "
            "Finished partitions are kept: run the same command again to go on. If it dies again, give it more "
            "memory, a smaller `synth.model.max_model_len`, or another `synth.model.engine`."
        ) from error
    except ray_errors.RayError as error:
        raise EngineError(
            f"stage {stage!r}: Ray lost a worker on {_short(task)}: {error}. "
            "Finished partitions are kept: run the same command again to go on."
        ) from error


def _short(task: object) -> str:
    text = repr(task)
    return text if len(text) <= 300 else text[:300] + "..."
