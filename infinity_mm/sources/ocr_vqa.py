"""OCR-VQA-200K."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from infinity_mm.sources.answers import SHORT
from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.conversation import pairs_to_turns
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.lines import KEY
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import finish, native_key
from infinity_mm.sources.options import QuestionOptions, WithOptions
from infinity_mm.sources.pictures import embedded_or


def parse(row: Mapping[str, Any], options: QuestionOptions) -> Sample | Quarantine:
    """One conversation per book cover; the format sentence stands in the first question only."""
    key = native_key(row, KEY, "image_id")
    questions, answers = row.get("questions"), row.get("answers")
    if not isinstance(questions, list) or not isinstance(answers, list) or len(questions) != len(answers):
        return Quarantine("missing_field", "expected questions and answers as lists of equal length", key)
    if not questions:
        return Quarantine("missing_field", "questions: expected at least one", key)
    pairs = [{"user": question, "assistant": answer} for question, answer in zip(questions, answers, strict=True)]
    pairs[0]["user"] = options.ask(str(pairs[0]["user"]), SHORT)
    suffix = PurePosixPath(str(row.get("imageURL", ".jpg"))).suffix or ".jpg"
    extra = ("title", "authorName", "genre", "split", "imageURL")
    images = embedded_or(row.get("image"), f"{key}{suffix}")
    return finish(row, pairs_to_turns(pairs, "user", "assistant"), images, extra, source_id=key)


SOURCE = Source(
    card=Card(
        name="ocr_vqa",
        title="OCR-VQA-200K",
        family="one_file_qa",
        category="general_ocr",
        license="unknown",
        paper_size={"infimm": "166k"},
        stages={"infimm": ("MTT",)},
        hub_ids=("howard-hou/OCR-VQA", "ej2/llava-ocr-vqa", "weizhiwang/llava_v15_instruction_images"),
        urls=("https://ocr-vqa.github.io",),
        files=("dataset.json",),
        access="open",
        language="en",
        unique_ids=True,
        traps=(
            "GIF files named .jpg; read by content",
            "only split 1 is training data; keys may end in X",
            "most picture URLs are dead: use a hub copy",
        ),
    ),
    reader=RowFiles(lines=False),
    parse=WithOptions(OrConversation(parse), QuestionOptions(group_by_image=True), lists=("questions", "answers")),
    image_roots=("images", ""),
)
