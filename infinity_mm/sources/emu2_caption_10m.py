"""Emu2 captions (EVE-Pretrain-33M subset)."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.tars import TarRows
from infinity_mm.sources.fields import parse_webdataset

SOURCE = Source(
    card=Card(
        name="emu2_caption_10m",
        title="Emu2 captions (EVE-Pretrain-33M subset)",
        family="webdataset_tar",
        category="caption",
        license="CC-BY-SA-4.0",
        paper_size={"infinity-mm": "10M"},
        stages={"infinity-mm": ("1",)},
        hub_ids=("BAAI/Infinity-MM",),
        urls=("https://github.com/baaivision/EVE",),
        files=("stage1/*/*.tar",),
        access="gated",
        language="und",
        unique_ids=True,
        traps=("the question may be a bare <image>",),
    ),
    reader=TarRows(),
    parse=parse_webdataset,
    image_roots=("",),
)
