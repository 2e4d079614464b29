"""VQA v2."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.either import OrTables
from infinity_mm.sources.families.joined import QuestionsAndAnnotations
from infinity_mm.sources.fields import parse_joined_vqa
from infinity_mm.sources.options import VqaOptions, WithOptions

SOURCE = Source(
    card=Card(
        name="vqav2",
        title="VQA v2",
        family="vqa_two_file",
        category="general",
        license="CC-BY-4.0",
        paper_size={"infimm": "443k"},
        stages={"infimm": ("MTT",)},
        hub_ids=("HuggingFaceM4/VQAv2", "lmms-lab/VQAv2"),
        hub_is_root=False,
        urls=(
            "https://visualqa.org/download.html",
            "https://s3.amazonaws.com/cvmlp/vqa/mscoco/vqa/v2_{Questions,Annotations}_{Train,Val}_mscoco.zip",
        ),
        files=("v2_OpenEnded_mscoco_*_questions.json", "v2_mscoco_*_annotations.json"),
        access="open",
        language="en",
        unique_ids=True,
        traps=("join by question_id, never by position", "ten answers, ties occur: the first given wins"),
    ),
    reader=OrTables(QuestionsAndAnnotations()),
    parse=WithOptions(OrConversation(parse_joined_vqa), VqaOptions(), image_keys=("image_id",)),
    image_roots=("", "train2014", "val2014", "images", "coco", "train2014.zip", "val2014.zip"),
)
