"""Mixture and ledger passes: the last verdicts, and the final word on every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.keyed import keyed_unit
from infinity_mm.ledger import JOINED_ELSEWHERE, LEDGER
from infinity_mm.pipeline.losses import describe_losses
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.record import IMAGE_ONLY
from infinity_mm.store import Store
from infinity_mm.synth.settle import STAGE as SETTLE_STAGE

MIXTURE_VERSION = 1
LEDGER_VERSION = 3
_ALONE = "a picture without texts: material for synthesis, never exported itself"

MIXED = pa.schema(
    [pa.field("id", pa.string(), nullable=False), pa.field("reason", pa.string()), pa.field("detail", pa.string())]
)


@dataclass(frozen=True)
class Fate:
    """Where the verdicts on one part's rows are."""

    part: Part
    #: Verdicts of the filters, or of the synthesis for its own rows.
    screen: str
    dedup: str | None = None
    mixture: str | None = None
    #: False for generated rows: nothing of them was read from files.
    ingested: bool = True
    #: Of generated rows: the records, as (part, row inside it), that they were made for.
    parents: tuple[tuple[str, int], ...] = ()
    decontaminate: str | None = None
    #: Merged conversations, and which removed rows are in them.
    merge: str | None = None
    #: Verdicts on generated rows that needed all of them.
    settle: str | None = None

    @property
    def judged(self) -> list[str | None]:
        """Paths of the verdicts that stand before synthesis and mixture, for fingerprints."""
        beside = (self.decontaminate, self.merge, self.settle)
        return [self.screen, self.dedup, *(path for path in beside if path is not None)]


@dataclass(frozen=True)
class MixtureTask:
    """All parts of one source: a limit counts over all of them."""

    work: str
    fates: tuple[Fate, ...]
    seed: int
    rate: float | None
    limit: int | None
    outputs: tuple[str, ...]
    #: True for a source of pictures alone, of which nothing is exported.
    image_only: bool = False


def run_mixture(context: Context, fates: Sequence[Fate]) -> list[Fate]:
    """Thin out the sources that the recipe's mixture names, and leave out those of pictures alone.

    The others pass unchanged.
    """
    recipe = context.recipe
    silent = recipe.image_only
    chosen: dict[str, list[Fate]] = {}
    rest = []
    for fate in fates:
        source = fate.part.source
        if source in recipe.mixture.rates or source in recipe.mixture.limits or source in silent:
            chosen.setdefault(source, []).append(fate)
        else:
            rest.append(fate)
    tasks = []
    for source, members in chosen.items():
        rate, limit = recipe.mixture.rates.get(source), recipe.mixture.limits.get(source)
        name = fingerprint(
            ["mixture", MIXTURE_VERSION, recipe.seed, rate, limit, *([_ALONE] if source in silent else [])],
            [[f.part.records, *f.judged] for f in members],
        )
        outputs = tuple(fate.part.attributes("mixture", name) for fate in members)
        made_of = (context.store.work.uri, tuple(members), recipe.seed, rate, limit, outputs)
        tasks.append(MixtureTask(*made_of, image_only=source in silent))
        rest += [replace(fate, mixture=path) for fate, path in zip(members, outputs, strict=True)]
    if tasks:
        run_pass(context, "mixture", mix_source, tasks)
    return sorted(rest, key=lambda fate: fate.part)


def mix_source(task: MixtureTask) -> None:
    """Drop rows by a keyed draw, then all but the `limit` smallest draws; of pictures alone, all."""
    store = Store(Location(task.work))
    if task.image_only:
        _leave_out(store, task)
        return
    alive = [[row["id"] for row in outcomes(store, fate) if row["outcome"] == "kept"] for fate in task.fates]
    draws = {identity: keyed_unit(task.seed, "mixture", identity) for ids in alive for identity in ids}
    kept = {identity: draw for identity, draw in draws.items() if task.rate is None or draw < task.rate}
    if task.limit is not None:
        kept = dict(sorted(kept.items(), key=lambda item: (item[1], item[0]))[: task.limit])
    for fate, path in zip(task.fates, task.outputs, strict=True):
        marks = []
        for row in outcomes(store, fate):
            mark: dict[str, Any] = {"id": row["id"]}
            if row["outcome"] == "kept" and row["id"] not in kept:
                rule = f"rate={task.rate}, limit={task.limit}"
                mark |= {"reason": "not_sampled", "detail": f"draw={draws[row['id']]:.6f}; {rule}"}
            marks.append(mark)
        store.write(path, pa.Table.from_pylist(marks, schema=MIXED))


def _leave_out(store: Store, task: MixtureTask) -> None:
    mark = {"reason": IMAGE_ONLY, "detail": _ALONE}
    for fate, path in zip(task.fates, task.outputs, strict=True):
        rows = outcomes(store, fate)
        marks = [{"id": row["id"], **(mark if row["outcome"] == "kept" else {})} for row in rows]
        store.write(path, pa.Table.from_pylist(marks, schema=MIXED))


def outcomes(store: Store, fate: Fate) -> list[dict[str, Any]]:
    """Return one ledger row (without source columns) per record of a part: the first verdict wins."""
    columns = ["id", "outcome", "stage", "reason", "detail", *([] if fate.ingested else ["winner"])]
    rows: list[dict[str, Any]] = store.read(fate.screen).select(columns).to_pylist()
    stages = (
        ("decontaminate", fate.decontaminate),
        ("dedup", fate.dedup),
        (SETTLE_STAGE, fate.settle),
        ("mixture", fate.mixture),
    )
    for stage, path in stages:
        if path is None:
            continue
        for row, verdict in zip(rows, store.read(path).to_pylist(), strict=True):
            if row["outcome"] is None and verdict["reason"] is not None and verdict.get("dropped", True):
                row |= {"outcome": "dropped", "stage": stage, "reason": verdict["reason"], "detail": verdict["detail"]}
                row["winner"] = verdict.get("winner")
        if stage == "dedup" and fate.merge is not None:
            for row, verdict in zip(rows, store.read(fate.merge, ["reason", "detail"]).to_pylist(), strict=True):
                if verdict["reason"] is not None:  # only of rows that deduplication removed
                    row |= verdict
    for row in rows:
        row.setdefault("winner", None)
        row["outcome"] = row["outcome"] or "kept"
    return rows


@dataclass(frozen=True)
class LedgerTask:
    """The final word on one part's rows."""

    work: str
    fate: Fate
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """One ledger part."""
        return (self.output,)


def run_ledger(
    context: Context, fates: Sequence[Fate], only_sources: frozenset[str] | set[str] | None = None
) -> dict[Part, str]:
    """Write the ledger; returns each part's ledger path.

    A whole run owns the folder; with `only_sources` the parts of other sources stay.
    """
    tasks, paths = [], {}
    for fate in sorted(fates, key=lambda fate: fate.part):
        inputs = [fate.part.records, *fate.judged, fate.mixture]
        name = fingerprint(["ledger", LEDGER_VERSION], inputs)
        paths[fate.part] = f"ledger/part-{fate.part.source}-{fate.part.number:05d}-{name}.parquet"
        tasks.append(LedgerTask(context.store.work.uri, fate, paths[fate.part]))
    run_pass(
        context,
        "ledger",
        write_ledger,
        tasks,
        owns=lambda name: only_sources is None or name.rsplit("-", 2)[0].removeprefix("part-") in only_sources,
        folders=("ledger",),
    )
    return paths


def write_ledger(task: LedgerTask) -> None:
    """Join verdicts and quarantine of one part into ledger rows: records, what was joined to them, then quarantine.

    The detail of a kept row says which of its pictures it does without, if any. A raw row that is a turn of another
    row's conversation is dropped in favour of that row, whatever becomes of it.
    """
    store = Store(Location(task.work))
    rows = outcomes(store, task.fate)
    source = task.fate.part.source
    if task.fate.ingested:
        references = store.read(task.fate.part.records, ["source_ref"]).column("source_ref").to_pylist()
        measured = store.read(task.fate.part.ingest, ["images_lost", "joined"]).to_pylist()
        joined = []
        for row, reference, beside in zip(rows, references, measured, strict=True):
            row |= {"source": source, "source_ref": reference}
            if row["outcome"] == "kept":
                row["detail"] = describe_losses(beside["images_lost"])
            joined += [_joined(source, row["id"], one) for one in beside["joined"]]
        rows += joined
        for lost in store.read(task.fate.part.quarantine).to_pylist():
            rows.append({name: lost.get(name) for name in LEDGER.names} | {"outcome": "quarantined", "winner": None})
    else:
        references = store.read(task.fate.screen, ["source_ref"]).column("source_ref").to_pylist()
        for row, reference in zip(rows, references, strict=True):
            row |= {"source": source, "source_ref": reference}
    store.write(task.output, pa.Table.from_pylist(rows, schema=LEDGER))


def _joined(source: str, record: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return the ledger row of a raw row that is a turn of a record."""
    return {
        "id": row["id"],
        "source": source,
        "source_ref": row["source_ref"],
        "outcome": "dropped",
        "stage": "ingest",
        "reason": JOINED_ELSEWHERE,
        "detail": f"turn={row['turn']} of the conversation about the same picture",
        "winner": record,
    }
