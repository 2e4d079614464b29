"""Do the books of a run name every planted fault? Reads the ledger, as any other program would."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from infinity_mm.errors import UsageError

Place = tuple[str, str]


@dataclass(frozen=True)
class Finding:
    """One planted row or group whose entry in the books is not what it should be."""

    trap: str
    place: str
    expected: str
    got: str


@dataclass(frozen=True)
class Outcome:
    """Planted rows per trap, rows found as expected, and the others."""

    planted: Counter[str]
    found: Counter[str]
    mismatches: list[Finding]


def check(demo: Path, work: Path) -> Outcome:
    """Compare traps.json with the ledger and notes of a run; raises `UsageError` without a ledger."""
    parts = sorted((work / "ledger").glob("part-*.parquet"))
    if not parts:
        raise UsageError(f"{work} has no ledger; run pipelines/quickstart.yaml with --work {work} first")
    ledger = {(row["source"], row["source_ref"]): row for part in parts for row in pq.read_table(part).to_pylist()}
    notes = _notes(work)
    tree = json.loads((demo / "traps.json").read_text(encoding="utf-8"))
    outcome = Outcome(Counter(), Counter(), [])
    for single in tree["singles"]:
        place = (single["source"], single["source_ref"])
        _count(outcome, single["trap"], 1, place, _fault(ledger.get(place), single["expect"], notes), single["expect"])
    for group in tree["groups"]:
        places = [(source, reference) for source, reference in group["members"]]
        fault = _group_fault([ledger.get(place) for place in places], group)
        _count(outcome, group["trap"], len(places), places[0], fault, group["expect"])
    return outcome


def _count(outcome: Outcome, trap: str, rows: int, place: Place, fault: str | None, expect: Mapping[str, Any]) -> None:
    outcome.planted[trap] += rows
    if fault is None:
        outcome.found[trap] += rows
    else:
        outcome.mismatches.append(Finding(trap, ": ".join(place), json.dumps(expect), fault))


def _notes(work: Path) -> dict[str, set[str]]:
    """Return id -> notes of ingestion, and `encoding_repaired` where the text filter mended a row."""
    found: dict[str, set[str]] = {}
    for part in (work / "attributes/ingest").rglob("part-*.parquet"):
        for row in pq.read_table(part, columns=["id", "notes"]).to_pylist():
            found.setdefault(row["id"], set()).update(row["notes"])
    for part in (work / "attributes/text").rglob("part-*.parquet"):
        for row in pq.read_table(part, columns=["id", "repaired"]).to_pylist():
            if row["repaired"]:
                found.setdefault(row["id"], set()).add("encoding_repaired")
    return found


def _fault(row: Mapping[str, Any] | None, expect: Mapping[str, Any], notes: Mapping[str, set[str]]) -> str | None:
    if row is None:
        return "no such row in the ledger"
    got = f"{row['outcome']} {row['stage']}.{row['reason']} ({row['detail']})"
    if row["outcome"] != expect["outcome"]:
        return got
    if expect["stage"] and row["stage"] != expect["stage"]:
        return got
    if expect["reasons"] and row["reason"] not in expect["reasons"]:
        return got
    if expect["note"] and expect["note"] not in notes.get(row["id"], set()):
        return f"{got}, notes {sorted(notes.get(row['id'], set()))}"
    return None


def _group_fault(rows: list[Mapping[str, Any] | None], group: Mapping[str, Any]) -> str | None:
    """Exactly `kept` members stay; every other one is dropped as expected and names a member as winner."""
    if any(row is None for row in rows):
        return "a member is not in the ledger"
    members = [row for row in rows if row is not None]
    kept = [row for row in members if row["outcome"] == "kept"]
    if len(kept) != group["kept"]:
        return f"{len(kept)} of {len(members)} kept: {[(r['outcome'], r['stage'], r['reason']) for r in members]}"
    ids = {row["id"] for row in kept}
    for row in members:
        if row["outcome"] != "kept":
            fault = _fault(row, group["expect"], {})
            if fault is not None or row["winner"] not in ids:
                return fault or f"the winner {row['winner']} is no kept member of the group"
    return None
