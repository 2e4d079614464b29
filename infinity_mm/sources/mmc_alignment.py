"""MMC-Alignment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infinity_mm.keyed import keyed_u64
from infinity_mm.record import IMAGE_TOKEN, Message
from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import finish, native_key
from infinity_mm.sources.mmc import CAPTION, IMAGE, picture_of, refusal, text_under

#: The data hold captions only. Which prompt a row gets is a hash of its id.
PROMPTS = (
    "Describe this figure.",
    "Write a caption for this figure.",
    "Summarize what the figure shows.",
    "What does this chart show?",
    "Give a short description of the figure, as it could stand in a paper.",
    "Which caption fits this figure?",
)
_NUMBERED = re.compile(r"\s*(?:fig(?:ure)?s?|table)\b\.?\s*~?\s*[0-9IVX]", re.IGNORECASE)


def parse(row: Mapping[str, Any]) -> Sample | Quarantine:
    """A caption as its authors wrote it, number ("Figure 3:") and LaTeX included, after a prompt."""
    key = native_key(row, "id", *IMAGE)
    refused = refusal(row)
    if refused is not None:
        return refused
    images, caption = picture_of(row), text_under(row, CAPTION)
    for part in (images, caption):
        if isinstance(part, Quarantine):
            return Quarantine(part.reason, part.detail, key)
    prompt = PROMPTS[keyed_u64(0, "mmc_alignment", key) % len(PROMPTS)]
    messages = (
        Message(role="user", content=f"{IMAGE_TOKEN}\n{prompt}"),
        Message(role="assistant", content=str(caption)),
    )
    sample = finish(row, messages, images, ("reference_sentence_in_article",), source_id=key)
    if isinstance(sample, Sample) and _NUMBERED.match(str(caption)):
        return replace(sample, notes=(*sample.notes, "caption_numbered"))
    return sample


SOURCE = Source(
    card=Card(
        name="mmc_alignment",
        title="MMC-Alignment",
        family="annotation_files",
        category="doc_chart_screen",
        license="CC-BY-SA-4.0",
        paper_size={"infinity-mm": "250K"},
        stages={"infinity-mm": ("2",)},
        hub_ids=("xywang1/MMC",),
        urls=("https://huggingface.co/datasets/xywang1/MMC/tree/main/MMC-Alignment",),
        files=("mmc_chart_text_alignment_*_text.jsonl", "MMC-Alignment/mmc_chart_text_alignment_*_text.jsonl"),
        access="open",
        language="en",
        unique_ids=False,
        traps=(
            "captions only: a prompt is chosen from a fixed list by a hash of the id",
            "captions keep LaTeX and figure numbers; the note caption_numbered counts the latter",
            "figures are often of several panels, very small or very wide",
            "MMC-Benchmark lies in the same repository: its rows are refused",
        ),
    ),
    reader=RowFiles(),
    parse=parse,
    image_roots=(
        "mmc_chart_text_alignment_arxiv_images", "MMC-Alignment/mmc_chart_text_alignment_arxiv_images", "images", "",
        "mmc_chart_text_alignment_arxiv_images.tar.gz",
        "MMC-Alignment/mmc_chart_text_alignment_arxiv_images.tar.gz",
    ),
)  # fmt: skip
