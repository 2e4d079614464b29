"""A source whose rows are ``{id, parts}``: texts and pictures in order, a picture as ``{url}``, all of them optional."""

from infinity_mm.record import IMAGE_TOKEN, Message
from infinity_mm.sources.base import Card, ImageRef, Sample, Source
from infinity_mm.sources.families.rowfiles import RowFiles


def parse(row):
    images = tuple(ImageRef(url=part["url"], optional=True) for part in row["parts"] if isinstance(part, dict))
    text = "\n".join(part if isinstance(part, str) else IMAGE_TOKEN for part in row["parts"])
    return Sample(str(row["id"]), (Message(role="assistant", content=text),), images)


SOURCE = Source(
    card=Card("probe_documents", "Documents of a test", "probe", "interleaved", "mit", {}, {}, files=("*.jsonl",)),
    reader=RowFiles(),
    parse=parse,
    downloads=True,
)
