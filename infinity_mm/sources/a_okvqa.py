"""A-OKVQA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from infinity_mm.sources.answers import LETTER, SHORT, choose, letter
from infinity_mm.sources.answers import options as option_lines
from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.chats import key_text
from infinity_mm.sources.conversation import one_turn
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import native_key, question_of
from infinity_mm.sources.options import QuestionOptions, WithOptions
from infinity_mm.sources.pictures import embedded_or


class AokvqaOptions(QuestionOptions):
    """Which of A-OKVQA's two tasks is trained on."""

    answers: Literal["letter", "vote", "first", "draw"] = Field(
        default="letter",
        description="the letter of multiple choice, or one of the ten direct answers, without the choices: what most "
        "annotators gave, what was given first, or one drawn by a hash of the question's id",
    )


def parse(row: Mapping[str, Any], options: AokvqaOptions) -> Sample | Quarantine:
    """Multiple choice by default: the choices stand in the question, the answer is a letter."""
    key = native_key(row, "question_id")
    if options.answers == "letter":
        answer = letter(row.get("choices"), row.get("correct_choice_idx"))
    else:
        answer = choose(options.answers, row.get("direct_answers"), key)
    question, image = question_of(row, key), row.get("image_id")
    for part in (answer, question):
        if isinstance(part, Quarantine):
            return Quarantine(part.reason, part.detail, key)
    number = key_text(image)
    path = f"{row.get('split', 'train')}2017/{number.zfill(12)}.jpg" if number.isdecimal() else None
    images = embedded_or(row.get("image"), path)
    if not images:
        return Quarantine("missing_field", f"image_id: expected an integer, got {image!r:.80}", key)
    if options.answers == "letter":
        choices = option_lines([str(choice) for choice in row["choices"]])
        text = options.ask(f"{question}\n{choices}", LETTER)
    else:
        text = options.ask(str(question), SHORT)
    extra = {name: row.get(name) for name in ("direct_answers", "difficult_direct_answer", "rationales")}
    return Sample(key, one_turn(text, str(answer), len(images)), images, extra=extra)


SOURCE = Source(
    card=Card(
        name="a_okvqa",
        title="A-OKVQA",
        family="one_file_qa",
        category="general",
        license="unknown",
        paper_size={"infimm": "17k"},
        stages={"infimm": ("MTT",)},
        hub_ids=("HuggingFaceM4/A-OKVQA",),
        urls=(
            "https://aokvqa.allenai.org",
            "https://prior-datasets.s3.us-east-2.amazonaws.com/aokvqa/aokvqa_v1p0.tar.gz",
        ),
        files=("aokvqa_v1p0_train.json", "aokvqa_v1p0_val.json"),
        access="open",
        language="en",
        unique_ids=True,
        traps=("multiple choice; the direct answers are kept in extra", "train2017 holds most of val2014"),
    ),
    reader=RowFiles(lines=False),
    parse=WithOptions(OrConversation(parse), AokvqaOptions(), image_keys=("image_id",)),
    image_roots=("", "train2017", "val2017", "images", "coco"),
)
