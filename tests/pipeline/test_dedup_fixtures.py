"""Where naive deduplication breaks: templated questions on charts, blank pictures, chains. Small real runs."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image, ImageDraw, ImageEnhance

from infinity_mm.errors import StageError
from infinity_mm.explain import explain
from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.store import Store
from tests.decontam.sets import encoded, scenes
from tests.running import infinity_mm

pytestmark = pytest.mark.usefixtures("shared_ray")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August")


class Rows:
    """A source of rows with a picture each, written as they are added."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lines: list[str] = []
        (root / "images").mkdir(parents=True)

    def add(self, name: str, question: str, answer: str, picture: bytes | None = None) -> None:
        if picture is not None:
            (self.root / f"images/{name}.img").write_bytes(picture)
        mark = "" if picture is None else "<image>\n"
        turns = [{"role": "user", "content": mark + question}, {"role": "assistant", "content": answer}]
        pictures = [] if picture is None else [f"{name}.img"]
        self._lines.append(json.dumps({"id": name, "images": pictures, "messages": turns}))

    def write(self) -> None:
        (self.root / "train.jsonl").write_text("\n".join(self._lines))

    def use(self, category: str = "general", priority: int = 1) -> dict[str, object]:
        return {
            "name": self.root.name,
            "root": str(self.root),
            "family": "chat_messages",
            "image_root": ["images"],
            "category": category,
            "priority": priority,
        }


def go(folder: Path, uses: list[dict[str, object]], address: str | None = None, **dedup: object):
    """Run the sources through deduplication alone; return native id -> ledger row, and the run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path, work = folder / "recipe.yaml", folder / "work"
    path.write_text(yaml.safe_dump({"name": "rails", "partition_rows": 500, "sources": uses, "dedup": dedup}))
    run(load_recipe(path), Location.of(work), RunOptions(address, quiet=True))
    names = {row["id"]: row["source_id"] for row in _read(work / "records", ["id", "source_id"])}
    return {names[row["id"]]: row | {"winner": names.get(row["winner"])} for row in _read(work / "ledger")}, work


def _read(folder: Path, columns: list[str] | None = None) -> list[dict[str, object]]:
    return [row for path in sorted(folder.rglob("part-*")) for row in pq.read_table(path, columns=columns).to_pylist()]


def removed(ledger: dict[str, dict[str, object]]) -> dict[str, tuple[object, object]]:
    return {name: (row["reason"], row["winner"]) for name, row in ledger.items() if row["outcome"] != "kept"}


def chart(number: int) -> bytes:
    """Return one of 9 ** 4 charts of one layout: axes, title and eight bars, of which four differ."""
    page = Image.new("RGB", (160, 120), "white")
    draw = ImageDraw.Draw(page)
    draw.line((20, 10, 20, 105, 150, 105), fill="black", width=2)
    draw.text((50, 0), "Sales in 2019", fill="black")
    for bar in range(8):
        height = 30 + 4 * (number // 9 ** (bar // 2) % 9 if bar % 2 else 3)
        draw.rectangle((26 + 15 * bar, 105 - height, 36 + 15 * bar, 105), fill="steelblue")
    return encoded(page)


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """3,000 rows of one template about charts of one layout, with short answers; then three real copies."""
    rows = Rows(tmp_path_factory.mktemp("charts") / "charts")
    for number in range(3_000):
        month = MONTHS[number % 8]
        kind = number % 3
        question = (
            f"Look at the chart and read off the bar of {month}. How many units were sold in {month} of that year?"
            if kind == 0
            else "Does the chart show more sales in June than in March? Answer yes or no."
        )
        answer = str(30 + number % 40) if kind == 0 else ("Yes" if kind == 1 else "No")
        rows.add(f"r{number}", question, answer, chart(number))
    for number in (1, 2, 300):
        month = MONTHS[number % 8]
        question = (
            f"look at the chart and read off the bar of {month}. How many units were sold in {month} of that year?"
            if number % 3 == 0
            else "Does the chart show more sales in June than in March?  Answer YES or no!"
        )
        answer = str(30 + number % 40) if number % 3 == 0 else ("yes" if number % 3 == 1 else "no.")
        rows.add(f"z{number}", question, answer, chart(number))
    rows.write()
    return rows


@pytest.mark.parametrize("category", ["doc_chart_screen", "general"])
def test_pair_mode_removes_nothing_of_a_template_but_its_copies(charts, tmp_path, category):
    ledger, _ = go(tmp_path, [charts.use(category)])
    assert len(ledger) == 3_003
    lost = removed(ledger)
    print(category, len(lost), Counter(reason for reason, _ in lost.values()))
    pairs = {frozenset((name, winner)) for name, (_, winner) in lost.items()}
    assert pairs == {frozenset((f"r{number}", f"z{number}")) for number in (1, 2, 300)}
