"""VizWiz-VQA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from infinity_mm.sources.answers import SHORT, UNANSWERABLE, answer_texts, choose
from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.joined import OrJoined
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import answered, native_key, with_annotation
from infinity_mm.sources.options import VqaOptions, WithOptions
from infinity_mm.sources.pictures import embedded_or


class VizwizOptions(VqaOptions):
    """How VizWiz is trained on."""

    unanswerable: Literal["keep", "refuse"] = Field(
        default="keep", description="questions that the picture does not answer are answered so, or quarantined"
    )


def parse(row: Mapping[str, Any], options: VizwizOptions) -> Sample | Quarantine:
    """By default the majority of the confident answers; unanswerable is written as the prompt spells it."""
    joined = with_annotation(row)
    if isinstance(joined, Quarantine):
        return joined
    row = joined
    image = row.get("image") if isinstance(row.get("image"), str) else native_key(row, "image_id", "question_id")
    images = embedded_or(row.get("image"), image or None)
    if not images:
        return Quarantine("missing_field", f"image: expected a file name, got {row.get('image')!r:.80}")
    answer = choose(options.answers, row.get("answers"), f"{image}\x1f{row.get('question')}")
    if isinstance(answer, str) and (answer == "unanswerable" or row.get("answerable") == 0):
        if options.unanswerable == "refuse":
            return Quarantine("unexpected_row", "unanswerable, and the options refuse such questions", str(image))
        answer = "Unanswerable"
    extra = {"answers": answer_texts(row.get("answers"), "answer", ()), "answer_type": row.get("answer_type")}
    return answered(row, answer, images, str(image), options, (UNANSWERABLE, SHORT), extra)


SOURCE = Source(
    card=Card(
        name="vizwiz_vqa",
        title="VizWiz-VQA",
        family="one_file_qa",
        category="general",
        license="CC-BY-4.0",
        paper_size={"infimm": "20k"},
        stages={"infimm": ("MTT",)},
        hub_ids=("lmms-lab/VizWiz-VQA",),
        urls=(
            "https://vizwiz.org/tasks-and-datasets/vqa/",
            "https://vizwiz.cs.colorado.edu/VizWiz_final/images/{train,val,test}.zip",
        ),
        files=("annotations/train.json", "annotations/val.json", "train.json", "val.json"),
        access="open",
        language="en",
        unique_ids=False,
        traps=("no question id", "unanswerable is the most frequent answer: cap its share in the mixture"),
    ),
    reader=OrJoined(RowFiles(lines=False)),
    parse=WithOptions(OrConversation(parse), VizwizOptions(answers="confident_vote"), image_keys=("image",)),
    image_roots=("", "train", "val", "images"),
)
