"""Builds the quickstart's input folder: deterministic, aside first and then renamed whole."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

from infinity_mm.demo.layouts import LAYOUTS
from infinity_mm.demo.rows import honest_rows
from infinity_mm.demo.traps import describe, plant_all, to_json

#: Raised whenever the same seed gives other files.
VERSION = 3


def build(out: Path, seed: int = 17) -> dict[str, int]:
    """Write one folder per source and traps.json below `out`; returns raw rows per source.

    Does nothing when `out` was built before with the same version and seed. Anything else at `out` that
    this function did not make is left alone: `FileExistsError` then.
    """
    stamp = out / "demo.json"
    wanted = {"version": VERSION, "seed": seed}
    if stamp.is_file():
        found = json.loads(stamp.read_text())
        if {key: found[key] for key in wanted} == wanted:
            return dict(found["rows"])
        shutil.rmtree(out)
    elif out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} holds files that the demo did not make; choose an empty folder")
    aside = out.with_name(f".tmp-{out.name}")
    shutil.rmtree(aside, ignore_errors=True)
    rows = plant_all(seed, honest_rows(seed))
    places = {}
    for source, drafts in rows.items():
        (aside / source).mkdir(parents=True)
        places[source] = LAYOUTS[source](drafts, aside / source)
    counts = {source: len(drafts) for source, drafts in rows.items()}
    (aside / "traps.json").write_text(to_json(describe(places, rows)), encoding="utf-8")
    (aside / "demo.json").write_text(json.dumps({**wanted, "rows": counts}))
    if out.exists():
        out.rmdir()
    aside.rename(out)
    return counts


def count_traps(out: Path) -> Counter[str]:
    """Return how many rows each trap was planted in."""
    tree = json.loads((out / "traps.json").read_text(encoding="utf-8"))
    counts = Counter(single["trap"] for single in tree["singles"])
    for group in tree["groups"]:
        counts[group["trap"]] += len(group["members"])
    return counts
