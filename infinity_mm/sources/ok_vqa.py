"""OK-VQA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.either import OrTables
from infinity_mm.sources.families.joined import QuestionsAndAnnotations
from infinity_mm.sources.fields import parse_joined_vqa
from infinity_mm.sources.options import VqaOptions, WithOptions


def parse(row: Mapping[str, Any], options: VqaOptions) -> Sample | Quarantine:
    """Train on what workers typed (`raw_answer`): `answer` is stemmed."""
    return parse_joined_vqa(row, options, field="raw_answer")


SOURCE = Source(
    card=Card(
        name="ok_vqa",
        title="OK-VQA",
        family="vqa_two_file",
        category="general",
        license="CC-BY-4.0",
        paper_size={"infimm": "9k"},
        stages={"infimm": ("MTT",)},
        hub_ids=("HuggingFaceM4/OK-VQA", "lmms-lab/OK-VQA"),
        hub_is_root=False,
        urls=("https://okvqa.allenai.org/download.html",),
        files=("OpenEnded_mscoco_*_questions.json", "mscoco_*_annotations.json"),
        access="open",
        language="en",
        unique_ids=True,
        traps=("answer is stemmed, raw_answer is what was typed", "answers come in pairs"),
    ),
    reader=OrTables(QuestionsAndAnnotations()),
    parse=WithOptions(OrConversation(parse), VqaOptions(), image_keys=("image_id",)),
    image_roots=("", "train2014", "val2014", "images", "coco", "train2014.zip", "val2014.zip"),
)
