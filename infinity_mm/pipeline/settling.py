"""Verdicts on synthetic rows that need all of them: the balance of yes and no, quantiles of answer losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pyarrow as pa

from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.pipeline.books import MIXED, Fate
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.store import Store
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.rules import bare_answer
from infinity_mm.synth.settle import Question, merged_drops, outliers, unbalanced

VERSION = 1
_COLUMNS = ["id", "outcome", "winner", "source", "instruction_type", "answer_format", "generation"]


@dataclass(frozen=True)
class SettleTask:
    """All synthetic parts: what decides is counted over all of them."""

    work: str
    fates: tuple[Fate, ...]
    #: Losses of each part, where the recipe computes them.
    losses: tuple[str | None, ...]
    params_json: str
    seed: int
    outputs: tuple[str, ...]


def run_settling(
    context: Context, fates: Sequence[Fate], losses: Sequence[str | None], params: SynthParams
) -> list[Fate]:
    """Return the fates with the verdicts' paths; unchanged where the recipe asks for none."""
    if not params.settles or not fates:
        return list(fates)
    seed = context.recipe.seed
    cut = None if params.loss is None else params.loss.model_dump(mode="json", exclude={"model"})
    name = fingerprint(
        ["settle", VERSION, seed, params.rules.yes_no, cut],
        [[f.screen, one] for f, one in zip(fates, losses, strict=True)],
    )
    outputs = tuple(fate.part.attributes("settle", name) for fate in fates)
    task = SettleTask(context.store.work.uri, tuple(fates), tuple(losses), params.model_dump_json(), seed, outputs)
    run_pass(context, "settle", settle_all, [task])
    return [replace(fate, settle=path) for fate, path in zip(fates, outputs, strict=True)]


def settle_all(task: SettleTask) -> None:
    """Write the verdicts of every part."""
    store = Store(Location(task.work))
    params = SynthParams.model_validate_json(task.params_json)
    questions = [
        one
        for fate, path in zip(task.fates, task.losses, strict=True)
        for one in kept_questions(store, fate.screen, path)
    ]
    balance = unbalanced(questions, task.seed) if params.rules.yes_no == "balance" else {}
    drops = merged_drops([balance, {} if params.loss is None else outliers(questions, params.loss)])
    for fate, path in zip(task.fates, task.outputs, strict=True):
        marks: list[dict[str, Any]] = []
        for name in store.read(fate.screen, ["id"])["id"].to_pylist():
            drop = drops.get(name)
            marks.append({"id": name} | ({} if drop is None else {"reason": drop.reason, "detail": drop.detail}))
        store.write(path, pa.Table.from_pylist(marks, schema=MIXED))


def kept_questions(store: Store, attempts: str, losses: str | None) -> list[Question]:
    """Return the questions of a part that the steps kept, turns of merged records included, with their losses."""
    known: Mapping[str, float | None] = {}
    if losses is not None:
        known = {row["id"]: row["loss"] for row in store.read(losses, ["id", "loss"]).to_pylist()}
    found = []
    for row in store.read(attempts, _COLUMNS).to_pylist():
        if row["outcome"] is None or row["winner"] is not None:
            answer = orjson.loads(row["generation"])["answer"]
            said = bare_answer(row["answer_format"], answer)
            names = (row["id"], row["instruction_type"], row["answer_format"], row["source"])
            found.append(Question(*names, said, known.get(row["id"])))
    return found
