"""A source whose rows are ``{id, text, url, md5?}``: one picture by URL, which the row cannot do without."""

from infinity_mm.sources.base import Card, ImageRef, Quarantine, Sample, Source
from infinity_mm.sources.conversation import one_turn
from infinity_mm.sources.families.rowfiles import RowFiles


def parse(row):
    if not isinstance(row.get("url"), str):
        return Quarantine("missing_field", "expected url", str(row.get("id", "")))
    checksum = f"md5:{row['md5']}" if row.get("md5") else ""
    return Sample(str(row["id"]), one_turn("Describe.", row["text"]), (ImageRef(url=row["url"], checksum=checksum),))


SOURCE = Source(
    card=Card("probe_pairs", "Pairs of a test", "probe", "caption", "mit", {}, {}, files=("*.jsonl",), unique_ids=True),
    reader=RowFiles(),
    parse=parse,
    downloads=True,
)
