"""`report/index.html` of a run folder: what a person opens after the run. One file, no scripts, no network."""

from __future__ import annotations

import base64
import io
from typing import Any

import jinja2
import yaml
from PIL import Image

from infinity_mm.keyed import keyed_u64
from infinity_mm.manifest import Manifest
from infinity_mm.pipeline.parts import SYNTHETIC
from infinity_mm.store import Store

#: Pixels of the longer side of a thumbnail.
THUMBNAIL = 150
#: Examples of each kind.
EXAMPLES = 6


def write_report(store: Store, manifest: Manifest) -> None:
    """Write the report of a finished run."""
    environment = jinja2.Environment(loader=jinja2.PackageLoader("infinity_mm.report", "."), autoescape=True)
    environment.filters["thousands"] = lambda number: f"{number:,}"
    view = {
        "manifest": manifest,
        "totals": _totals(manifest),
        "duplicates": _duplicates(store, manifest.seed),
        "quarantined": _quarantined(store, manifest),
        "kept": _kept(store, manifest),
        "generated": _generated(store, manifest),
        "recipe": yaml.safe_dump(manifest.recipe, sort_keys=False, allow_unicode=True),
    }
    html = environment.get_template("template.html").render(**view)
    store.at("report/index.html").write_bytes(html.encode())


def _totals(manifest: Manifest) -> dict[str, int]:
    books = manifest.books.values()
    return {
        "rows": sum(book.rows for book in books),
        "kept": sum(book.kept for book in books),
        "dropped": sum(sum(book.dropped.values()) for book in books),
        "quarantined": sum(sum(book.quarantined.values()) for book in books),
    }


def _parts(store: Store, folder: str) -> list[str]:
    return [f"{folder}/{name}" for name in store.at(folder).files() if name.startswith("part-")]


def _sample(rows: list[dict[str, Any]], seed: int, purpose: str, count: int = EXAMPLES) -> list[dict[str, Any]]:
    """Return a few rows, chosen by their ids."""
    return sorted(rows, key=lambda row: keyed_u64(seed, f"report.{purpose}", row["id"]))[:count]


def _ledger(store: Store) -> list[dict[str, Any]]:
    return [row for path in _parts(store, "ledger") for row in store.read(path).to_pylist()]


def _duplicates(store: Store, seed: int) -> list[dict[str, Any]]:
    lost = [row for row in _ledger(store) if row["winner"] is not None and row["stage"] == "dedup"]
    chosen = _sample(lost, seed, "duplicates")
    cards = _cards(store, {row["id"] for row in chosen} | {row["winner"] for row in chosen})
    return [{**row, "loser": cards.get(row["id"]), "victor": cards.get(row["winner"])} for row in chosen]


def _quarantined(store: Store, manifest: Manifest) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for source in manifest.books:
        for path in _parts(store, f"quarantine/{source}"):
            rows += store.read(path).to_pylist()
    first: dict[str, dict[str, Any]] = {}
    for row in _sample(rows, manifest.seed, "quarantine", len(rows)):
        first.setdefault(row["reason"], row)
    return [first[reason] for reason in sorted(first)]


def _kept(store: Store, manifest: Manifest) -> list[dict[str, Any]]:
    chosen = []
    ledger = _ledger(store)
    for source in manifest.books:
        if source != SYNTHETIC:
            mine = [row for row in ledger if row["source"] == source and row["outcome"] == "kept"]
            chosen += _sample(mine, manifest.seed, "kept", 2)
    cards = _cards(store, {row["id"] for row in chosen})
    return [{**row, "card": cards.get(row["id"])} for row in chosen]


def _generated(store: Store, manifest: Manifest) -> list[dict[str, Any]]:
    if manifest.synthesis is None:  # the folder may hold those of an earlier recipe
        return []
    rows = [row for path in _parts(store, f"records/{SYNTHETIC}") for row in store.read(path).to_pylist()]
    chosen = _sample(rows, manifest.seed, "generated")
    cards = _cards(store, {row["parent"] for row in chosen})
    return [{**row, "card": cards.get(row["parent"])} for row in chosen]


def _cards(store: Store, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """Return id -> thumbnail and messages of the wanted records; reads only their row groups."""
    found: dict[str, dict[str, Any]] = {}
    for source in store.at("records").folders():
        for path in _parts(store, f"records/{source}"):
            ids = store.read(path, ["id"]).column("id").to_pylist()
            for number, identity in enumerate(ids):
                if identity in wanted and identity not in found:
                    record, data = store.read_row(path, number)
                    found[identity] = {**record, "thumbnail": _thumbnail(data[0]) if data and data[0] else None}
    return found


def _thumbnail(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        small = image.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
