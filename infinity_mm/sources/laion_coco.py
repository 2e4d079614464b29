"""LAION-COCO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.pairs import PairColumns, pair_reader, parse_pair

COLUMNS = PairColumns(
    text=("top_caption", "caption"),
    source_id=("sample_id", "key"),
    extra=(
        "text", "all_captions", "all_similarities", "width", "height", "similarity", "hash", "punsafe", "pwatermark",
    ),
)  # fmt: skip


def parse(row: Mapping[str, Any]) -> Sample | Quarantine:
    """Return the picture at URL and top_caption, which BLIP wrote; TEXT, of the page, goes to the extra."""
    return parse_pair(row, COLUMNS)


SOURCE = Source(
    card=Card(
        name="laion_coco",
        title="LAION-COCO",
        family="url_pair_parquet",
        category="caption",
        license="CC-BY-4.0",
        row_licenses=True,
        paper_size={"infimm": "140M"},
        stages={"infimm": ("PT",)},
        hub_ids=("laion/relaion-coco", "laion/laion-coco"),
        urls=("https://laion.ai/blog/laion-coco/",),
        files=("part-*.parquet",),
        access="withdrawn",
        language="en",
        unique_ids=True,
        traps=(
            "the original was disabled by its author; relaion-coco succeeds it",
            "the licence is that of the metadata; pictures are under their own rights",
            "the wanted text is top_caption, TEXT is the alternative text; img2dataset's recipe saves TEXT as caption: "
            "keep top_caption with save_additional_columns",
            "top_caption went through a grammar repair and need not be among all_captions",
            "half to three quarters of the pictures can be downloaded",
        ),
    ),
    reader=pair_reader(COLUMNS),
    parse=parse,
    downloads=True,
)
