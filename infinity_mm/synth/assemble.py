"""From a judged question to a row of `records`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infinity_mm.fingerprint import canonical
from infinity_mm.record import IMAGE_TOKEN, record_id
from infinity_mm.synth.provenance import Provenance
from infinity_mm.synth.rows import Format, Generated, Judged, Typed
from infinity_mm.synth.step4_filter import with_options

SOURCE = "synthetic"

#: What a question ends with, so that the trained model learns which form is wanted. The first and the
#: last are the wordings of LLaVA-1.5's training mixture, which evaluations use too.
FORMAT_HINTS: Mapping[Format, str] = {
    "word_or_phrase": "Answer the question using a single word or phrase.",
    "brief": "Give a brief explanation, then the answer.",
    "detailed": "Explain in detail, then give the answer.",
    "multiple_choice": "Answer with the option's letter from the given choices directly.",
}


def attempt_id(parent: str, n: int, typed: Typed | None) -> str:
    """Return the id of an attempt, 32 hex digits; of a finished row, the id of its record.

    Before its type is known an attempt is identified by parent and number alone.
    """
    kind = f"{typed.leaf.name}/{typed.format}" if typed else "untyped"
    return record_id(SOURCE, parent, f"{kind}/{n}")


def source_ref(parent: str, n: int) -> str:
    """Return where a synthetic row stands in its source: the parent and the number of the attempt."""
    return f"{SOURCE}#{parent}/{n}"


def user_text(row: Generated, format_hint: bool) -> str:
    """Return the user's turn: the picture's place, the question, its options, the hint."""
    lines = [IMAGE_TOKEN, with_options(row.question, row.options)]
    if format_hint:
        lines.append(FORMAT_HINTS[row.typed.format])
    return "\n".join(lines)


def assemble(row: Judged, origin: Provenance, format_hint: bool) -> dict[str, Any]:
    """Return the row as `pyarrow.Table.to_pylist` would give it for `infinity_mm.schema.RECORDS`.

    The picture's bytes stay with the parent; the uri points to it. The language is "und": English was
    asked for, but nobody has looked yet.
    """
    generated = row.generated
    attempt = generated.typed.attempt
    parent = attempt.parent
    return {
        "id": attempt_id(parent.id, attempt.n, generated.typed),
        "source": SOURCE,
        "source_id": attempt.key,
        "source_ref": source_ref(parent.id, attempt.n),
        "category": SOURCE,
        "license": parent.license,
        "language": "und",
        "images": [parent.image.model_copy(update={"uri": parent.image_uri}).model_dump()],
        "image_bytes": [None],
        "messages": [
            {"role": "user", "content": user_text(generated, format_hint)},
            {"role": "assistant", "content": generated.letter or generated.answer},
        ],
        "parent": parent.id,
        "extra": canonical(origin),
    }
