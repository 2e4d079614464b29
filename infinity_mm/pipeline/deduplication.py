"""The deduplication pass: what is known of all surviving rows is compared, and verdicts are written beside them.

One task could read all rows and call `infinity_mm.dedup.resolve.find_duplicates`. The result is the same, byte for
byte, but no task needs more than its share of the rows, a stopped run goes on, and what was done for one source is not
done again when another one is added::

    parts ─ keys ─> state/dedup-keys/, -cells/, ...       (by batches of parts, which depend on nothing else)
    keys  ─ groups ─> state/dedup-groups/                 (by key range: rows with a key in common, as edges)
    cells ─ near ─> state/dedup-near/                     (by side range: near hashes of equal frames, as edges)
    edges ─ components ─> state/dedup-components/         (union-find over rows that have edges; cut into units)
    parts ─ gather ─> state/dedup-gather/                 (by batch: rows in components, sorted by unit)
    units ─ settle ─> state/dedup-settle/                 (by unit: `find_duplicates` on whole components)
    settled ─ dedup ─> attributes/dedup/                  (by batch: one verdict per row)

Why this gives the same: whether a row loses, and to whom, depends on the rows that it is linked to by pairs that a
rule accepts, on those that these are linked to, and so on. Every such pair is one that keys or near cells propose, and
so lies in one component. Components that are larger than they need to be change nothing, but are decided on in one
piece: so rows that share a band of their signatures meet only where their sketches agree as well, here as in
`find_duplicates` (`infinity_mm.dedup.sketch`), and rows that no rule can tell apart have one set of keys.

Each file is named by what it is made from, units by their rows and verdicts by what they say. So another source makes
its own keys and decides again on the units that its rows join; parts of which no row's fate changed keep their verdicts
and all that later passes made from them. The limits at which a run stops (`infinity_mm.dedup.rails`) are asked about
in each run, from the sums of units. Gathered rows are deleted when all units are decided.

Memory of a task is bounded by its batch, range or unit, whose sizes `Sizes` sets and which change no result, but for
three things: one key, one side of pictures and one component are never divided (a side takes 40 bytes a distinct hash),
and the union-find over all rows takes 40 bytes for each row that meets another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infinity_mm.dedup.rails import add_tallies, check_tally
from infinity_mm.dedup.sketch import least_of
from infinity_mm.pipeline.dedup.decide import (
    STAGE,
    Settled,
    SettleTask,
    gather,
    gather_tasks,
    settle,
    settle_task,
    verdict_task,
    write_verdicts,
)
from infinity_mm.pipeline.dedup.keys import Batch, Notes, batches_of, keys_task, make_keys
from infinity_mm.pipeline.dedup.meet import Units, components_task, edges_tasks, make_components, make_edges
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.passes import Context, announce, run_pass, unfinished

__all__ = ["STAGE", "Sizes", "run_dedup"]

_STEPS = ("keys", "cells", "sketches", "notes", "groups", "near", "components", "gather", "settle")


@dataclass(frozen=True)
class Sizes:
    """How much a task takes on. No result depends on it."""

    #: Rows of a batch of parts.
    batch_rows: int = 1 << 15
    #: Keys, and cells, of a range.
    entries: int = 1 << 22
    #: Bytes of a unit's rows, about.
    unit_bytes: int = 64 << 20


def run_dedup(
    context: Context,
    measured: Mapping[Part, Mapping[str, str]],
    screens: Mapping[Part, str],
    leaks: Mapping[Part, str],
    sizes: Sizes = Sizes(),
) -> dict[Part, str]:
    """Find duplicates among the rows that neither filters nor decontamination dropped.

    Returns each part's verdicts (none when off). Raises `StageError` where more would be removed than the limits allow.
    """
    params = context.recipe.dedup
    if params.mode == "off":
        for step in _STEPS:
            context.store.at(f"state/dedup-{step}").delete_dir()
        return {}
    width = max(1, sizes.batch_rows // context.recipe.partition_rows)
    batches = batches_of(params, measured, screens, leaks, width)
    notes = _make_keys(context, batches)
    members, units = _make_units(context, batches, notes, sizes)
    settled = _settle(context, batches, members, units)
    totals: Counter[str] = Counter()
    for batch, note in zip(batches, notes, strict=True):
        totals[batch.source] += note.live
    check_tally(add_tallies(found.tally for _, found in settled), totals, params)
    tasks = [verdict_task(context.store.work.uri, batch, settled) for batch in batches]
    run_pass(context, STAGE, write_verdicts, tasks)
    context.store.at("state/dedup-gather").delete_dir()
    announce(context.store, "dedup-gather", [])
    return {part: path for task in tasks for part, path in zip(task.batch.parts, task.outputs, strict=True)}


def _make_keys(context: Context, batches: Sequence[Batch]) -> list[Notes]:
    store = context.store
    tasks = [keys_task(store.work.uri, batch, context.recipe.dedup) for batch in batches]
    run_pass(context, "dedup-keys", make_keys, tasks)
    return [Notes.model_validate_json(store.at(task.notes).read_bytes()) for task in tasks]


def _make_units(context: Context, batches: Sequence[Batch], notes: Sequence[Notes], sizes: Sizes) -> tuple[str, Units]:
    """Return where the members of components are, and the units that they make."""
    work, radius = context.store.work.uri, context.recipe.dedup.radius
    near = edges_tasks(work, batches, notes, radius, 0, sizes.entries) if radius else []
    run_pass(context, "dedup-near", make_edges, near, folders=["state/dedup-near"])
    groups = edges_tasks(work, batches, notes, None, least_of(context.recipe.dedup), sizes.entries)
    run_pass(context, "dedup-groups", make_edges, groups, folders=["state/dedup-groups"])
    task = components_task(work, batches, notes, [*near, *groups], sizes.unit_bytes)
    run_pass(context, "dedup-components", make_components, [task])
    return task.members, Units.model_validate_json(context.store.at(task.units).read_bytes())


def _settle(context: Context, batches: Sequence[Batch], members: str, units: Units) -> list[tuple[SettleTask, Settled]]:
    """Decide on all units that are not decided yet."""
    store, params = context.store, context.recipe.dedup
    priorities = {use.name: use.priority for use in context.recipe.sources}
    work = store.work.uri
    tasks = [settle_task(work, unit, units, batches, priorities, params) for unit in units.units]
    todo = {task.label for task in unfinished(store, tasks)}
    wanted = [unit for unit in units.units if unit.label in todo]
    run_pass(context, "dedup-gather", gather, gather_tasks(work, batches, members, units, wanted))
    run_pass(context, "dedup-settle", settle, tasks, folders=["state/dedup-settle"])
    return [(task, Settled.model_validate_json(store.at(task.notes).read_bytes())) for task in tasks]
