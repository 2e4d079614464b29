"""Docmatix."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_cauldron

SOURCE = Source(
    card=Card(
        name="docmatix",
        title="Docmatix",
        family="cauldron_parquet",
        category="doc_chart_screen",
        license="MIT",
        paper_size={"infinity-mm": "1.2M"},
        stages={"infinity-mm": ("3",)},
        hub_ids=("HuggingFaceM4/Docmatix",),
        urls=(),
        files=("data/train-*.parquet",),
        access="open",
        language="und",
        unique_ids=False,
        traps=(
            "one to four pages per row; the turns are about all of them",
            "no id column: rows are told apart by their content",
        ),
    ),
    reader=RowFiles(),
    parse=parse_cauldron,
    image_roots=("",),
)
