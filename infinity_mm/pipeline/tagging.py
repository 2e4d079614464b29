"""The passes of the taggers that have a model of their own: one after the other, each before the writer is started.

What a tagger says lies beside the partitions, named by the tagger and its pictures, so that a finished partition is not
tagged again. It is no part of the generation cache: scores are a function of the picture and cost milliseconds.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from pydantic import TypeAdapter

from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.manifest import TaggerReport
from infinity_mm.pipeline.generated import SynthTask
from infinity_mm.pipeline.parents import Places, read_parents
from infinity_mm.pipeline.parts import SYNTHETIC
from infinity_mm.pipeline.passes import Context, run_actor_pass
from infinity_mm.pipeline.placing import place
from infinity_mm.store import Store
from infinity_mm.synth.rows import Failed, Parent
from infinity_mm.synth.tagging.identity import asked, tagger_identity
from infinity_mm.synth.tagging.models import PictureTagger
from infinity_mm.synth.tagging.params import ModelTagger, Tagger
from infinity_mm.synth.tagging.scores import TaggerInfo, Tagging

#: One row per picture; under ``attributes/tags_<tagger>/``.
TAGS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # of the record that holds the picture
        # Best first; null where the tagger could not look.
        pa.field("tags", pa.list_(pa.struct([pa.field("tag", pa.string()), pa.field("score", pa.float64())]))),
        pa.field("error", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("tagger", pa.string(), nullable=False),  # `TaggerInfo` as JSON
    ]
)
#: What a tagger's name follows where the manifest names models.
TAGGER = "tagger "
_TAGGER: TypeAdapter[ModelTagger] = TypeAdapter(ModelTagger)


@dataclass(frozen=True)
class TagTask:
    """The pictures of one partition of the synthesis, for one tagger."""

    work: str
    places: Places
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the tagger says of each."""
        return (self.output,)


@dataclass(frozen=True)
class TagSpec:
    """What an actor needs to build the tagger."""

    tagger_json: str


class TagWorker:
    """Holds one tagger; lives in an actor."""

    def __init__(self, spec: TagSpec) -> None:
        self._tagger = PictureTagger(_TAGGER.validate_json(spec.tagger_json))

    def __call__(self, task: TagTask) -> float:
        """Tag the pictures of one partition and write the file; returns the seconds that it took."""
        began, store = time.monotonic(), Store(Location(task.work))
        parents = read_parents(store, task.places)
        found = self._tagger([parent.data for parent in parents])
        lines = [_line(parent, one) for parent, one in zip(parents, found, strict=True)]
        store.write(task.output, pa.Table.from_pylist(lines, schema=TAGS))
        return time.monotonic() - began


def run_tagging(
    context: Context, tasks: Sequence[SynthTask], taggers: tuple[Tagger, ...], named: Mapping[str, str]
) -> list[SynthTask]:
    """Run every tagger with a model of its own; returns the tasks with the paths of what was said.

    `named` are their `identities`. Raises `ModelError` where a checkpoint cannot be had or loaded; what other taggers
    finished is kept.
    """
    ready = [with_tags(task, named) for task in tasks]
    for number, use in enumerate(asked(taggers)):
        todo = [TagTask(task.work, task.places, task.seen[number]) for task in ready]
        placing = place(context.engine, use.model.spec)
        folders = (f"attributes/{_stage(use.name)}/{SYNTHETIC}",)
        run_actor_pass(context, f"tag-{use.name}", TagWorker, spec_of(use), todo, placing, folders=folders)
    return ready


def spec_of(use: ModelTagger) -> TagSpec:
    """Return what the actor of a tagger needs."""
    return TagSpec(use.model_dump_json())


def identities(taggers: tuple[Tagger, ...]) -> dict[str, str]:
    """Return name -> identity of the taggers with a model of their own, in the recipe's order."""
    return {use.name: tagger_identity(use) for use in asked(taggers)}


def role_names(named: Mapping[str, str]) -> dict[str, str]:
    """Return the identities as the manifest names the models of a run: by "tagger NAME"."""
    return {f"{TAGGER}{name}": told for name, told in named.items()}


def with_tags(task: SynthTask, named: Mapping[str, str]) -> SynthTask:
    """Return the task with the paths of what its taggers say; given are their identities by name."""
    paths = (
        task.part.attributes(_stage(name), fingerprint(["tags"], told, task.places)) for name, told in named.items()
    )
    return replace(task, seen=tuple(paths))


def read_tags(store: Store, paths: Sequence[str]) -> dict[str, list[Tagging]] | None:
    """Return what the taggers say of each picture, by the id of its record; None where there are none."""
    if not paths:
        return None
    found: dict[str, list[Tagging]] = {}
    for path in paths:
        for row in store.read(path).to_pylist():
            told: tuple[tuple[str, float], ...] | Failed
            if row["tags"] is None:
                told = Failed(row["error"], row["detail"])
            else:
                told = tuple((tag["tag"], tag["score"]) for tag in row["tags"])
            found.setdefault(row["id"], []).append(Tagging(TaggerInfo.model_validate_json(row["tagger"]), told))
    return found


def tagger_reports(store: Store, tasks: Sequence[SynthTask], named: Mapping[str, str]) -> tuple[TaggerReport, ...]:
    """Return what each tagger did over all partitions."""
    reports = []
    for number, told in enumerate(named.values()):
        counts: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        info: TaggerInfo | None = None
        for row in (row for task in tasks for row in store.read(task.seen[number]).to_pylist()):
            info = info or TaggerInfo.model_validate_json(row["tagger"])
            counts.update(pictures=1, tagged=bool(row["tags"]), tags=len(row["tags"] or ()))
            if not row["tags"]:
                reasons[row["error"] or "no_tags"] += 1
        if info is not None:
            reports.append(
                TaggerReport(
                    tagger=info,
                    identity=told,
                    pictures=counts["pictures"],
                    tagged=counts["tagged"],
                    tags=counts["tags"],
                    reasons=dict(sorted(reasons.items())),
                )
            )
    return tuple(reports)


def _stage(name: str) -> str:
    return f"tags_{name}"


def _line(parent: Parent, one: Tagging) -> dict[str, object]:
    failed = one.found if isinstance(one.found, Failed) else None
    return {
        "id": parent.id,
        "tags": None if isinstance(one.found, Failed) else [{"tag": tag, "score": score} for tag, score in one.found],
        "error": failed.reason if failed else None,
        "detail": failed.detail if failed else None,
        "tagger": one.tagger.model_dump_json(),
    }
