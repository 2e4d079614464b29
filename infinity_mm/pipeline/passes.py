"""Running a pass: which tasks are still to do, doing them, and clearing away what is out of date."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import orjson

from infinity_mm.engine import Engine, Resources, Worker
from infinity_mm.manifest import StageReport
from infinity_mm.progress import Reporter
from infinity_mm.recipe import Recipe
from infinity_mm.store import Store


class Task(Protocol):
    """A unit of work; frozen and picklable."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Files it writes, relative to the run folder."""
        ...


T = TypeVar("T", bound=Task)


@dataclass
class Context:
    """One run: where, with what, by which recipe, and what was done so far."""

    store: Store
    engine: Engine
    reporter: Reporter
    recipe: Recipe
    stages: list[StageReport] = field(default_factory=list)


def announce(store: Store, stage: str, tasks: Sequence[Task]) -> None:
    """Note which files a pass will write, for `infinity-mm status`."""
    outputs = [list(task.outputs) for task in tasks]
    store.at(f"state/passes/{stage}.json").write_bytes(orjson.dumps({"stage": stage, "tasks": outputs}))


def unfinished(store: Store, tasks: Sequence[T]) -> list[T]:
    """Return the tasks of which an output is missing."""
    absent = set(store.missing(path for task in tasks for path in task.outputs))
    return [task for task in tasks if not absent.isdisjoint(task.outputs)]


def run_pass(
    context: Context,
    stage: str,
    function: Callable[[T], None],
    tasks: Sequence[T],
    resources: Resources | None = None,
    owns: Callable[[str], bool] = lambda name: True,
) -> None:
    """Run the unfinished tasks of a pass, then sweep the files that it `owns` in its folders."""
    began = time.monotonic()
    announce(context.store, stage, tasks)
    todo = unfinished(context.store, tasks)
    done = context.engine.map(stage, function, todo, resources)
    for _ in context.reporter.follow(stage, done, len(todo), len(tasks) - len(todo)):
        pass
    finish_pass(context, stage, tasks, len(todo), began, owns)


def run_actor_pass(
    context: Context,
    stage: str,
    build: Callable[[Any], Worker],
    spec: Any,
    tasks: Sequence[T],
    resources: Resources,
    actors: int,
) -> None:
    """Like `run_pass`, on long-lived workers; none is started when nothing is left to do."""
    began = time.monotonic()
    announce(context.store, stage, tasks)
    todo = unfinished(context.store, tasks)
    if todo:
        done = context.engine.map_actors(stage, build, spec, todo, resources, actors)
        for _ in context.reporter.follow(stage, done, len(todo), len(tasks) - len(todo)):
            pass
    finish_pass(context, stage, tasks, len(todo), began)


def finish_pass(
    context: Context,
    stage: str,
    tasks: Sequence[T],
    made: int,
    began: float,
    owns: Callable[[str], bool] = lambda name: True,
) -> None:
    """Sweep the pass's folders and note what it did."""
    folders: dict[str, set[str]] = defaultdict(set)
    for task in tasks:
        for path in task.outputs:
            folder, _, name = path.rpartition("/")
            folders[folder].add(name)
    for folder, names in sorted(folders.items()):
        context.store.sweep(folder, names, owns)
    context.stages.append(
        StageReport(name=stage, cached=len(tasks) - made, made=made, seconds=round(time.monotonic() - began, 3))
    )
