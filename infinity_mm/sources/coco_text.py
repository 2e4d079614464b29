"""COCO-Text v2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from infinity_mm.keyed import keyed_u64
from infinity_mm.record import Message
from infinity_mm.sources.base import Card, Quarantine, Sample, Source
from infinity_mm.sources.conversation import one_turn
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.annotations import INSTANCES, LISTED, ImagesAndInstances
from infinity_mm.sources.families.either import OrTables
from infinity_mm.sources.families.lines import KEY
from infinity_mm.sources.fields import native_key
from infinity_mm.sources.options import Options, WithOptions
from infinity_mm.sources.pictures import named_picture

PRESENT = "Is there any legible English text in the image?"
#: Which one a picture gets is a hash of its id. The answer: words of a line, top line first.
READ = (
    "What text can be read in the image?",
    "Read the English text in the image, line by line.",
    "Which words are written in the image?",
    "Transcribe the legible English text that the image shows.",
)


class CocoTextOptions(Options):
    """What becomes of pictures without legible English text: three of five, in the published file."""

    without_text: Literal["ask", "refuse"] = Field(
        default="ask",
        description="every picture is asked whether it has text, then what it says; or such pictures are quarantined "
        "(raise max_quarantined), and the others only asked what they say",
    )


def parse(row: Mapping[str, Any], options: CocoTextOptions) -> Sample | Quarantine:
    """Questions about a picture's text, made from its legible English instances; no draw but hashes of the id."""
    key = native_key(row, KEY, "id")
    name, instances = row.get("file_name"), row.get(INSTANCES)
    if not isinstance(instances, list) or not all(isinstance(one, Mapping) for one in instances):
        return Quarantine("unexpected_row", f"expected a picture with its instances, got keys {sorted(row)}", key)
    if "file_name" not in row:
        return Quarantine("unjoined_annotation", f"{len(instances)} instances of {key!r}, which imgs lacks", key)
    if not isinstance(name, str):
        return Quarantine("missing_field", f"file_name: expected text, got {name!r:.80}", key)
    listed = row.get(LISTED)
    if isinstance(listed, int) and listed > len(instances):  # what it says of the picture's text would be wrong
        return Quarantine(
            "unjoined_annotation", f"imgToAnns lists {listed} instances, anns holds {len(instances)}", key
        )
    lines = reading_lines([one for one in instances if _is_legible_english(one)])
    if not lines and not instances and row.get("set") not in ("train", "val"):
        detail = f"no instance; those of the set {row.get('set')!r:.40} may be withheld, so nothing can be said"
        return Quarantine("missing_field", detail, key)
    if not lines and options.without_text == "refuse":
        return Quarantine("unexpected_row", "no legible English text, and the options refuse such pictures", key)
    messages = _conversation(lines, key, options)
    kept = [{k: one[k] for k in _KEPT if one.get(k) is not None} for line in lines for one in line]
    extra = {"set": row.get("set"), "instances": kept, "other_instances": len(instances) - len(kept)}
    return Sample(key, messages, (named_picture(name),), extra=extra, notes=() if lines else ("without_text",))


#: Boxes are x, y, width, height in pixels of the original; outlines (`mask`, in version 1 `polygon`) x, y, x, y, ...
_KEPT = ("id", "utf8_string", "bbox", "mask", "polygon", "class")


def _is_legible_english(one: Mapping[str, Any]) -> bool:
    text = one.get("utf8_string")
    named = one.get("legibility") == "legible" and one.get("language") == "english"
    return named and isinstance(text, str) and bool(text.strip())


def _conversation(
    lines: Sequence[Sequence[Mapping[str, Any]]], key: str, options: CocoTextOptions
) -> tuple[Message, ...]:
    if not lines:
        return one_turn(PRESENT, "No.")
    question = READ[keyed_u64(0, "coco_text", key) % len(READ)]
    answer = "\n".join(" ".join(str(one["utf8_string"]).strip() for one in line) for line in lines)
    if options.without_text == "refuse":
        return one_turn(question, answer)
    return (
        *one_turn(PRESENT, "Yes."),
        Message(role="user", content=question),
        Message(role="assistant", content=answer),
    )


def reading_lines(instances: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return instances as lines from top to bottom, each from left to right.

    An instance belongs to the line above it when its middle lies higher than the lower edge of that line's topmost
    instance. Those without a box of four numbers come last, a line each, in the order given.
    """
    boxed = [(box, one) for one in instances if (box := _box(one)) is not None]
    lines: list[list[tuple[tuple[float, ...], Mapping[str, Any]]]] = []
    for box, one in sorted(boxed, key=lambda pair: (pair[0][1], pair[0][0])):
        _, y, _, height = box
        if lines and y + height / 2 < lines[-1][0][0][1] + lines[-1][0][0][3]:
            lines[-1].append((box, one))
        else:
            lines.append([(box, one)])
    ordered = [[one for _, one in sorted(line, key=lambda pair: pair[0][:2])] for line in lines]
    return ordered + [[one] for one in instances if _box(one) is None]


def _box(one: Mapping[str, Any]) -> tuple[float, ...] | None:
    box = one.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        return None
    numbers = tuple(value for value in box if isinstance(value, int | float) and not isinstance(value, bool))
    return numbers if len(numbers) == 4 else None


SOURCE = Source(
    card=Card(
        name="coco_text",
        title='COCO-Text v2 ("Cocotext")',
        family="annotation_files",
        category="general",
        license="CC-BY-4.0",
        paper_size={"infinity-mm": "163K"},
        stages={"infinity-mm": ("2",)},
        urls=(
            "https://bgshih.github.io/cocotext/",
            "https://github.com/bgshih/cocotext/releases/download/dl/cocotext.v2.zip",
            "https://github.com/andreasveit/coco-text",
        ),
        files=("cocotext.v2.json", "COCO_Text.json", "cocotext*.json"),
        access="open",
        language="en",
        unique_ids=True,
        traps=(
            "boxes and classes only: questions and answers are made here, from the legible English instances",
            "pictures without such text are asked whether there is any; the option without_text refuses them",
            "the paper says 163K, its authors' file is called 16k",
            "all pictures are COCO train2014; sets val and test are benchmarks (kept in extra)",
        ),
    ),
    reader=OrTables(ImagesAndInstances()),
    parse=WithOptions(OrConversation(parse), CocoTextOptions()),
    image_roots=("", "train2014", "images", "coco", "train2014.zip"),
)
