"""DocVQA (single page)."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_document_vqa
from infinity_mm.sources.options import VqaOptions, WithOptions

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
    parse=WithOptions(OrConversation(parse_document_vqa), VqaOptions(answers="first"), image_keys=("image",)),
    image_roots=("",),
)
