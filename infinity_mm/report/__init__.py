"""`report/index.html` of a run folder: what a person opens after the run. One file, no scripts, no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from typing import Any

import jinja2
import orjson
import yaml
from PIL import Image

from infinity_mm.manifest import Manifest
from infinity_mm.pipeline.closing import Examples, merge_examples
from infinity_mm.pipeline.merging import STAGE as MERGE
from infinity_mm.pipeline.parts import SYNTHETIC
from infinity_mm.store import Store

#: Pixels of the longer side of a thumbnail.
THUMBNAIL = 150


def write_report(store: Store, manifest: Manifest, examples: Mapping[str, Examples]) -> None:
    """Write the report of a finished run; `examples` are those of each source."""
    overall = merge_examples(manifest.seed, examples.values())
    environment = jinja2.Environment(loader=jinja2.PackageLoader("infinity_mm.report", "."), autoescape=True)
    environment.filters["thousands"] = lambda number: f"{number:,}"
    view = {
        "manifest": manifest,
        "totals": _totals(manifest),
        "duplicates": _duplicates(store, overall),
        "quarantined": overall.quarantined,
        "kept": _kept(store, examples),
        "generated": _generated(store, overall),
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


def _duplicates(store: Store, examples: Examples) -> list[dict[str, Any]]:
    cards = _cards(store, {key for row in examples.duplicates for key in (row.id, row.winner) if key})
    return [
        {**row.model_dump(), "loser": cards.get(row.id), "victor": cards.get(row.winner or "")}
        for row in examples.duplicates
    ]


def _kept(store: Store, examples: Mapping[str, Examples]) -> list[dict[str, Any]]:
    chosen = [row for _, one in sorted(examples.items()) for row in one.kept]
    cards = _cards(store, {row.id for row in chosen})
    return [{**row.model_dump(), "card": cards.get(row.id)} for row in chosen]


def _generated(store: Store, examples: Examples) -> dict[str, list[dict[str, Any]]]:
    """Return per instruction type the questions to show: what was written, its scores, and its picture."""
    wanted = {identity for ids in examples.generated.values() for identity in ids}
    found: dict[str, dict[str, Any]] = {}
    columns = ["id", "parent", "answer_format", "generation"]
    for path in _parts(store, f"attributes/synth/{SYNTHETIC}"):
        if len(found) < len(wanted):
            rows = store.read(path, columns).to_pylist()
            found |= {row["id"]: {**row, **orjson.loads(row["generation"])} for row in rows if row["id"] in wanted}
    cards = _cards(store, {row["parent"] for row in found.values()})
    return {
        name: [
            {**found[identity], "card": cards.get(found[identity]["parent"])} for identity in ids if identity in found
        ]
        for name, ids in examples.generated.items()
    }


def _cards(store: Store, wanted: set[str], sources: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """Return id -> thumbnail and messages of the wanted records; reads the ids of parts, and their row groups."""
    found: dict[str, dict[str, Any]] = {}
    for source in store.at("records").folders() if sources is None else sources:
        for path in _parts(store, f"records/{source}"):
            if len(found) == len(wanted):
                return found
            ids = store.read(path, ["id"]).column("id").to_pylist()
            for number, identity in enumerate(ids):
                if identity in wanted and identity not in found:
                    record, data = store.read_row(path, number)
                    said = _merged(store, path, number) or record["messages"]
                    picture = _thumbnail(data[0]) if data and data[0] else None
                    found[identity] = {**record, "messages": said, "thumbnail": picture}
    return found


def _merged(store: Store, records: str, row: int) -> list[dict[str, str]] | None:
    """Return the conversation that others were merged into, of a record of a part; None where none were."""
    folder = f"attributes/{MERGE}/{records.split('/')[-2]}"
    number = records.rpartition("/")[2].split("-")[1]
    for name in store.at(folder).files():
        if name.startswith(f"part-{number}-"):
            messages: list[dict[str, str]] | None = store.read(f"{folder}/{name}", ["messages"])["messages"][
                row
            ].as_py()
            return messages
    return None


def _thumbnail(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        small = image.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
