"""VisDial v1.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field

from infinity_mm.record import IMAGE_TOKEN, Message
from infinity_mm.sources.answers import DESCRIBE
from infinity_mm.sources.base import Card, ImageRef, Quarantine, Sample, Source
from infinity_mm.sources.copies import OrConversation
from infinity_mm.sources.families.annotations import IndexedDialogs
from infinity_mm.sources.families.either import OrTables
from infinity_mm.sources.fields import native_key
from infinity_mm.sources.options import Options, WithOptions
from infinity_mm.sources.pictures import named_picture


class VisdialOptions(Options):
    """How a dialog begins."""

    caption_turn: bool = Field(
        default=False,
        description="the caption that the questioner saw becomes a first turn, asked for with InfiMM's caption prompt",
    )


def parse(row: Mapping[str, Any], options: VisdialOptions) -> Sample | Quarantine:
    """Up to ten rounds; the test set's dialogs end before the round that has no answer."""
    key = native_key(row, "image_id")
    if not key.isdecimal():
        return Quarantine("missing_field", f"image_id: expected an integer, got {row.get('image_id')!r:.80}", key)
    image = int(key)
    messages = _messages(row, options)
    if isinstance(messages, Quarantine):
        return Quarantine(messages.reason, messages.detail, key)
    split = str(row.get("split") or "")
    extra = {"caption": row.get("caption"), "split": split}
    rounds = (len(messages) - 2 * options.caption_turn) // 2
    notes = ("unanswered_round_left_out",) if rounds < len(row["dialog"]) else ()
    return Sample(key, messages, (_picture(split, image),), extra=extra, notes=notes)


def _messages(row: Mapping[str, Any], options: VisdialOptions) -> tuple[Message, ...] | Quarantine:
    rounds, caption = row.get("dialog"), row.get("caption")
    if not isinstance(rounds, list):
        return Quarantine("missing_field", f"dialog: expected a list of rounds, got {type(rounds).__name__}")
    messages: list[Message] = []
    if options.caption_turn:
        if not isinstance(caption, str) or not caption.strip():
            return Quarantine("missing_field", f"caption: expected text, got {caption!r:.80}")
        messages += (Message(role="user", content=DESCRIBE), Message(role="assistant", content=caption))
    for number, turn in enumerate(rounds, 1):
        if not isinstance(turn, Mapping):
            return Quarantine("unexpected_row", f"round {number}: expected an object, got {type(turn).__name__}")
        for name in ("question", "answer"):
            text = turn.get(name)
            if isinstance(text, Mapping):
                place = f"index {text.get('index')!r:.40} names none of the file's {text.get('of')} {name}s"
                return Quarantine("unexpected_row", f"round {number}: {place}")
            if not isinstance(text, str) and (name == "question" or text is not None):
                return Quarantine("missing_field", f"round {number}: no {name}")
        if turn.get("answer") is None:
            break  # what comes after a round without an answer could refer to it
        messages += (
            Message(role="user", content=turn["question"]),
            Message(role="assistant", content=turn["answer"]),
        )
    if len(messages) == 2 * options.caption_turn:
        return Quarantine("missing_field", "dialog: no round has an answer")
    opening = Message(role="user", content=f"{IMAGE_TOKEN}\n{messages[0].content}")
    return (opening, *messages[1:])


def _picture(split: str, image: int) -> ImageRef:
    """Return where the picture may be: 2018's sets are VisDial's own, all others COCO 2014, from either half."""
    if split.endswith("2018"):
        return ImageRef(path=f"VisualDialog_{split}_{image:012d}.jpg")
    train, val = (named_picture(f"COCO_{half}2014_{image:012d}.jpg") for half in ("train", "val"))
    others = (*train.alternatives[:1], str(val.path), *val.alternatives[:1], *train.alternatives[1:])
    return replace(train, alternatives=others)


SOURCE = Source(
    card=Card(
        name="visdial",
        title="VisDial v1.0",
        family="annotation_files",
        category="general",
        license="CC-BY-4.0",
        paper_size={"infinity-mm": "116K"},
        stages={"infinity-mm": ("2",)},
        urls=("https://visualdialog.org/data",),
        files=("visdial_1.0_*.json", "visdial_0.9_*.json"),
        access="open",
        language="en",
        unique_ids=True,
        traps=(
            "pictures of the train file are COCO train2014 and val2014; which half is not in the file",
            "all lower case, no question mark, half of the answers one word",
            "the caption is kept in extra; the option caption_turn makes it a first turn",
            "the last round of a test dialog has no answer and is left out",
            "shares pictures with benchmarks on COCO val2014; val and test are benchmarks",
        ),
    ),
    reader=OrTables(IndexedDialogs()),
    parse=WithOptions(OrConversation(parse), VisdialOptions()),
    image_roots=(
        "", "train2014", "val2014", "VisualDialog_val2018", "VisualDialog_test2018", "images", "coco",
        "train2014.zip", "val2014.zip", "VisualDialog_val2018.zip", "VisualDialog_test2018.zip",
    ),
)  # fmt: skip
