"""Running a pass: which tasks are still to do, doing them, and clearing away what is out of date."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import orjson

from infinity_mm.pipeline.placing import Placing
from infinity_mm.stages import StageReport
from infinity_mm.store import Store

if TYPE_CHECKING:  # workers import the modules of passes for their tasks, and have no use for these
    from infinity_mm.engine import Engine, Worker
    from infinity_mm.engine.crew import Crew
    from infinity_mm.progress import Reporter
    from infinity_mm.recipe import Recipe
    from infinity_mm.resources import Resources


class Task(Protocol):
    """A unit of work; frozen and picklable."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Files it writes, relative to the run folder."""
        ...


T = TypeVar("T", bound=Task)
W = TypeVar("W")


@dataclass
class Context:
    """One run: where, with what, by which recipe, and what was done so far."""

    store: Store
    engine: Engine
    reporter: Reporter
    recipe: Recipe
    stages: list[StageReport] = field(default_factory=list)
    #: Folders, relative to the run folder, that this run's passes write to.
    folders: set[str] = field(default_factory=set)


#: What the steps of passes that a recipe may lack hand to each other: a folder per source, and one for all.
_STATE_BY_SOURCE = ("state/matches", "state/asked", "state/leakage", "state/merge/facts")
_STATE = (
    "state/decontaminate-templates",
    "state/decontaminate-generated-templates",
    "state/merge/verdicts",
    "state/merge/additions",
    "state/synth/tags",
    "state/synth/tagged",
    "state/synth/offers",
)


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
    folders: Iterable[str] = (),
    watch: Callable[[T], None] = lambda task: None,
    together: int = 1,
) -> None:
    """Run the unfinished tasks of a pass, then sweep the files that it `owns` in its folders.

    Its folders are those of its tasks' outputs, and `folders`: where a pass of no task must leave nothing either.
    `watch` is called with every task whose outputs are there: those of earlier runs first, the others as they finish;
    what it raises ends the pass. `together` is how many tasks may travel as one (`infinity_mm.engine.Engine.map`).
    """

    def start(todo: list[T]) -> Generator[tuple[int, Any]]:
        return context.engine.map(stage, function, todo, resources, together)

    _run(context, stage, tasks, start, owns, folders, watch)


def run_actor_pass(
    context: Context,
    stage: str,
    build: Callable[[Any], Worker],
    spec: Any,
    tasks: Sequence[T],
    placing: Placing,
    folders: Iterable[str] = (),
) -> None:
    """Like `run_pass`, on long-lived workers of this pass alone; none is started for nothing."""

    def start(todo: list[T]) -> Generator[tuple[int, Any]]:
        tell = context.reporter.line
        return context.engine.map_actors(stage, build, spec, todo, placing.resources, placing.actors, tell=tell)

    _run(context, stage, tasks, start, folders=folders)


def run_crew_pass(
    context: Context,
    crew: Crew[W],
    stage: str,
    function: Callable[[W, T], None],
    tasks: Sequence[T],
    folders: Iterable[str] = (),
    watch: Callable[[T], None] = lambda task: None,
) -> None:
    """Like `run_pass`, on a crew that other passes share; `function` gets what a worker holds, and a task."""
    _run(context, stage, tasks, lambda todo: crew.map(stage, function, todo), folders=folders, watch=watch)


def _run(
    context: Context,
    stage: str,
    tasks: Sequence[T],
    start: Callable[[list[T]], Generator[tuple[int, Any]]],
    owns: Callable[[str], bool] = lambda name: True,
    folders: Iterable[str] = (),
    watch: Callable[[T], None] = lambda task: None,
) -> None:
    """Run a pass of which `start` does the unfinished tasks, and yields their numbers as they finish."""
    began = time.monotonic()
    announce(context.store, stage, tasks)
    todo = unfinished(context.store, tasks)
    waiting = {task.outputs for task in todo}  # tasks carry options of recipes, which have no hash
    for task in tasks:
        if task.outputs not in waiting:
            watch(task)
    with closing(start(todo)) as done:  # also where `watch` raises
        for index, _ in context.reporter.follow(stage, done, len(todo), len(tasks) - len(todo)):
            watch(todo[index])
    finish_pass(context, stage, tasks, len(todo), began, owns, folders)


def finish_pass(
    context: Context,
    stage: str,
    tasks: Sequence[T],
    made: int,
    began: float,
    owns: Callable[[str], bool] = lambda name: True,
    folders: Iterable[str] = (),
) -> None:
    """Sweep the pass's folders and note what it did."""
    wanted: dict[str, set[str]] = defaultdict(set, {folder: set() for folder in folders})
    for task in tasks:
        for path in task.outputs:
            folder, _, name = path.rpartition("/")
            wanted[folder].add(name)
    for folder, names in sorted(wanted.items()):
        context.store.sweep(folder, names, owns)
    context.folders |= set(wanted)
    context.stages.append(
        StageReport(name=stage, cached=len(tasks) - made, made=made, seconds=round(time.monotonic() - began, 3))
    )


def tidy(context: Context, sources: Iterable[str], keep: Iterable[str] = ()) -> None:
    """Delete what passes of an earlier recipe, absent from this one, left: attributes, state and announcements.

    Each pass sweeps its own folders; a filter that was removed, or deduplication switched off, has no pass to do
    so, and its verdicts would be read as this run's. What is of other sources than `sources` stays: records cost
    most, and nothing reads them but a recipe that names them. Announcements of the stages in `keep` stay too.
    """
    store = context.store
    kept_by = [f"attributes/{stage}" for stage in store.at("attributes").folders()] + list(_STATE_BY_SOURCE)
    left = [f"{folder}/{source}" for folder in kept_by for source in sources]
    for folder in (*left, *_STATE):
        if folder not in context.folders:
            store.at(folder).delete_dir()
    ran = {f"{name}.json" for name in (*(stage.name for stage in context.stages), *keep)}
    store.sweep("state/passes", ran)
