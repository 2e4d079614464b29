"""The one package that imports Ray.

The pipeline hands over module-level functions and lists of small frozen tasks; each task reads its
own inputs from the store and writes its own outputs, so nothing but a few hundred bytes travels
through Ray and a task can run anywhere, be repeated, or be lost with its node. Plain Ray tasks are
used rather than Ray Data: an identity pass over a million short rows costs Ray Data about seven times
the CPU of reading and writing them with pyarrow, and its file names, order and block sizes are not a
function of the input.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from types import TracebackType
from typing import Any, Protocol, TypeVar

import ray

from infinity_mm.engine.cluster import check_reachable, fetch, whole
from infinity_mm.engine.crew import WORKER_DEATHS, Crew
from infinity_mm.errors import EngineError
from infinity_mm.housekeeping import keep_house
from infinity_mm.resources import Resources

T = TypeVar("T")
R = TypeVar("R")
W = TypeVar("W")

#: Bundles of tasks for each CPU, at least: so that all end at about the same time.
_BUNDLES = 8


class Worker(Protocol):
    """A loaded model or another costly object that lives in an actor and answers tasks."""

    def __call__(self, task: Any) -> Any:
        """Handle one task."""
        ...


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
            check_reachable(self._address)
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
        return max(1, int(whole().cpus))

    @property
    def gpus(self) -> float:
        """GPUs of the whole cluster."""
        return whole().gpus

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

    def crew(
        self,
        build: Callable[[Any], W],
        spec: Any,
        resources: Resources,
        actors: int = 1,
        threads: int = 1,
        tell: Callable[[str], None] = lambda line: None,
    ) -> Crew[W]:
        """Return long-lived workers for several passes, up to `actors`, each built once as ``build(spec)``.

        With `threads` above 1 a worker handles as many tasks at once, each in a thread of its own. `tell` hears what
        is waited for, and where there is room for fewer workers.
        """
        room = partial(self._room, need=resources, tell=tell)
        return Crew(build, spec, resources, actors, threads, tell, room)

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
        """Run the tasks of one pass on a crew of its own, whose workers are called with them; see `Crew.map`."""
        with (
            self.crew(build, spec, resources, actors, threads, tell) as crew,
            closing(crew.map(stage, _ask, tasks)) as done,
        ):
            yield from done

    def check_room(self, who: str, need: Resources) -> None:
        """Raise `EngineError` where an embedded node cannot hold one worker of `who`; a cluster may grow."""
        if self._address is None and not (there := whole()).how_many(need):
            raise EngineError(
                f"{who} needs {need} for one engine, and this machine offers {there}; lower `gpus` or `cpus` "
                "of the model in the recipe, or give --address of a cluster that has them"
            )

    def _room(self, stage: str, wanted: int, need: Resources, tell: Callable[[str], None]) -> int:
        """Return how many of the wanted workers an embedded node can hold; all for a cluster, which may grow.

        Raises `EngineError` where it cannot hold one.
        """
        if self._address is not None:
            return wanted
        self.check_room(f"stage {stage!r}", need)
        room = whole().how_many(need)
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
                    yield index, fetch(stage, reference, bundle[0] if len(bundle) == 1 else bundle)
        finally:
            for reference in waiting:
                ray.cancel(reference, force=False)


def _ask(worker: Worker, task: Any) -> Any:
    return worker(task)


def _run(function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
    """Run tasks on a worker."""
    keep_house()
    return [function(task) for task in tasks]


def _bundles(tasks: Sequence[T], most: int, least_bundles: int) -> list[Sequence[T]]:
    """Cut tasks into bundles of one size, `most` at most, that leave `least_bundles` or are of one task each."""
    size = max(1, min(most, len(tasks) // least_bundles))
    return [tasks[begin : begin + size] for begin in range(0, len(tasks), size)]
