"""Examples that the generator is shown: seed rows of the same type, about other pictures.

As text alone. Seed rows name their pictures and do not hold them; a second picture costs as many tokens as the row's
own, and models that were trained on one picture a turn may ask about the wrong one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

from infinity_mm.keyed import keyed_u64
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.prompts import load_prompt
from infinity_mm.synth.rows import Typed
from infinity_mm.synth.seeds import Seed, SeedFile, by_type

PROMPT = ("examples", 1)
#: Examples of one request, as in Infinity-MM.
SHOWN = 2


def choose(row: Typed, params: SynthParams, seed: int) -> tuple[Seed, ...]:
    """Return at most two seeds of the row's type, a function of (seed, attempt) and the seed rows alone.

    Seeds in the row's answer format come first. No two are of the same picture, and none is of the row's own, which a
    seed names by the digest of its bytes or the id of its record.
    """
    if params.seeds is None:
        return ()
    parent = row.attempt.parent
    own = {parent.image.sha256, parent.id}
    seeds = [one for one in _by_type(params.seeds).get(row.leaf.name, ()) if one.row.image not in own]
    drawn = sorted(
        seeds,
        key=lambda one: (
            one.row.format != row.format,
            keyed_u64(seed, "synth.example", f"{row.attempt.key}/{one.id}"),
        ),
    )
    found: dict[str, Seed] = {}
    for one in drawn:
        found.setdefault(one.row.image, one)
    return tuple(found.values())[:SHOWN]


def shown(seeds: Sequence[Seed]) -> str:
    """Return the part of the prompt that holds the examples, "" for none."""
    if not seeds:
        return ""
    lines = (json.dumps(_said(one), ensure_ascii=False) for one in seeds)
    return "\n\n" + load_prompt(*PROMPT).fill("user", {"examples": "\n".join(lines)})


def _said(one: Seed) -> dict[str, object]:
    said: dict[str, object] = {"question": one.row.question, "answer": one.row.answer}
    if one.row.options:
        said["distractors"] = [option for option in one.row.options if option != one.row.answer]
    return said


@cache
def _by_type(file: SeedFile) -> dict[str, list[Seed]]:
    return by_type(file.parse())
