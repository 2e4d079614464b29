"""TextVQA 0.5.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.sources.answers import answer_texts, choose
from infinity_mm.sources.base import Card, ImageRef, Quarantine, Sample, Source
from infinity_mm.sources.chats import key_text
from infinity_mm.sources.conversation import read_images
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.joined import OrJoined
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import answered, native_key, with_annotation
from infinity_mm.sources.options import VqaOptions, WithOptions


def parse(row: Mapping[str, Any], options: VqaOptions) -> Sample | Quarantine:
    """One of ten answers; the picture is named by its id, or embedded in hub copies."""
    joined = with_annotation(row)
    if isinstance(joined, Quarantine):
        return joined
    row = joined
    key = native_key(row, "question_id")
    image = key_text(row.get("image_id"))
    images = read_images(row.get("image")) or ((ImageRef(path=f"{image}.jpg"),) if image else ())
    if not images:
        return Quarantine("missing_field", f"image_id: expected text, got {row.get('image_id')!r:.80}", key)
    extra = {"answers": answer_texts(row.get("answers"), "answer", ())}
    return answered(row, choose(options.answers, row.get("answers"), key), images, key, options, extra=extra)


SOURCE = Source(
    card=Card(
        name="textvqa",
        title="TextVQA 0.5.1",
        family="one_file_qa",
        category="general_ocr",
        license="CC-BY-4.0",
        paper_size={"infimm": "34k"},
        stages={"infimm": ("MTT",)},
        hub_ids=("lmms-lab/textvqa", "facebook/textvqa"),
        urls=(
            "https://textvqa.org/dataset/",
            "https://dl.fbaipublicfiles.com/textvqa/data/TextVQA_0.5.1_{train,val,test}.json",
        ),
        files=("TextVQA_*_train.json", "TextVQA_*_val.json"),
        access="open",
        language="en",
        unique_ids=True,
        traps=("train_images holds train and val", "answers carry blanks; ties are common"),
    ),
    reader=OrJoined(RowFiles(inside=("data",), lines=False)),
    parse=WithOptions(OrConversation(parse), VqaOptions(), image_keys=("image_id",)),
    image_roots=("train_images", "test_images", "images", ""),
)
