"""GQA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from infinity_mm.sources.answers import SHORT, first
from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.chats import key_text
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.lines import KEY
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import answered, native_key
from infinity_mm.sources.options import QuestionOptions, WithOptions
from infinity_mm.sources.pictures import embedded_or


class GqaOptions(QuestionOptions):
    """Which of GQA's two answers is trained on."""

    answers: Literal["word", "sentence"] = Field(
        default="word", description="answer, or fullAnswer without the sentence that asks for a word"
    )


def parse(row: Mapping[str, Any], options: GqaOptions) -> Sample | Quarantine:
    """One word or one sentence; the question id is the key of the row in its file."""
    image = key_text(row.get("imageId"))
    named = row.get("image") if isinstance(row.get("image"), str) else None  # in LAVIS' lists
    images = embedded_or(row.get("image"), f"{image}.jpg" if image else named)
    if not images:
        return Quarantine("missing_field", f"imageId: expected text, got {row.get('imageId')!r:.80}")
    word = options.answers == "word"
    answer = first(row.get("answer" if word else "fullAnswer"))
    sentences = (SHORT,) if word else ()
    extra = {"fullAnswer": row.get("fullAnswer"), "types": row.get("types")}
    return answered(row, answer, images, native_key(row, KEY, "id", "question_id"), options, sentences, extra)


SOURCE = Source(
    card=Card(
        name="gqa",
        title="GQA",
        family="one_file_qa",
        category="general",
        license="CC-BY-4.0",
        paper_size={"infimm": "471k"},
        stages={"infimm": ("MTT",)},
        hub_ids=("lmms-lab/GQA",),
        hub_is_root=False,
        urls=(
            "https://cs.stanford.edu/people/dorarad/gqa/download.html",
            "https://downloads.cs.stanford.edu/nlp/data/gqa/{questions1.2,images}.zip",
        ),
        files=("train_balanced_questions.json", "train_all_questions/*.json"),
        access="open",
        language="en",
        unique_ids=True,
        traps=(
            "question ids are texts with leading zeros",
            "the hub copy holds questions and pictures in separate tables: use the publisher's files",
            "answer is a word, fullAnswer a sentence: the word is trained on",
        ),
    ),
    reader=RowFiles(lines=False),
    parse=WithOptions(OrConversation(parse), GqaOptions(), image_keys=("imageId",)),
    image_roots=("images", "images.zip", ""),
)
