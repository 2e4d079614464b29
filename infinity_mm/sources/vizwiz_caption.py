"""VizWiz-Captions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.either import OrTables
from infinity_mm.sources.families.joined import CaptionsAndImages
from infinity_mm.sources.fields import native_key, parse_coco_caption


def parse(row: Mapping[str, Any]) -> Sample | Quarantine:
    """Refuse what the annotators' quality check rejected, as the official API does by default."""
    for flag in ("is_rejected", "is_precanned"):
        if row.get(flag) is True:
            return Quarantine("unexpected_row", f"{flag} is set: no caption to train on", native_key(row, "id"))
    return parse_coco_caption(row)


SOURCE = Source(
    card=Card(
        name="vizwiz_caption",
        title="VizWiz-Captions",
        family="coco_captions",
        category="caption",
        license="CC-BY-4.0",
        paper_size={"infimm": "110k"},
        stages={"infimm": ("MTT",)},
        hub_ids=("lmms-lab/VizWiz-Caps",),
        urls=(
            "https://vizwiz.org/tasks-and-datasets/image-captioning/",
            "https://vizwiz.cs.colorado.edu/VizWiz_final/images/{train,val,test}.zip",
        ),
        files=("annotations/*.json",),
        access="open",
        language="en",
        unique_ids=True,
        traps=("rejected and precanned captions are left out, as the official tools do",),
    ),
    reader=OrTables(CaptionsAndImages()),
    parse=OrConversation(parse),
    image_roots=("", "train", "val", "images"),
)
