"""Infinity-MM (released set)."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.tars import TarRows
from infinity_mm.sources.fields import parse_webdataset

SOURCE = Source(
    card=Card(
        name="infinity_mm",
        title="Infinity-MM (released set)",
        family="webdataset_tar",
        category="general",
        license="CC-BY-SA-4.0",
        paper_size={"infinity-mm": "43.2M by source, 44.8M by stage"},
        stages={"infinity-mm": ("1", "2", "3", "4")},
        hub_ids=("BAAI/Infinity-MM",),
        urls=("https://www.modelscope.cn/datasets/BAAI/Infinity-MM",),
        files=("stage1/*/*.tar", "stage2/*/*/*.tar", "stage3/*/*.tar", "stage4/*/*/*.tar"),
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
