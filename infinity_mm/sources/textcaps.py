"""TextCaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.sources.answers import DESCRIBE, first
from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.chats import key_text
from infinity_mm.sources.conversation import one_turn
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import native_key
from infinity_mm.sources.pictures import embedded_or


def parse(row: Mapping[str, Any]) -> Sample | Quarantine:
    """One caption per row; the references of the other rows are not multiplied."""
    key = native_key(row, "caption_id", "image_id")
    caption = first(row.get("caption_str"))  # hub copies have all captions of a picture as a list
    if isinstance(caption, Quarantine):
        return Quarantine("missing_field", f"caption_str: expected text, got {row.get('caption_str')!r:.80}", key)
    image = key_text(row.get("image_id"))
    images = embedded_or(row.get("image"), f"{image}.jpg" if image else None)
    if not images:
        return Quarantine("missing_field", f"image_id: expected text, got {row.get('image_id')!r:.80}", key)
    return Sample(key, one_turn(DESCRIBE, caption, len(images)), images, extra={"image_id": row.get("image_id")})


SOURCE = Source(
    card=Card(
        name="textcaps",
        title="TextCaps",
        family="one_file_qa",
        category="caption",
        license="CC-BY-4.0",
        paper_size={"infimm": "110k"},
        stages={"infimm": ("MTT",)},
        hub_ids=("lmms-lab/TextCaps",),
        urls=(
            "https://textvqa.org/textcaps/",
            "https://dl.fbaipublicfiles.com/textvqa/data/textcaps/TextCaps_0.1_{train,val,test}.json",
        ),
        files=("TextCaps_*_train.json", "TextCaps_*_val.json"),
        access="open",
        language="en",
        unique_ids=False,
        traps=(
            "image_path says train/, the archive says train_images/",
            "every row repeats all references: one caption per row is taken",
        ),
    ),
    reader=RowFiles(inside=("data",), lines=False),
    parse=OrConversation(parse),
    image_roots=("train_images", "images", ""),
)
