"""Attempts that failed: a run stops where they are too many, and they are tried again when somebody asks for it.

A finished partition is not done again, and what failed in it, because a server was down or answered nonsense, stays in
quarantine with it. Beginning the partition again costs only the calls that failed: the generation cache has the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import orjson
import pyarrow.compute as pc

from infinity_mm.errors import StageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.pipeline.generated import SynthTask
from infinity_mm.pipeline.parents import Places
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.passes import unfinished
from infinity_mm.store import Store
from infinity_mm.synth.params import SynthParams

VERSION = 1
#: Fingerprints of partitions that were begun again; in a folder of its own, since passes sweep theirs.
_AGAIN = "state/synth/again/partitions.json"


def watch_failures(store: Store, tasks: Sequence[SynthTask], params: SynthParams) -> Callable[[SynthTask], None]:
    """Return a function that takes note of each finished partition and stops the run as soon as a budget is spent.

    The budget is a share of all attempts, so what is lost already can only become more.
    """
    planned = sum(len(task.places) for task in tasks) * params.per_image
    reasons: Counter[str] = Counter()

    def watch(task: SynthTask) -> None:
        found = _failed(store, task)
        reasons.update(f"{row['stage']}.{row['reason']}" for row in found)
        lost = reasons.total()
        if lost > params.max_quarantined * planned:
            most = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(3))
            detail = f", the last with: {found[-1]['detail'][:200]}" if found and found[-1]["detail"] else ""
            raise StageError(
                f"synthesis: {lost} of {planned} attempts are in quarantine ({most}){detail}. That is more than "
                f"synth.max_quarantined={params.max_quarantined:g}. Look at the model or its endpoint, then run "
                "`infinity-mm synth RECIPE --work DIR --retry`, which asks again what failed; or raise that key"
            )

    return watch


def begin_again(store: Store, tasks: Sequence[SynthTask], asked_for: Sequence[SynthTask]) -> list[SynthTask]:
    """Give a new name to finished partitions with attempts in quarantine, so that they are generated again.

    `tasks` are `asked_for` with their offers. The new names hold for later runs too, see `renamed`: whatever follows
    from a partition is named by it, and is made again as well.
    """
    missing = {task.attempts for task in unfinished(store, tasks)}
    pairs = zip(tasks, asked_for, strict=True)
    failed = [asked.part.fingerprint for task, asked in pairs if task.attempts not in missing and _failed(store, task)]
    if failed:
        store.at(_AGAIN).write_bytes(orjson.dumps(sorted({*_begun_again(store), *failed})))
    return renamed(store, asked_for)


def lost_places(store: Store, task: SynthTask) -> Places:
    """Return the places of the pictures of a finished partition that have attempts in quarantine."""
    lost = {row["parent"] for row in _failed(store, task)}
    if not lost:
        return ()
    ids = {path: store.read(path, ["id"])["id"].to_pylist() for path in {path for path, _ in task.places}}
    return tuple((path, row) for path, row in task.places if ids[path][row] in lost)


def renamed(store: Store, tasks: Sequence[SynthTask]) -> list[SynthTask]:
    """Return the tasks under the names that they have since they were begun again, as often as that was."""
    known = _begun_again(store)
    found = []
    for task in tasks:
        name = task.part.fingerprint
        while name in known:
            name = fingerprint(["synth_again", VERSION], name)
        if name != task.part.fingerprint:
            part = Part(SYNTHETIC, task.part.number, name)
            task = replace(task, part=part, attempts=part.attributes("synth", name), again=name)
        found.append(task)
    return found


def _begun_again(store: Store) -> set[str]:
    place = store.at(_AGAIN)
    return set(orjson.loads(place.read_bytes())) if place.exists() else set()


def _failed(store: Store, task: SynthTask) -> list[dict[str, str]]:
    rows = store.read(task.attempts, ["parent", "outcome", "stage", "reason", "detail"])
    found: list[dict[str, str]] = rows.filter(pc.equal(rows["outcome"], "quarantined")).to_pylist()
    return found
