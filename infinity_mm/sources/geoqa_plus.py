"""GeoQA+."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_llava

SOURCE = Source(
    card=Card(
        name="geoqa_plus",
        title="GeoQA+",
        family="llava_json",
        category="math_reasoning",
        license="unknown",
        paper_size={"infinity-mm": "72K"},
        stages={"infinity-mm": ("2",)},
        hub_ids=("OpenGVLab/InternVL-Chat-V1-2-SFT-Data",),
        urls=(
            "https://huggingface.co/OpenGVLab/InternVL/resolve/main/geoqa%2B_images.zip",
            "https://github.com/SCNU203/GeoQA-Plus",
        ),
        files=("geoqa+.jsonl", "geoqa_plus*.jsonl"),
        access="open",
        language="zh",
        unique_ids=False,
        traps=("pictures of 157 x 19 pixels occur", "the original's pickles must never be loaded; use the lines"),
    ),
    reader=RowFiles(ignored=("*quoted*",)),
    parse=parse_llava,
    image_roots=("", "geoqa+"),
)
