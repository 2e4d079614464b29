"""InfographicVQA."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_document_vqa
from infinity_mm.sources.options import VqaOptions, WithOptions

SOURCE = Source(
    card=Card(
        name="infographic_vqa",
        title="InfographicVQA",
        family="hf_parquet_image",
        category="doc_chart_screen",
        license="unknown",
        paper_size={"infimm": '23,946 of the 63k "DocVQA" (inferred)'},
        stages={"infimm": ("MTT",)},
        hub_ids=("lmms-lab/DocVQA",),
        urls=("https://rrc.cvc.uab.es/?ch=17",),
        files=("InfographicVQA/*.parquet", "*.parquet"),
        access="registration",
        language="en",
        unique_ids=False,
        traps=("one column is named operation/reasoning",),
    ),
    reader=RowFiles(inside=("data",), lines=False),
    parse=WithOptions(OrConversation(parse_document_vqa), VqaOptions(answers="first"), image_keys=("image",)),
    image_roots=("",),
)
