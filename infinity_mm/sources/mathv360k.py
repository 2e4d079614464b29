"""MathV360K."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_llava

SOURCE = Source(
    card=Card(
        name="mathv360k",
        title="MathV360K",
        family="llava_json",
        category="math_reasoning",
        license="Apache-2.0",
        paper_size={"infinity-mm": "338K"},
        stages={"infinity-mm": ("2",)},
        hub_ids=("Zhiqiang007/MathV360K",),
        urls=("https://github.com/HZQ950419/Math-LLaVA",),
        files=("train_samples_all_tuning.json",),
        access="open",
        language="und",
        unique_ids=True,
        traps=("choices and hints stand inside the question", "same origins as the MathVista benchmark: decontaminate"),
    ),
    reader=RowFiles(),
    parse=parse_llava,
    image_roots=("data_images", "data_images.zip", ""),
)
