"""LLaVA-CC3M-Pretrain-595K."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_llava

SOURCE = Source(
    card=Card(
        name="llava_cc3m_595k",
        title="LLaVA-CC3M-Pretrain-595K",
        family="llava_json",
        category="general",
        license="other: CC-3M terms",
        paper_size={"infinity-mm": "595K"},
        stages={"infinity-mm": ("2",)},
        hub_ids=("liuhaotian/LLaVA-CC3M-Pretrain-595K",),
        urls=(),
        files=("chat.json",),
        access="open",
        language="en",
        unique_ids=True,
        traps=(
            "<image> stands before or after the instruction",
            "captions are lower case and tokenised; do not mistake that for bad text",
        ),
    ),
    reader=RowFiles(),
    parse=parse_llava,
    image_roots=("images", "images.zip", ""),
)
