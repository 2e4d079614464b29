"""Infinity-Instruct."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_text_turns

SOURCE = Source(
    card=Card(
        name="infinity_instruct",
        title="Infinity-Instruct",
        family="text_only",
        category="text_instruct",
        license="CC-BY-SA-4.0",
        paper_size={"infinity-mm": "7M"},
        stages={"infinity-mm": ("2", "3")},
        hub_ids=("BAAI/Infinity-Instruct",),
        urls=(),
        files=("*/train-*.parquet", "*.jsonl"),
        access="gated",
        language="und",
        unique_ids=True,
        traps=(
            "id is a number or an md5; label may be null, text or an object",
            "a system turn may come first",
            "the language field is wrong for short Chinese",
        ),
    ),
    reader=RowFiles(),
    parse=parse_text_turns,
    image_roots=("",),
)
