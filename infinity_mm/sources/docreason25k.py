"""DocReason25K."""

from __future__ import annotations

from infinity_mm.sources.base import Card, Source
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import parse_docowl

SOURCE = Source(
    card=Card(
        name="docreason25k",
        title="DocReason25K",
        family="docowl_jsonl",
        category="doc_chart_screen",
        license="Apache-2.0",
        paper_size={"infinity-mm": "26K"},
        stages={"infinity-mm": ("2",)},
        hub_ids=("mPLUG/DocReason25K",),
        urls=(),
        files=("detailed_explanation.jsonl",),
        access="open",
        language="und",
        unique_ids=True,
        traps=("same pictures as DocDownstream",),
    ),
    reader=RowFiles(),
    parse=parse_docowl,
    image_roots=("", "imgs.tar", "imgs.tar.gz"),
)
