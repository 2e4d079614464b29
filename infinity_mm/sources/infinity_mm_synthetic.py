"""Infinity-MM synthetic data."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.tars import TarRows
from infinity_mm.sources.fields import parse_webdataset

SOURCE = Source(
    card=Card(
        name="infinity_mm_synthetic",
        title="Infinity-MM synthetic data",
        family="webdataset_tar",
        category="synthetic",
        license="CC-BY-SA-4.0",
        paper_size={"infinity-mm": "0.8M"},
        stages={"infinity-mm": ("4",)},
        hub_ids=("BAAI/Infinity-MM",),
        urls=(),
        files=("stage4/*/*/*.tar",),
        access="gated",
        language="und",
        unique_ids=False,
        traps=(
            "phash is an unsigned 64-bit number",
            "a text-only sample has no picture member, or an empty one",
            "PNG files named .jpg, zero-byte pictures",
            "the first turn may be from gpt",
        ),
    ),
    reader=TarRows(),
    parse=parse_webdataset,
    image_roots=("",),
)
