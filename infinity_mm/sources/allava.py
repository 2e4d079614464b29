"""ALLaVA-4V."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_llava

SOURCE = Source(
    card=Card(
        name="allava",
        title="ALLaVA-4V",
        family="llava_json",
        category="general",
        license="Apache-2.0",
        paper_size={"infinity-mm": "1.7M"},
        stages={"infinity-mm": ("2",)},
        hub_ids=("FreedomIntelligence/ALLaVA-4V",),
        urls=("https://github.com/FreedomIntelligence/ALLaVA",),
        files=(
            "allava_laion/ALLaVA-*.json",
            "allava_vflan/ALLaVA-*.json",
            "allava_text/*.json",
            "ALLaVA-Caption-*.json",
            "ALLaVA-Instruct-*.json",
            "Evol-*.json",
        ),
        access="open",
        language="und",
        unique_ids=True,
        traps=(
            "caption and instruction of one picture are two rows with the same picture",
            "the text part names its key idx",
        ),
    ),
    reader=RowFiles(),
    parse=parse_llava,
    image_roots=("", "allava_vflan/images", "allava_laion/image_chunks"),
)
