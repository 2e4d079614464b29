"""COCO Captions."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.either import OrTables
from infinity_mm.sources.families.joined import CaptionsAndImages
from infinity_mm.sources.fields import parse_coco_caption

SOURCE = Source(
    card=Card(
        name="coco_caption",
        title="COCO Captions",
        family="coco_captions",
        category="caption",
        license="CC-BY-4.0",
        paper_size={"infimm": "410k"},
        stages={"infimm": ("MTT",)},
        hub_ids=("lmms-lab/COCO-Caption", "yerevann/coco-karpathy", "HuggingFaceM4/COCO"),
        urls=(
            "https://cocodataset.org",
            "http://images.cocodataset.org/zips/{train2014,val2014}.zip",
            "https://storage.googleapis.com/sfr-vision-language-research/datasets/coco_karpathy_{train,val,test}.json",
        ),
        files=("captions_*.json", "annotations/captions_*.json", "coco_karpathy_*.json"),
        access="open",
        language="en",
        unique_ids=True,
        traps=("one sample per caption: about five share a picture", "captions carry trailing blanks"),
    ),
    reader=OrTables(CaptionsAndImages()),
    parse=OrConversation(parse_coco_caption),
    image_roots=("", "train2014", "val2014", "images", "coco", "train2014.zip", "val2014.zip"),
)
