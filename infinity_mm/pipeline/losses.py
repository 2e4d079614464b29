"""A row that can do without some of its pictures loses them together with their places in the text."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from infinity_mm.record import IMAGE_TOKEN, Message
from infinity_mm.sources.base import Quarantine, Sample

#: Losses that a ledger row spells out; the attributes have all.
SHOWN = 3


def without_images(sample: Sample, lost: Mapping[int, Quarantine], keep_text: bool = True) -> Sample | Quarantine:
    """Return the sample without the pictures at the positions `lost`, and without their placeholders.

    The k-th placeholder, counted over all messages, is the k-th picture's. A message of which nothing visible is left
    goes. Notes say that pictures were lost, and whether all were. Comes back as a quarantine: a row without any picture
    of which no text is left either, or not `keep_text`; and one whose placeholders are not as many as its pictures, as
    then nobody can say whose they are.
    """
    places = sum(message.content.count(IMAGE_TOKEN) for message in sample.messages)
    first = lost[min(lost)]
    if places != len(sample.images):
        told = f"{places} placeholders for {len(sample.images)} pictures, {len(lost)} of them lost: {first.detail}"
        return Quarantine(first.reason, told)
    messages = remove_placeholders(sample.messages, lost.keys())
    images = tuple(image for place, image in enumerate(sample.images) if place not in lost)
    notes = (*sample.notes, "images_lost")
    if not images:
        if not messages or not keep_text:
            rest = "text alone is not kept" if messages else "there is no text"
            return Quarantine(first.reason, f"all {len(lost)} pictures lost, and {rest}: {first.detail}")
        notes = (*notes, "all_images_lost")
    return replace(sample, messages=messages, images=images, notes=notes)


def remove_placeholders(messages: tuple[Message, ...], positions: Collection[int]) -> tuple[Message, ...]:
    """Return the messages without the placeholders at `positions`, counted over all messages.

    Of two blanks that meet where a placeholder stood, one goes as well; so does one at the edge of a message.
    Messages that lost a placeholder and have no visible character left are left out.
    """
    kept = []
    count = 0
    for message in messages:
        head, *tails = message.content.split(IMAGE_TOKEN)
        text, changed = head, False
        for tail in tails:
            if count in positions:
                text, changed = _join(text, tail), True
            else:
                text += IMAGE_TOKEN + tail
            count += 1
        if not changed:
            kept.append(message)
        elif text.strip():
            kept.append(message.model_copy(update={"content": text}))
    return tuple(kept)


def _join(left: str, right: str) -> str:
    if right[:1].isspace() and (not left or left[-1].isspace()):
        return left + right[1:]
    if not right and left[-1:].isspace():
        return left[:-1]
    return left + right


def describe_losses(lost: list[str]) -> str | None:
    """Return the losses of one row for the ledger, None where there are none."""
    if not lost:
        return None
    more = f"; and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    return f"images_lost={len(lost)}: {'; '.join(lost[:SHOWN])}{more}"
