"""Rows in a language that the mixture does not want, as `infinity_mm.language` tells it.

The whole conversation is looked at, prompts included: an exercise in translation is mixed, hence uncertain, hence
kept, and so is a short foreign caption below an English prompt. What is too short or is not language (numbers,
formulas, code) is "und", and "und" is never dropped, nor is what was detected without confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import pyarrow as pa
from pydantic import Field

from infinity_mm.filters.base import FilterParams, Verdict
from infinity_mm.language import UNDETERMINED, detect
from infinity_mm.turns import flat_turns

NAME = "language"
VERSION = 1
READS = ("id", "messages")
FROM = (NAME,)
ATTRIBUTES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # ISO 639-1 where there is one, else 639-3; "und" where it cannot be told.
        pa.field("language", pa.string(), nullable=False),
        # 0 to 1; 0 for "und".
        pa.field("confidence", pa.float32(), nullable=False),
    ]
)
REASONS = ("language_not_allowed",)

Code = Annotated[str, Field(pattern="^[a-z]{2,3}$")]


class Params(FilterParams):
    """Which languages stay."""

    #: The languages Infinity-MM trains and evaluates in.
    allowed: tuple[Code, ...] = ("en", "zh")
    #: A language is believed from here on.
    min_confidence: float = Field(default=0.8, ge=0.0, le=1.0)


def measure(records: pa.Table, params: Params) -> pa.Table:
    """Return `ATTRIBUTES` for records with the columns `READS`."""
    found = [detect(contents) for _, contents in flat_turns(records)]
    columns = [records.column("id"), [language for language, _ in found], [confidence for _, confidence in found]]
    return pa.table(columns, schema=ATTRIBUTES)


def judge(attributes: pa.Table, params: Params) -> Sequence[Verdict | None]:
    """Return a verdict for rows that are confidently in another language."""
    allowed = frozenset(params.allowed) | {UNDETERMINED}
    rows = zip(attributes.column("language").to_pylist(), attributes.column("confidence").to_pylist(), strict=True)
    return [
        Verdict(REASONS[0], f"language={language} confidence={confidence:.2f}")
        if language not in allowed and confidence >= params.min_confidence
        else None
        for language, confidence in rows
    ]
