"""LAION-2B-en."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.pairs import PairColumns, pair_reader, parse_pair

COLUMNS = PairColumns(
    source_id=("sample_id", "key"),
    extra=(
        "width", "height", "license", "nsfw", "similarity", "hash", "punsafe", "pwatermark", "aesthetic",
        "aesthetic_score",
    ),
)  # fmt: skip


def parse(row: Mapping[str, Any]) -> Sample | Quarantine:
    """Return the picture at URL and TEXT, the alternative text of its page."""
    return parse_pair(row, COLUMNS)


SOURCE = Source(
    card=Card(
        name="laion_2b_en",
        title="LAION-2B-en",
        family="url_pair_parquet",
        category="caption",
        license="CC-BY-4.0",
        row_licenses=True,
        paper_size={"infimm": "115M"},
        stages={"infimm": ("PT",)},
        hub_ids=("laion/relaion2B-en-research-safe", "laion/relaion2B-en-research", "laion/laion2B-en"),
        urls=("https://laion.ai/blog/laion-5b/", "https://laion.ai/notes/laion-maintanence/"),
        files=("part-*.parquet",),
        access="withdrawn",
        language="en",
        unique_ids=True,
        traps=(
            "the original was withdrawn in December 2023 for links to child abuse: use Re-LAION research-safe, or keep "
            "of an old copy only what Re-LAION has",
            "the licence is that of the metadata; pictures are under their own rights",
            "column names differ in case and number; WIDTH and HEIGHT may be floats with nulls",
            "hash is no md5; where there is an md5 column it is of May 2022, and about 15% of pictures have changed",
            "un-curated: customary cuts are punsafe < 0.5, pwatermark < 0.8, similarity > 0.28",
            "InfiMM's 115M may be BLIP's filtered LAION-115M instead",
        ),
    ),
    reader=pair_reader(COLUMNS),
    parse=parse,
    downloads=True,
)
