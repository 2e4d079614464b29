"""Multimodal C4 (fewer-faces)."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.documents import MatchOptions, parse_matched_sentences
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.options import WithOptions

SOURCE = Source(
    card=Card(
        name="mmc4",
        title="Multimodal C4 (fewer-faces)",
        family="interleaved",
        category="interleaved",
        license="ODC-BY-1.0",
        paper_size={"infimm": "53M"},
        stages={"infimm": ("PT",)},
        hub_ids=("jmhessel/mmc4-ff", "jmhessel/mmc4-core-ff", "weizhiwang/mmc4_fewer_faces"),
        urls=("https://github.com/allenai/mmc4", "https://arxiv.org/abs/2304.06939"),
        files=("**/docs_*shard_*.jsonl", "**/docs_*shard_*.jsonl.zip"),
        access="open",
        language="en",
        unique_ids=False,
        traps=(
            "the full and core sets are gone since February 2025; only the fewer-faces sets are published",
            "14 of the shards 0 to 23098 are absent by design",
            "several pictures may be matched to one sentence",
            "1 to 2% of the documents repeat; could_have_url_duplicate marks more and goes to the extra",
            "pictures and sentences may not match: matched_sim of each picture goes to the extra",
            "some copies hold image_base64 as the text b'...'",
            "Common Crawl's terms apply beside ODC-BY",
        ),
    ),
    reader=RowFiles(suffixes=(".jsonl", ".jsonl.zip", ".jsonl.gz", ".json", ".parquet")),
    parse=WithOptions(parse_matched_sentences, MatchOptions()),
    downloads=True,
)
