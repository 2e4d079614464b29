"""Seed rows from where they are: files, run folders, the package."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib import resources

from infinity_mm.errors import UsageError
from infinity_mm.fs import Location
from infinity_mm.store import Store
from infinity_mm.synth.mapping import build_weights, mapping_text
from infinity_mm.synth.seeds import Seed, parse_seeds, seed_line

#: Where a run folder keeps synthetic records.
_FOLDER = "records/synthetic"


def package_seeds() -> str:
    """Return the seed rows that the project brings, written for it."""
    return resources.files("infinity_mm.synth").joinpath("seeds.jsonl").read_text("utf-8")


def package_mapping() -> str:
    """Return the mapping file that follows from the package's seed rows."""
    seeds = parse_seeds(package_seeds(), "package")
    return mapping_text(build_weights(seeds), len(seeds))


def read_seeds(places: Sequence[Location | None]) -> tuple[Seed, ...]:
    """Return the seeds of several files and run folders, each row once; None stands for the package's.

    Raises `UsageError` for a place that is neither, `RecipeError` for a line that is no seed row.
    """
    lines: list[str] = []
    for place in places:
        if place is None:
            lines += package_seeds().splitlines()
            continue
        store = Store(place)
        parts = [name for name in store.at(_FOLDER).files() if name.startswith("part-")]
        if parts:
            lines += (line for name in sorted(parts) for line in _of_part(store, name))
        else:
            lines += _of_file(place)
    return parse_seeds("\n".join(lines), ", ".join("package" if place is None else str(place) for place in places))


def _of_file(place: Location) -> list[str]:
    try:
        lines = place.read_bytes().decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{place} is neither a file of seed rows nor a run folder with synthetic rows: {error}"
        ) from error
    parse_seeds("\n".join(lines), str(place))  # here a fault is named by its own file and line
    return lines


def _of_part(store: Store, name: str) -> Iterator[str]:
    """Yield the kept rows of a part, as the provenance in their `extra` has them; a merged row is several."""
    for text in store.read(f"{_FOLDER}/{name}", ["extra"])["extra"].to_pylist():
        origin = json.loads(text)
        for one in (origin, *origin.get("further_turns", ())):
            row = {
                "image": one["image_sha256"],
                "tags": [{"tag": tag["tag"], "confidence": tag["confidence"]} for tag in one["tags"]],
                "type": one["instruction_type"]["leaf"],
                "question": one["question"],
                "answer": one["answer"],
                "format": one["answer_format"],
                "options": one["options"],
            }
            (seed,) = parse_seeds(json.dumps(row), name)
            yield seed_line(seed.row)
