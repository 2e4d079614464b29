"""Several samples of one picture as one conversation."""

from __future__ import annotations

from collections.abc import Sequence

from infinity_mm.record import IMAGE_TOKEN, Message
from infinity_mm.sources.base import Quarantine, Sample


def merge_samples(outcomes: Sequence[Sample | Quarantine], source_id: str) -> Sample | Quarantine:
    """Return one conversation about one picture; its places stand in the first question only.

    Questions that could not be read are named in ``extra["left_out"]`` and in the note `question_left_out`; only where
    none is left the whole group is quarantined, with the reason of the first. The fields that each sample
    keeps in `extra` go to ``extra["questions"]``, in the order of the turns.
    """
    kept = [outcome for outcome in outcomes if isinstance(outcome, Sample)]
    left = [outcome for outcome in outcomes if isinstance(outcome, Quarantine)]
    if not kept:
        if not left:
            return Quarantine("unexpected_row", "a group without rows", source_id)
        detail = f"none of the {len(left)} questions of the picture can be used; first: {left[0].detail}"
        return Quarantine(left[0].reason, detail, source_id)
    first = kept[0]
    places = f"{IMAGE_TOKEN}\n" * len(first.images)
    messages: list[Message] = []
    for sample in kept:
        opening, *rest = sample.messages
        if messages:
            opening = opening.model_copy(update={"content": opening.content.removeprefix(places)})
        messages += (opening, *rest)
    extra: dict[str, object] = {"questions": [{"id": sample.source_id, **sample.extra} for sample in kept]}
    notes = list(dict.fromkeys(note for sample in kept for note in sample.notes))
    if left:
        extra["left_out"] = [{"id": one.source_id, "reason": one.reason, "detail": one.detail} for one in left]
        notes.append("question_left_out")
    return Sample(
        source_id, tuple(messages), first.images, first.category, first.license, first.language, extra, tuple(notes)
    )
