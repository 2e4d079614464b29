"""DocDownstream-1.0."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_docowl

SOURCE = Source(
    card=Card(
        name="docdownstream",
        title="DocDownstream-1.0",
        family="docowl_jsonl",
        category="doc_chart_screen",
        license="Apache-2.0",
        paper_size={"infinity-mm": "700K"},
        stages={"infinity-mm": ("2",)},
        hub_ids=("mPLUG/DocDownstream-1.0",),
        urls=(),
        files=("train.jsonl", "val.jsonl"),
        access="open",
        language="und",
        unique_ids=True,
        traps=(
            "byte-identical rows occur: the first three lines are one",
            "split archives lose pictures without a word when the last part is missing",
        ),
    ),
    reader=RowFiles(),
    parse=parse_docowl,
    image_roots=("", "imgs.tar", "imgs.tar.gz", "partial-imgs.*"),
)
