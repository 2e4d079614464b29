"""ScienceQA (image part)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.sources.answers import LETTER, ask, letter, options
from infinity_mm.sources.base import Card, ImageRef, Quarantine, Sample, Source
from infinity_mm.sources.conversation import one_turn, read_images
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.lines import KEY
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.fields import native_key, question_of


def parse(row: Mapping[str, Any]) -> Sample | Quarantine:
    """Hint, question, options, letter; only problems with a picture belong to this source."""
    key = native_key(row, KEY)
    image, split = row.get("image"), row.get("split")
    if image is None:
        return Quarantine("unexpected_row", "the problem has no picture; this source is the image part", key)
    answer, question = letter(row.get("choices"), row.get("answer")), question_of(row, key)
    for part in (answer, question):
        if isinstance(part, Quarantine):
            return Quarantine(part.reason, part.detail, key)
    hint = row.get("hint")
    lines = [f"Context: {hint}"] if isinstance(hint, str) and hint.strip() else []
    text = ask("\n".join([*lines, str(question)]), options([str(choice) for choice in row["choices"]]), LETTER)
    images = (ImageRef(path=f"{split}/{key}/{image}"),) if isinstance(image, str) else read_images(image)
    if isinstance(images, Quarantine):
        return Quarantine(images.reason, images.detail, key)
    extra = {name: row.get(name) for name in ("lecture", "solution", "subject", "topic", "grade")}
    return Sample(key, one_turn(text, str(answer)), images, extra=extra)


SOURCE = Source(
    card=Card(
        name="scienceqa_image",
        title="ScienceQA (image part)",
        family="one_file_qa",
        category="math_reasoning",
        license="CC-BY-NC-SA-4.0",
        paper_size={"infimm": "not in the paper table; in the model card"},
        stages={"infimm": ("MTT",)},
        hub_ids=("derek-thomas/ScienceQA", "lmms-lab/ScienceQA"),
        urls=(
            "https://github.com/lupantech/ScienceQA",
            "https://scienceqa.s3.us-west-1.amazonaws.com/images/{train,val,test}.zip",
        ),
        files=("problems*.json",),
        access="open",
        language="en",
        unique_ids=True,
        traps=(
            "rows without a picture are left out",
            "two to five choices; a hint precedes the question only where there is one",
        ),
    ),
    reader=RowFiles(lines=False, ignored=("pid_splits*",)),
    parse=OrConversation(parse),
    image_roots=("", "images"),
)
