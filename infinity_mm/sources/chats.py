"""Rows that hold a whole conversation: its key, its turns, its pictures, and all else that is worth keeping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from infinity_mm.sources.base import ImageRef, Quarantine, Sample
from infinity_mm.sources.conversation import Chat, place_images, read_chat
from infinity_mm.sources.pictures import read_images


def key_text(value: object) -> str:
    """Return a native key of any type as text: 3.0 is "3" (columns with gaps become floats), bytes are hexadecimal."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, Mapping) and len(value) == 1:  # {"$oid": "..."}, {"id": 3}
        return key_text(next(iter(value.values())))
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return "" if value != value else str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, Mapping | list | tuple):
        try:
            return orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:  # an integer of more than 64 bits
            return repr(value)
    return str(value)


def other_fields(row: Mapping[str, Any], used: Iterable[str]) -> dict[str, Any]:
    """Return what a row holds beside the fields that were used: no nulls, and no bytes, which have no JSON."""
    taken = set(used)
    return {
        name: kept for name, value in row.items() if name not in taken and (kept := without_bytes(value)) is not None
    }


def without_bytes(value: Any) -> Any:
    """Return a JSON-like value without its binary parts; None for bytes themselves."""
    if isinstance(value, bytes):
        return None
    if isinstance(value, Mapping):
        return {str(key): without_bytes(item) for key, item in value.items() if not isinstance(item, bytes)}
    if isinstance(value, list | tuple):
        return [without_bytes(item) for item in value if not isinstance(item, bytes)]
    return value


def chat_sample(row: Mapping[str, Any], turns: str, pictures: str, key: str) -> Sample | Quarantine:
    """Return the sample of a row whose fields `turns`, `pictures` and `key` hold what these names say."""
    chat, column = read_chat(row.get(turns)), read_images(row.get(pictures))
    return join_chat(chat, column, key_text(row.get(key)), other_fields(row, (turns, pictures, key)))


def join_chat(
    chat: Chat | Quarantine,
    column: tuple[ImageRef, ...] | Quarantine,
    source_id: str,
    extra: Mapping[str, Any],
) -> Sample | Quarantine:
    """Return the sample of a conversation and of the pictures in the row's own list."""
    for part in (chat, column):
        if isinstance(part, Quarantine):
            return Quarantine(part.reason, part.detail, source_id)
    assert isinstance(chat, Chat)
    assert isinstance(column, tuple)
    images = chat.pictures(column)
    messages, notes = place_images(chat.messages, len(images))
    if any(reference not in images for reference in column):
        notes = (*notes, "listed_picture_unused")
    return Sample(source_id=source_id, messages=messages, images=images, extra=extra, notes=notes)
