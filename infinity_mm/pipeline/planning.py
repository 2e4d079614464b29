"""Planning: which files a source has, and how they are cut. Streams every annotation file once."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import orjson

from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.recipe import SourceUse
from infinity_mm.sources.base import Plan, Split
from infinity_mm.sources.families.listing import list_files
from infinity_mm.store import Store


@dataclass(frozen=True)
class PlanTask:
    """One source to be cut."""

    work: str
    use: SourceUse
    #: Glob patterns of the annotation files.
    files: tuple[str, ...]
    rows: int
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The plan, as JSON."""
        return (self.output,)


def run_planning(context: Context) -> dict[str, Plan]:
    """Plan every source of the recipe; a plan is reused while its files keep size and time."""
    tasks = [make_task(context.store, use, context.recipe.partition_rows) for use in context.recipe.sources]
    run_pass(context, "plan", plan_source, tasks)
    for task in tasks:
        _drop_prepared(context.store, task)
    return {task.use.name: read_plan(context.store, task.output) for task in tasks}


def _drop_prepared(store: Store, task: PlanTask) -> None:
    """Delete the prepared files of earlier plans: rewritten annotations are as large as the publisher's."""
    folder, _, name = task.output.removesuffix(".json").rpartition("/")
    for other in store.at(folder).folders():
        if other != name:
            store.at(f"{folder}/{other}").delete_dir()


def make_task(store: Store, use: SourceUse, rows: int) -> PlanTask:
    """Name a source's plan by the listing of its annotation files; raises `SourceError` without any."""
    source = use.load()
    patterns = use.files or source.card.files
    listing = [[one.path, one.size, one.stamp] for one in list_files(source, Location(use.root), patterns)]
    name = fingerprint(["plan", source.reader.version, repr(source.reader), rows], [use.root, list(patterns)], listing)
    output = f"state/plans/{use.name}/{name}.json"
    return PlanTask(store.work.uri, use, tuple(patterns), rows, output)


def plan_source(task: PlanTask) -> None:
    """Cut one source's files and write the plan."""
    store = Store(Location(task.work))
    prepare_to = store.at(task.output.removesuffix(".json"))
    plan = task.use.load().reader.plan(Location(task.use.root), task.files, prepare_to, task.rows)
    store.at(task.output).write_bytes(orjson.dumps(asdict(plan)))


def read_plan(store: Store, path: str) -> Plan:
    """Read a plan back; its prepared files are those of the run folder it lies in now, wherever it was made."""
    tree = orjson.loads(store.at(path).read_bytes())
    folder = store.at(path.removesuffix(".json"))
    splits = []
    for split in tree["splits"]:
        repeats = tuple((place, number) for place, number in split["repeats"])
        below = Location(split["prepared"]).path.partition(f"/{folder.name}/")[2] if split["prepared"] else ""
        prepared = (folder / below).uri if below else None
        members = tuple(split["members"])
        splits.append(Split(**{**split, "repeats": repeats, "prepared": prepared, "members": members}))
    return Plan(tuple(splits), tuple((name, digest) for name, digest in tree["files"]))
