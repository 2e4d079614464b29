"""PMD (FLAVA)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.pairs import PairColumns, pair_reader, parse_pair

COLUMNS = PairColumns(
    text=("text", "caption"), url=("image_url", "url"), source_id=("id", "image_id", "key"), extra=("source", "meta")
)


def parse(row: Mapping[str, Any]) -> Sample | Quarantine:
    """Return the picture, embedded or at image_url, and its text."""
    return parse_pair(row, COLUMNS)


SOURCE = Source(
    card=Card(
        name="pmd",
        title="PMD (FLAVA)",
        family="url_pair_parquet",
        category="caption",
        license="other: union of the subset licences",
        row_licenses=True,
        paper_size={"infimm": "20M (13B models only)"},
        stages={"infimm": ("PT",)},
        hub_ids=("facebook/pmd",),
        urls=("https://huggingface.co/datasets/facebook/pmd", "https://arxiv.org/abs/2112.04482"),
        files=("*.parquet", "*.tsv", "*.jsonl"),
        access="gated",
        language="en",
        unique_ids=True,
        traps=(
            "the hub copy is a loading script, which datasets 4 refuses: read the lists of the subsets, such as CC3M's "
            "and CC12M's tab separated values (caption and URL, in either order, without names)",
            "the card says CC-BY-4.0; in fact every subset has its own licence",
            "some subsets have the picture embedded instead of a URL",
            "overlaps LAION, COYO and COCO",
            "a quarter of CC12M's pictures could be downloaded in October 2022",
        ),
    ),
    reader=pair_reader(COLUMNS, inside=("annotations",)),
    parse=parse,
    downloads=True,
)
