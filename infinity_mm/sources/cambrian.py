"""Cambrian-10M."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_llava

SOURCE = Source(
    card=Card(
        name="cambrian",
        title="Cambrian-10M",
        family="llava_json",
        category="general",
        license="Apache-2.0",
        paper_size={"infinity-mm": "8.3M"},
        stages={"infinity-mm": ("2", "4")},
        hub_ids=("nyu-visionx/Cambrian-10M",),
        urls=("https://github.com/cambrian-mllm/cambrian",),
        files=("jsons/Cambrian*.jsonl", "Cambrian*.jsonl", "gpt4*.jsonl", "data_engine*.jsonl"),
        access="open",
        language="und",
        unique_ids=False,
        traps=(
            "image may be the text None or nan",
            "letter case of some folders differs from the rows",
            "holds LVIS, ALLaVA, DocVQA and others again",
        ),
    ),
    reader=RowFiles(),
    parse=parse_llava,
    image_roots=("", "*.tar.gz", "*.tar"),
)
