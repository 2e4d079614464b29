"""Several rows about one picture as one conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from infinity_mm.record import IMAGE_TOKEN, Message
from infinity_mm.sources.base import Parse, Quarantine, Sample


@dataclass(frozen=True)
class Turn:
    """Where in a conversation a row is."""

    #: Its first turn, counted from 1.
    number: int
    #: Native key of the row.
    source_id: str


@dataclass(frozen=True)
class Conversation:
    """What became of some rows about one picture."""

    #: None where no row can be used.
    sample: Sample | None
    #: Where each row is, or why the conversation is without it.
    fates: tuple[Turn | Quarantine, ...]


def converse(rows: Sequence[Mapping[str, Any]], opening: Parse, again: Parse) -> Conversation:
    """Return the rows as one conversation, in their order.

    `again` parses what follows, `opening` the first row that can be used: it may ask for a format once, for all. A row
    that says what an earlier one says is not repeated. The picture's places stand in the first question only, the
    `source_id` is the first row's, and the fields that each row keeps in `extra` go to ``extra["questions"]``.
    """
    first: Sample | None = None
    messages: list[Message] = []
    questions: list[dict[str, object]] = []
    notes: dict[str, None] = {}
    known: dict[tuple[tuple[str, str], ...], int] = {}
    fates: list[Turn | Quarantine] = []
    for row in rows:
        sample = _fitting(again(row), first)
        opened = opening(row) if first is None and isinstance(sample, Sample) else sample
        if isinstance(opened, Quarantine):
            fates.append(opened)
            continue
        assert isinstance(sample, Sample)  # as `opened` is one
        said = tuple((message.role, message.content) for message in sample.messages)
        if said not in known:
            known[said] = 1 + sum(message.role == "user" for message in messages)
            messages += opened.messages if first is None else _without_places(sample)
            questions.append({"id": sample.source_id, **sample.extra})
            notes |= dict.fromkeys(sample.notes)
        first = first or opened
        fates.append(Turn(known[said], sample.source_id))
    if first is None:
        return Conversation(None, tuple(fates))
    merged = replace(first, messages=tuple(messages), extra={"questions": questions}, notes=tuple(notes))
    return Conversation(merged, tuple(fates))


def _fitting(sample: Sample | Quarantine, first: Sample | None) -> Sample | Quarantine:
    """Return the sample if it can be a part of the conversation that `first` opens, else why not.

    Its places must stand at the very beginning, where they can be taken away, and its pictures must be
    those of `first`: two rows may name one picture and mean two.
    """
    if isinstance(sample, Quarantine):
        return sample
    places = sum(message.content.count(IMAGE_TOKEN) for message in sample.messages)
    begins = bool(sample.messages) and sample.messages[0].content.startswith(_places(sample))
    if not begins or places != len(sample.images):
        detail = f"{places} placeholders for {len(sample.images)} pictures; they must stand before the question"
        return Quarantine("invalid_record", detail, sample.source_id)
    if first is not None and sample.images != first.images:
        named = ", ".join(image.path or image.url or "embedded" for image in sample.images)
        return Quarantine(
            "ambiguous_image", f"{named}: not the picture of the question that it is grouped with", sample.source_id
        )
    return sample


def _places(sample: Sample) -> str:
    return f"{IMAGE_TOKEN}\n" * len(sample.images)


def _without_places(sample: Sample) -> tuple[Message, ...]:
    opening, *rest = sample.messages
    return (opening.model_copy(update={"content": opening.content.removeprefix(_places(sample))}), *rest)
