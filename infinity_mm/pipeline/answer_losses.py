"""The pass that asks a reference model how likely it finds the written answers; a signal beside the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.manifest import LossGroup
from infinity_mm.pipeline.generated import SynthTask
from infinity_mm.pipeline.parents import Places, read_parents
from infinity_mm.pipeline.passes import Context, run_actor_pass
from infinity_mm.pipeline.placing import place
from infinity_mm.pipeline.settling import kept_questions
from infinity_mm.store import Store
from infinity_mm.synth.assemble import FORMAT_HINTS
from infinity_mm.synth.chat import ModelSpec, Request
from infinity_mm.synth.engines.transformers_local import TransformersChat
from infinity_mm.synth.params import LossParams
from infinity_mm.synth.rows import LETTERS, Parent
from infinity_mm.synth.settle import groups, quantiles
from infinity_mm.synth.step4_filter import with_options

VERSION = 1
STAGE = "answer_loss"
#: Quantiles that the report shows.
SHOWN = (0.05, 0.5, 0.95)

LOSSES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # Mean negative log likelihood of the answer's tokens, nats; null where it could not be computed.
        pa.field("loss", pa.float64()),
        pa.field("tokens", pa.int32(), nullable=False),
        # Why there is none.
        pa.field("error", pa.string()),
    ]
)


@dataclass(frozen=True)
class LossTask:
    """The kept questions of one partition."""

    work: str
    attempts: str
    places: Places
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """Their losses."""
        return (self.output,)


@dataclass(frozen=True)
class LossSpec:
    """What an actor needs to build the reference model."""

    model_json: str


class LossWorker:
    """Holds the reference model; lives in an actor."""

    def __init__(self, spec: LossSpec) -> None:
        self._chat = TransformersChat(ModelSpec.model_validate_json(spec.model_json))

    def __call__(self, task: LossTask) -> None:
        """Compute the losses of one partition."""
        store = Store(Location(task.work))
        parents = {parent.id: parent for parent in read_parents(store, task.places)}
        kept = {one.id for one in kept_questions(store, task.attempts, None)}
        rows = store.read(task.attempts, ["id", "parent", "answer_format", "generation"]).to_pylist()
        lines = [self._line(row, parents[row["parent"]]) for row in rows if row["id"] in kept]
        store.write(task.output, pa.Table.from_pylist(lines, schema=LOSSES))

    def _line(self, row: dict[str, Any], parent: Parent) -> dict[str, Any]:
        written = orjson.loads(row["generation"])
        options = tuple(written["options"])
        prompt = f"{with_options(written['question'], options)}\n{FORMAT_HINTS[row['answer_format']]}"
        answer = LETTERS[options.index(written["answer"])] if options else written["answer"]
        request = Request(key=row["id"], prompt=prompt, images=(parent.data,))
        loss, tokens, error = self._chat.answer_loss(request, answer)
        return {"id": row["id"], "loss": loss, "tokens": tokens, "error": error or None}


def run_losses(
    context: Context, tasks: Sequence[SynthTask], params: LossParams | None, name: str | None
) -> list[str | None]:
    """Return the path of each partition's losses; None where the recipe asks for none.

    `name` names the reference model, see `infinity_mm.synth.cache.key.model_identity`.
    """
    if params is None:
        return [None] * len(tasks)
    todo = [
        LossTask(
            task.work,
            task.attempts,
            task.places,
            task.part.attributes(STAGE, fingerprint(["loss", VERSION], name, task.attempts)),
        )
        for task in tasks
    ]
    spec = LossSpec(params.model.model_copy(update={"engine": "transformers"}).model_dump_json())
    run_actor_pass(context, "answer-loss", LossWorker, spec, todo, place(context.engine, params.model))
    return [task.output for task in todo]


def loss_groups(store: Store, tasks: Sequence[SynthTask], losses: Sequence[str | None]) -> tuple[LossGroup, ...]:
    """Return the spread of the losses per source of the picture and answer format."""
    questions = [
        one
        for task, path in zip(tasks, losses, strict=True)
        if path is not None
        for one in kept_questions(store, task.attempts, path)
    ]
    found = []
    for (source, form), members in groups(questions).items():
        known = [one.loss for one in members if one.loss is not None]
        low, middle, high = quantiles(known, SHOWN) if known else (None, None, None)
        found.append(
            LossGroup(source=source, format=form, rows=len(members), known=len(known), p05=low, median=middle, p95=high)
        )
    return tuple(found)
