"""LLaVAR (16k instructions)."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_llava

SOURCE = Source(
    card=Card(
        name="llavar",
        title="LLaVAR (16k instructions)",
        family="llava_json",
        category="general_ocr",
        license="CC-BY-NC-4.0",
        paper_size={"infimm": "16k"},
        stages={"infimm": ("MTT",)},
        hub_ids=("SALT-NLP/LLaVAR", "HuggingFaceM4/LLaVAR-Instruct-16K"),
        urls=("https://github.com/SALT-NLP/LLaVAR",),
        files=("llava_instruct_150k_llavar_*.json", "chat_llavar.json"),
        access="open",
        language="und",
        unique_ids=False,
        traps=(
            "picture names imitate COCO and CC3M names and can collide with real ones",
            "the instruction file repeats LLaVA-158K",
        ),
    ),
    reader=RowFiles(ignored=("qa50*", "caps_*")),
    parse=parse_llava,
    image_roots=("finetune", "finetune.zip", "images", ""),
)
