from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infinity_mm.errors import UsageError
from infinity_mm.fs import Location
from infinity_mm.schema import RECORDS
from infinity_mm.store import Store
from infinity_mm.synth.annotated import package_seeds, read_seeds
from infinity_mm.synth.mapping import parse_mapping
from infinity_mm.synth.run_step import synthesise
from tests.running import infinity_mm


def a_run(kit: Any, folder: Path) -> Location:
    """A run folder with three synthetic records."""
    chat = kit.chat(kit.sound)
    found = synthesise(chat, chat, [kit.parent(name) for name in "abc"], kit.params, 1)
    with Store(Location.of(folder)).writer("records/synthetic/part-00000-x.parquet", RECORDS) as writer:
        for one in found:
            writer.add(one.record, 100)
    return Location.of(folder)


def test_kept_rows_of_a_run_are_seeds(kit: Any, tmp_path: Path) -> None:
    seeds = read_seeds([a_run(kit, tmp_path / "work")])
    assert {seed.row.image for seed in seeds} == {kit.parent(name).image.sha256 for name in "abc"}
    assert all(seed.is_example for seed in seeds)
    assert [(tag.tag, tag.confidence) for tag in seeds[0].row.tags] == [("red car", 5), ("brick wall", 4)]


def test_several_places_are_joined_and_a_row_counts_once(kit: Any, tmp_path: Path) -> None:
    file = tmp_path / "seeds.jsonl"
    file.write_text(package_seeds())
    own = read_seeds([None])
    assert read_seeds([Location.of(file), None]) == own
    assert len(read_seeds([a_run(kit, tmp_path / "work"), None])) == len(own) + 3


def test_a_place_that_is_neither_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither"):
        read_seeds([Location.of(tmp_path / "absent")])


def test_the_command_writes_mapping_and_seeds(tmp_path: Path) -> None:
    done = infinity_mm("mapping", "package", "--out", tmp_path / "m.yaml", "--seeds", tmp_path / "s.jsonl")
    assert done.returncode == 0, done.stderr
    mapping = parse_mapping((tmp_path / "m.yaml").read_text(), "m")
    assert "Parse bar charts" in mapping.leaves
    assert "types from 70 tagged rows" in done.stdout
    assert json.loads((tmp_path / "s.jsonl").read_text().splitlines()[0])["image"] == "kitchen"
    lost = infinity_mm("mapping", tmp_path / "nothing", "--out", tmp_path / "n.yaml")
    assert lost.returncode == 2
    assert "neither" in lost.stderr
