"""GeoQA+."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_llava

_FOLDER = "geoqa+/"


def parse(row: Mapping[str, Any]) -> Sample | Quarantine:
    """LLaVA's form; the folder that all pictures are in may also be the root itself."""
    sample = parse_llava(row)
    if isinstance(sample, Quarantine):
        return sample
    images = (
        replace(image, alternatives=(image.path.removeprefix(_FOLDER),))
        if image.path is not None and image.path.startswith(_FOLDER)
        else image
        for image in sample.images
    )
    return replace(sample, images=tuple(images))


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
        hub_is_root=False,
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
    parse=parse,
    image_roots=("", "geoqa+"),
)
