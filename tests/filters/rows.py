"""Builders of records and ingest attributes, and one example and one near-miss for every reason of every filter."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from infinity_mm.filters.base import Filter, FilterParams, Verdict
from infinity_mm.schema import INGEST_ATTRIBUTES, RECORD_COLUMNS, RECORDS, to_table

COLUMNS = pa.schema([RECORDS.field(name) for name in RECORD_COLUMNS])
Turn = tuple[str, str]


def record(*turns: Turn, images: int = 0, category: str = "general") -> dict[str, Any]:
    image = {"sha256": "0" * 64, "width": 64, "height": 48, "format": "png", "uri": "a.png"}
    digest = hashlib.sha256(repr((turns, images, category)).encode("utf-8", "surrogatepass"))
    return {
        "id": digest.hexdigest()[:32],
        "source": "made",
        "source_id": "",
        "source_ref": "made.json#item=0",
        "category": category,
        "license": "unknown",
        "language": "und",
        "images": [image] * images,
        "messages": [{"role": role, "content": content} for role, content in turns],
        "parent": None,
        "extra": "{}",
    }


def answer(text: str) -> dict[str, Any]:
    return record(("user", "What is it?"), ("assistant", text))


def table(*rows: dict[str, Any]) -> pa.Table:
    """Records without image bytes."""
    return to_table(rows, COLUMNS)


def picture(**changes: Any) -> dict[str, Any]:
    """The measurements of an ordinary photograph, with changes."""
    ordinary = {
        "width": 640,
        "height": 480,
        "mode": "RGB",
        "frames": 1,
        "file_bytes": 50_000,
        "pixel_sha256": "0" * 64,
        "phash": 1,
        "luma_std": 50.0,
        "flat": 0.1,
        "thumb": b"\0" * 256,
    }
    return ordinary | changes


def ingested(*rows: Sequence[dict[str, Any]]) -> pa.Table:
    """One row of ingest attributes per sequence of pictures."""
    return to_table(
        (
            {"id": f"{k:032x}", "category": "general", "notes": []}
            | {name: [p[name] for p in pictures] for name in picture()}
            for k, pictures in enumerate(rows)
        ),
        INGEST_ATTRIBUTES,
    )


def verdicts(module: Filter, given: pa.Table, params: FilterParams | None = None) -> list[Verdict | None]:
    """Measure and judge; tables of ingest attributes are judged as they are."""
    params = params or module.Params()
    if module.FROM == ("ingest",):
        return list(module.judge(given, params))
    return list(module.judge(module.measure(given.select(list(module.READS)), params), params))


def reasons(module: Filter, given: pa.Table, params: FilterParams | None = None) -> list[str | None]:
    return [verdict and verdict.reason for verdict in verdicts(module, given, params)]


ASK = ("user", "What is shown here?")
LOOK = ("user", "<image>\nWhat is shown here?")
SAY = ("assistant", "A cat on a mat.")
SENTENCE = "the small brown dog runs over the wet grass and barks at every passing car today"
DISTINCT = " ".join(f"{a}{b}{c}" for a in "kpt" for b in "aeiou" for c in "lmnr")  # 60 words, none twice
FRENCH = "Il fait très beau aujourd'hui et nous allons nous promener dans la forêt avec les enfants."

#: filter -> reason -> (drops, keeps); pairs differ in as little as possible.
EXAMPLES: dict[str, dict[str, tuple[pa.Table, pa.Table]]] = {
    "structure": {
        "no_turns": (table(record()), table(record(ASK, SAY))),
        "empty_turn": (table(record(ASK, ("assistant", " \n"))), table(record(("user", "<image>"), SAY, images=1))),
        "roles_not_alternating": (
            table(record(ASK, ASK, SAY)),
            table(record(("system", "Be brief."), ASK, SAY, ASK, SAY)),
        ),
        "ends_without_answer": (table(record(ASK, SAY, ASK)), table(record(ASK, SAY, ASK, SAY))),
        "placeholder_mismatch": (table(record(LOOK, SAY, images=2)), table(record(LOOK, SAY, LOOK, SAY, images=2))),
    },
    "image": {
        "side_too_small": (ingested([picture(height=27)]), ingested([picture(height=28)])),
        "side_too_large": (ingested([picture(width=16_385)]), ingested([picture(width=16_384)])),
        "aspect_too_extreme": (
            ingested([picture(width=5_401, height=100)]),
            ingested([picture(width=5_400, height=100)]),
        ),
        "file_too_large": (ingested([picture(file_bytes=2**25 + 1)]), ingested([picture(file_bytes=2**25)])),
        "mode_not_allowed": (ingested([picture(mode="HSV")]), ingested([picture(mode="CMYK")])),
        "animated": (ingested([picture(frames=2)]), ingested([picture(frames=1)])),
        "near_uniform": (ingested([picture(luma_std=0.99)]), ingested([picture(luma_std=1.0)])),
    },
    "text": {
        "too_short": (table(record(("user", "<image>"), ("assistant", " ")), record()), table(answer("7"))),
        "too_long": (table(answer("word " * 40_000 + "end")), table(answer("7 " * 99_000))),
        "garbled": (table(answer("\ufffd\ufffd\ufffd cat")), table(answer("\ufffd cat, on a mat; " + SENTENCE))),
        "repeated_words": (table(answer((SENTENCE + " ") * 5)), table(answer(f"{SENTENCE}. {DISTINCT}. {SENTENCE}."))),
        "repeated_lines": (
            table(answer("\n".join(["yes it is"] * 7 + ["a b c", "d e f", "g h i"]))),
            table(answer("\n".join(["yes it is"] * 3 + [" ".join(c * 3) for c in "abcdefg"]))),
        ),
    },
    "language": {
        "language_not_allowed": (
            table(record(("user", "Que voyez-vous sur cette photo ?"), ("assistant", FRENCH))),
            table(record(("user", "What does the sign say?"), ("assistant", "It says: Il fait beau."))),
        ),
    },
}
