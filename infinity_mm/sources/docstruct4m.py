"""DocStruct4M."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_docowl

SOURCE = Source(
    card=Card(
        name="docstruct4m",
        title="DocStruct4M",
        family="docowl_jsonl",
        category="doc_chart_screen",
        license="Apache-2.0",
        paper_size={"infinity-mm": "4M"},
        stages={"infinity-mm": ("2",)},
        hub_ids=("mPLUG/DocStruct4M", "jp1924/DocStruct4M"),
        urls=(),
        files=("struct_aware_parse.jsonl", "multi_grained_text_localization.jsonl", "val.jsonl"),
        access="open",
        language="und",
        unique_ids=True,
        traps=("runs of spaces encode page layout: never collapse them", "boxes are integers 0 to 999 in text"),
    ),
    reader=RowFiles(),
    parse=parse_docowl,
    image_roots=("", "imgs.tar", "imgs.tar.gz", "partial-imgs.*", "val_imgs.tar.gz"),
)
