"""OBELICS."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.documents import parse_parallel_lists
from infinity_mm.sources.families.rowfiles import RowFiles

SOURCE = Source(
    card=Card(
        name="obelics",
        title="OBELICS",
        family="interleaved",
        category="interleaved",
        license="CC-BY-4.0",
        paper_size={"infimm": "101M"},
        stages={"infimm": ("PT",)},
        hub_ids=("HuggingFaceM4/OBELICS",),
        urls=(
            "https://huggingface.co/datasets/HuggingFaceM4/OBELICS",
            "https://github.com/huggingface/OBELICS",
            "https://arxiv.org/abs/2306.16527",
        ),
        files=("opt_out_docs_removed_2023_07_12/*.parquet",),
        access="open",
        language="en",
        unique_ids=True,
        traps=(
            "opt-outs are not applied in the default config (data/train-*.parquet): it is read only where the config "
            "opt_out_docs_removed_2023_07_12 is not there, or where --files names it",
            "the licence is that of the collection; pages keep their own rights",
            "metadata and general_metadata are JSON inside a string",
            "END_OF_DOCUMENT_TOKEN_TO_BE_REPLACED stands in texts as a paragraph; it is taken out",
            "InfiMM took at most 6 pictures of a document",
        ),
    ),
    reader=RowFiles(columns=("images", "texts", "metadata", "general_metadata")),
    parse=parse_parallel_lists,
    downloads=True,
)
