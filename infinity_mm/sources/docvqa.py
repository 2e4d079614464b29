"""DocVQA (single page)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.sources.answers import answer_texts, first
from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.conversation import read_images
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import answered, native_key


def parse(row: Mapping[str, Any]) -> Sample | Quarantine:
    """The first of several spellings; the picture is a path or embedded in hub copies."""
    key = native_key(row, "questionId")
    if row.get("image") is None:
        return Quarantine("missing_field", f"image: expected a path or bytes, got keys {sorted(row)}", key)
    extra = {"answers": answer_texts(row.get("answers"), "answer", ()), "question_types": row.get("question_types")}
    return answered(row, first(row.get("answers")), read_images(row["image"]), key, extra=extra)


SOURCE = Source(
    card=Card(
        name="docvqa",
        title="DocVQA (single page)",
        family="one_file_qa",
        category="doc_chart_screen",
        license="unknown",
        paper_size={"infinity-mm": "16K", "infimm": "63k incl. InfographicVQA (inferred)"},
        stages={"infinity-mm": ("2",), "infimm": ("MTT",)},
        hub_ids=(
            "lmms-lab/DocVQA",
            "HuggingFaceM4/DocumentVQA",
            "pixparse/docvqa-single-page-questions",
            "OpenGVLab/InternVL-Chat-V1-2-SFT-Data",
        ),
        urls=("https://rrc.cvc.uab.es/?ch=17", "https://www.docvqa.org"),
        files=("train_v1.0*.json", "val_v1.0*.json", "docvqa_v1.0*.json", "*withQT*.json"),
        access="registration",
        language="en",
        unique_ids=False,
        traps=("answers are spellings, not votes", "validation is a benchmark"),
    ),
    reader=RowFiles(inside=("data",), lines=False),
    parse=parse,
    image_roots=("",),
)
