"""ST-VQA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.sources.answers import answer_texts, choose
from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import answered, native_key
from infinity_mm.sources.options import VqaOptions, WithOptions
from infinity_mm.sources.pictures import embedded_or


def parse(row: Mapping[str, Any], options: VqaOptions) -> Sample | Quarantine:
    """One of one or two accepted answers."""
    key = native_key(row, "question_id")
    path = row.get("file_path", row.get("image_path"))
    images = embedded_or(row.get("image"), path if isinstance(path, str) else None)
    if not images:
        return Quarantine("missing_field", f"file_path: expected text, got {path!r:.80}", key)
    extra = {"answers": answer_texts(row.get("answers"), "answer", ())}
    answer = choose(options.answers, row.get("answers"), key)
    return answered(row, answer, images, key, options, extra=extra)


SOURCE = Source(
    card=Card(
        name="st_vqa",
        title="ST-VQA",
        family="one_file_qa",
        category="general_ocr",
        license="unknown",
        paper_size={"infinity-mm": "43K", "infimm": "26k"},
        stages={"infinity-mm": ("2",), "infimm": ("MTT",)},
        hub_ids=("lmms-lab/ST-VQA", "HuggingFaceM4/the_cauldron"),
        urls=("https://rrc.cvc.uab.es/?ch=11", "https://arxiv.org/abs/1905.13648"),
        files=("train_task_3.json",),
        access="registration",
        language="en",
        unique_ids=False,
        traps=("tasks 1 to 3 repeat the same questions: load one", "letter case of answers matters"),
    ),
    reader=RowFiles(inside=("data",), lines=False),
    parse=WithOptions(OrConversation(parse), VqaOptions(answers="first"), image_keys=("file_path", "image_path")),
    image_roots=("train_images", "test_task3_images", "images", ""),
)
