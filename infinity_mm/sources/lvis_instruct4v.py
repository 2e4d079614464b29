"""LVIS-Instruct4V."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_llava

SOURCE = Source(
    card=Card(
        name="lvis_instruct4v",
        title="LVIS-Instruct4V",
        family="llava_json",
        category="general",
        license="unknown",
        paper_size={"infinity-mm": "223K"},
        stages={"infinity-mm": ("2", "4")},
        hub_ids=("X2FD/LVIS-Instruct4V",),
        hub_is_root=False,
        urls=("https://github.com/X2FD/LVIS-INSTRUCT4V",),
        files=("lvis_instruct4v_*.json",),
        access="open",
        language="und",
        unique_ids=False,
        traps=(
            "every picture occurs twice, in a caption row and in a question row: not a duplicate",
            "refers to train2017 and val2017 alike",
        ),
    ),
    reader=RowFiles(),
    parse=parse_llava,
    image_roots=("", "images"),
)
