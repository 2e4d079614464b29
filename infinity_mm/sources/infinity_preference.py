"""Infinity-Preference."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_text_turns

SOURCE = Source(
    card=Card(
        name="infinity_preference",
        title="Infinity-Preference",
        family="text_only",
        category="preference",
        license="Apache-2.0",
        paper_size={"infinity-mm": "0.1M"},
        stages={"infinity-mm": ("4",)},
        hub_ids=("BAAI/Infinity-Preference",),
        urls=(),
        files=("train-*.parquet", "data/train-*.parquet"),
        access="open",
        language="und",
        unique_ids=True,
        traps=("role/content turns under chosen and rejected; chosen is trained on, rejected is kept in extra",),
    ),
    reader=RowFiles(),
    parse=parse_text_turns,
    image_roots=("",),
)
