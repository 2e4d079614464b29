"""Small inputs, and what must come of them by definition."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from infinity_mm.dedup.text.inputs import Columns
from infinity_mm.dedup.text.job import Request, run
from infinity_mm.dedup.text.params import TextParams
from infinity_mm.fs import Location
from infinity_mm.progress import Reporter
from infinity_mm.text import normalise, repair, tokens

COLUMNS = Columns("text", "id")
QUIET = Reporter(quiet=True)


def edited_texts(count: int, seed: int) -> list[str]:
    """Return texts of which most are edits of an earlier one, some equal, some short, some in Chinese."""
    rng = random.Random(seed)
    words = [
        "red",
        "blue",
        "green",
        "house",
        "tree",
        "river",
        "stone",
        "bird",
        "cloud",
        "road",
        "5",
        "größe",
        "图",
        "书",
    ]
    words += [f"word{n}" for n in range(60)]
    texts: list[list[str]] = []
    for _ in range(count):
        if texts and rng.random() < 0.7:
            text = list(rng.choice(texts))
            for _ in range(rng.choice([0, 1, 1, 2, 4])):
                if text:
                    text[rng.randrange(len(text))] = rng.choice(words)
        else:
            text = [rng.choice(words) for _ in range(rng.choice([0, 1, 3, 4, 5, 20, 60, 100]))]
        texts.append(text)
    return [rng.choice([" ", ", "]).join(text) + rng.choice(["", ".", "!"]) for text in texts]


def table_of(texts: Sequence[str | None], ids: Sequence[object] | None = None, **more: Sequence[object]) -> pa.Table:
    """Return rows with ids that are in no order."""
    chosen = [f"id{number * 7919 % 10_007:05d}" for number in range(len(texts))] if ids is None else list(ids)
    return pa.table({"id": chosen, "text": pa.array(texts, pa.string()), **more})


def write(folder: Path, *tables: pa.Table, group_rows: int = 1 << 20) -> str:
    """Write each table as a file; returns the glob of all."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"part-{number:03d}.parquet", row_group_size=group_rows)
    return str(folder / "*.parquet")


def removed_of(
    pattern: str, out: Path, columns: Columns = COLUMNS, workers: int = 1, **params: object
) -> dict[object, tuple[object, float]]:
    """Run a job; returns id -> (winner, similarity) of the removed rows."""
    run(Request(pattern, columns, Location.of(out), workers=workers), TextParams(**params), QUIET)
    rows = pq.read_table(out / "removed.parquet").to_pylist()
    return {row["id"]: (row["winner"], row["similarity"]) for row in rows}


def shingles_of(text: str, ngram: int, char: bool) -> frozenset[tuple[str, ...]]:
    """Return the shingle set by definition."""
    pieces = tokens(normalise(repair(text)))
    if char:
        pieces = list("".join(pieces))
    return frozenset(tuple(pieces[start : start + ngram]) for start in range(len(pieces) - ngram + 1))


def by_definition(
    texts: Mapping[object, str], threshold: float, ngram: int = 5, char: bool = False
) -> dict[object, tuple[object, float]]:
    """Return what must be removed: each row is compared with all kept ones, by ascending id."""
    sets = {identity: shingles_of(text, ngram, char) for identity, text in texts.items()}
    found: dict[object, tuple[object, float]] = {}
    kept: list[object] = []
    for identity in sorted(texts):
        own = sets[identity]
        for other in kept:
            theirs = sets[other]
            if not own or not theirs:
                written = [" ".join(tokens(normalise(texts[row])) or texts[row].split()) for row in (identity, other)]
                similarity = float(not own and not theirs and written[0] == written[1])
            else:
                similarity = len(own & theirs) / len(own | theirs)
            if similarity >= threshold:
                found[identity] = (other, similarity)
                break
        else:
            kept.append(identity)
    return found
