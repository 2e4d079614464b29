"""One row's life, read back from a run folder: raw record, record, every measurement, verdict, shard."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from infinity_mm.errors import UsageError
from infinity_mm.frozen import Frozen
from infinity_mm.pipeline.generated import calls_of
from infinity_mm.pipeline.merging import STAGE as MERGE
from infinity_mm.pipeline.parts import SYNTHETIC
from infinity_mm.schema import RECORD_COLUMNS
from infinity_mm.store import Store

#: Shortest prefix of an id that is looked up.
MIN_PREFIX = 6


class Place(Frozen):
    """Where a kept row is exported."""

    export: str
    shard: str
    #: Position inside the shard, from 0.
    position: int


class Life(Frozen):
    """Everything a run folder knows of one row."""

    ledger: dict[str, Any]
    #: The record without pixels; None where the row never became one.
    record: dict[str, Any] | None
    #: The raw row as text, for quarantined rows.
    raw: str | None
    #: Stage -> measured values and verdicts; long lists are summarised.
    attributes: dict[str, dict[str, Any]]
    #: The row that was kept instead, for duplicates.
    winner: dict[str, Any] | None
    #: Of a kept row: removed rows whose questions are in its conversation, with `id` and `turn`, the first of theirs.
    merged: list[dict[str, Any]]
    #: The conversation as it is exported, where others were merged into the record's own.
    messages: list[dict[str, str]] | None
    #: Of a synthetic row: each call of a model, and whether its answer was in the generation cache.
    calls: list[dict[str, Any]]
    #: Synthetic rows generated from this one: their ids.
    children: list[str]
    places: list[Place]


def explain(store: Store, identity: str) -> Life:
    """Look a row up by id, or by a prefix of at least six digits.

    Raises `UsageError` for a folder without ledger, an unknown id, or a prefix of several ids.
    """
    file, row = _find(store, identity)
    source, number = row["source"], file.removesuffix(".parquet").split("-")[-2]
    record = _row_of(store, f"records/{source}", number, row["id"], RECORD_COLUMNS)
    lost = _row_of(store, f"quarantine/{source}", number, row["id"], None)
    attributes = {}
    merged: dict[str, Any] = {}
    for stage in store.at("attributes").folders():
        values = _row_of(store, f"attributes/{stage}/{source}", number, row["id"], None)
        if values is not None:
            if stage == MERGE:
                merged = {key: values.pop(key) for key in ("merged", "messages")}
            attributes[stage] = {key: _short(value) for key, value in values.items() if key != "id"}
    winner = _find(store, row["winner"])[1] if row["winner"] else None
    return Life(
        ledger=row,
        record=record,
        raw=lost["raw"] if lost else None,
        attributes=attributes,
        winner=winner,
        merged=merged.get("merged", []),
        messages=merged.get("messages"),
        calls=calls_of(store, row["id"]) if source == SYNTHETIC else [],
        children=_children(store, row["id"]),
        places=_places(store, row["id"]),
    )


def _find(store: Store, identity: str) -> tuple[str, dict[str, Any]]:
    files = [name for name in store.at("ledger").files() if name.startswith("part-")]
    if not files:
        raise UsageError(f"{store.work} has no ledger; run a recipe with --work {store.work} first")
    if len(identity) < MIN_PREFIX:
        raise UsageError(f"{identity!r} is too short; give at least {MIN_PREFIX} digits of the id")
    hits = []
    for name in files:
        table = store.read(f"ledger/{name}")
        hits += [(name, row) for row in table.filter(pc.starts_with(table.column("id"), identity)).to_pylist()]
    if not hits:
        raise UsageError(f"no row of {store.work} has the id {identity!r}; ids are in the ledger's first column")
    if len(hits) > 1:
        shown = ", ".join(row["id"] for _, row in hits[:5])
        raise UsageError(f"{identity!r} is a prefix of {len(hits)} ids: {shown}; give more digits")
    return hits[0]


def _row_of(
    store: Store, folder: str, number: str, identity: str, columns: tuple[str, ...] | None
) -> dict[str, Any] | None:
    for name in store.at(folder).files():
        if name.startswith(f"part-{number}-"):
            table = store.read(f"{folder}/{name}", columns)
            found = table.filter(pc.equal(table.column("id"), identity)).to_pylist()
            return found[0] if found else None
    return None


def _short(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, list):
        shown = [_short(item) for item in value[:8]]
        return shown if len(value) <= 8 else [*shown, f"... {len(value)} in all"]
    return value


def _children(store: Store, identity: str) -> list[str]:
    found: list[str] = []
    if not any(name.startswith(f"part-{SYNTHETIC}-") for name in store.at("ledger").files()):
        return found  # generated for an earlier recipe
    for name in store.at(f"records/{SYNTHETIC}").files():
        table = store.read(f"records/{SYNTHETIC}/{name}", ["id", "parent"])
        found += table.filter(pc.equal(table.column("parent"), identity)).column("id").to_pylist()
    return found


def _places(store: Store, identity: str) -> list[Place]:
    places = []
    for export in store.at("state/exports").folders():
        for name in store.at(f"state/exports/{export}").files():
            if not name.endswith(".parquet"):
                continue
            with store.at(f"state/exports/{export}/{name}").open_input() as stream:
                table = pq.read_table(stream, columns=["id", "shard", "position"])
            for row in table.filter(pc.equal(table.column("id"), identity)).to_pylist():
                places.append(Place(export=export, shard=row["shard"], position=row["position"]))
    return places
