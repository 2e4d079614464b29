"""LLaVA-OneVision-Data."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_llava

SOURCE = Source(
    card=Card(
        name="llava_onevision",
        title="LLaVA-OneVision-Data",
        family="hf_parquet_image",
        category="general",
        license="Apache-2.0",
        paper_size={"infinity-mm": "4M"},
        stages={"infinity-mm": ("3", "4")},
        hub_ids=("lmms-lab/LLaVA-OneVision-Data", "lmms-lab/LLaVA-OneVision-Mid-Data", "lmms-lab/M4-Instruct-Data"),
        urls=(),
        files=("*/*.parquet",),
        access="open",
        language="und",
        unique_ids=False,
        traps=(
            "folder names hold parentheses, commas and plus signs",
            "image is null in text-only subsets",
            "ids repeat between subsets",
        ),
    ),
    reader=RowFiles(),
    parse=parse_llava,
    image_roots=("", "images"),
)
