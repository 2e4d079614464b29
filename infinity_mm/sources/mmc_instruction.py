"""MMC-Instruction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.record import IMAGE_TOKEN, Message
from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import finish, native_key
from infinity_mm.sources.mmc import ANSWER, IMAGE, QUESTION, picture_of, placeholder_in, refusal, text_under


def parse(row: Mapping[str, Any]) -> Sample | Quarantine:
    """One instruction and one answer about a chart; the picture's place is set here."""
    key = native_key(row, "id", *IMAGE)
    refused = refusal(row)
    if refused is not None:
        return refused
    images, question, answer = picture_of(row), text_under(row, QUESTION), text_under(row, ANSWER)
    for part in (images, question, answer):
        if isinstance(part, Quarantine):
            return Quarantine(part.reason, part.detail, key)
    refused = placeholder_in(str(question), str(answer))
    if refused is not None:
        return Quarantine(refused.reason, refused.detail, key)
    asked = str(question) if IMAGE_TOKEN in str(question) else f"{IMAGE_TOKEN}\n{question}"
    messages = (Message(role="user", content=asked), Message(role="assistant", content=str(answer)))
    return finish(row, messages, images, ("task", "type", "source"), source_id=key)


SOURCE = Source(
    card=Card(
        name="mmc_instruction",
        title='MMC-Instruction ("MMC-INST")',
        family="annotation_files",
        category="doc_chart_screen",
        license="CC-BY-SA-4.0",
        paper_size={"infinity-mm": "500K"},
        stages={"infinity-mm": ("2",)},
        hub_ids=("xywang1/MMC",),
        urls=("https://huggingface.co/datasets/xywang1/MMC", "https://github.com/FuxiaoLiu/MMC"),
        files=(
            "mmc_instruction_*_text.jsonl",
            "MMC-Instruction/mmc_instruction_*_text.jsonl",
            "chart_release_update.json",
            "chart_data_part3*.json",
            "chart_data_nonarxiv_summarization*.json",
        ),
        access="open",
        language="en",
        unique_ids=False,
        traps=(
            "field names differ between files; what is not understood is quarantined with the names that were tried",
            "MMC-Benchmark lies in the same repository: its rows are refused",
            "early copies of the non-arXiv file hold generator's placeholders: such rows are refused",
            "the older Drive release mixed up pictures and questions",
        ),
    ),
    reader=RowFiles(),
    parse=parse,
    image_roots=(
        "mmc_instruction_arxiv_images", "mmc_instruction_non-arxiv_images",
        "MMC-Instruction/mmc_instruction_arxiv_images", "MMC-Instruction/mmc_instruction_non-arxiv_images",
        "images", "",
        "mmc_instruction_arxiv_images.tar.gz", "mmc_instruction_non-arxiv_images.tar.gz",
        "MMC-Instruction/mmc_instruction_arxiv_images.tar.gz",
        "MMC-Instruction/mmc_instruction_non-arxiv_images.tar.gz",
    ),
)  # fmt: skip
