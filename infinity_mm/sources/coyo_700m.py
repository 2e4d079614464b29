"""COYO-700M."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.pairs import PairColumns, pair_reader, parse_pair

COLUMNS = PairColumns(
    source_id=("id", "key"),
    extra=(
        "width", "height", "image_phash", "text_length", "word_count", "num_tokens_bert", "num_tokens_gpt", "num_faces",
        "clip_similarity_vitb32", "clip_similarity_vitl14", "nsfw_score_opennsfw2", "nsfw_score_gantman",
        "watermark_score", "aesthetic_score_laion_v2",
    ),
)  # fmt: skip


def parse(row: Mapping[str, Any]) -> Sample | Quarantine:
    """Return the picture at url and text, the alternative text of its page."""
    return parse_pair(row, COLUMNS)


SOURCE = Source(
    card=Card(
        name="coyo_700m",
        title="COYO-700M",
        family="url_pair_parquet",
        category="caption",
        license="CC-BY-4.0",
        row_licenses=True,
        paper_size={"infimm": "238M"},
        stages={"infimm": ("PT",)},
        hub_ids=("kakaobrain/coyo-700m",),
        urls=("https://github.com/kakaobrain/coyo-dataset",),
        files=("data/part-*.parquet",),
        access="open",
        language="en",
        unique_ids=True,
        traps=(
            "the licence is that of the metadata; pictures and texts are under their own rights",
            "one URL may carry several texts: unique is (image_phash, text)",
            "texts keep HTML entities, prefixes of web shops and cut ends",
            "85% could be downloaded in August 2022, fewer since",
        ),
    ),
    reader=pair_reader(COLUMNS),
    parse=parse,
    downloads=True,
)
