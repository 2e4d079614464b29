"""GQA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.sources.answers import first
from infinity_mm.sources.base import Card, ImageRef, Quarantine, Sample, Source
from infinity_mm.sources.families.lines import KEY
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import answered, native_key


def parse(row: Mapping[str, Any]) -> Sample | Quarantine:
    """One word; the question id is the key of the row in its file."""
    image = row.get("imageId")
    if not isinstance(image, str):
        return Quarantine("missing_field", f"imageId: expected text, got {image!r:.80}")
    answer = first(row.get("answer"))
    extra = {"fullAnswer": row.get("fullAnswer"), "types": row.get("types")}
    return answered(row, answer, (ImageRef(path=f"{image}.jpg"),), native_key(row, KEY), extra=extra)


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
            "answer is a word, fullAnswer a sentence: the word is trained on",
        ),
    ),
    reader=RowFiles(lines=False),
    parse=parse,
    image_roots=("images", "images.zip", ""),
)
