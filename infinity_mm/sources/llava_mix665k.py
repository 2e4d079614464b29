"""LLaVA-1.5 mix 665k."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_llava

SOURCE = Source(
    card=Card(
        name="llava_mix665k",
        title="LLaVA-1.5 mix 665k",
        family="llava_json",
        category="general",
        license="CC-BY-4.0",
        paper_size={"infimm": "665k"},
        stages={"infimm": ("IFT",)},
        hub_ids=("liuhaotian/LLaVA-Instruct-150K",),
        hub_is_root=False,
        urls=("https://github.com/haotian-liu/LLaVA",),
        files=("llava_v1_5_mix665k.json",),
        access="open",
        language="und",
        unique_ids=False,
        traps=(
            "ids repeat across its parts",
            "40,688 rows have no picture; some begin with gpt",
            "GIF files named .jpg among the book covers",
        ),
    ),
    reader=RowFiles(),
    parse=parse_llava,
    image_roots=("", "images"),
)
