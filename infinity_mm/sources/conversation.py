"""Conversations in the forms that publishers use, as `Message`s; pure, liberal in what it reads.

White space inside texts is never touched: in parsed documents it carries layout.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from infinity_mm.record import IMAGE_TOKEN, Message
from infinity_mm.sources.base import ImageRef, Quarantine

Role = Literal["system", "user", "assistant"]

_ROLES: Mapping[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "system": "system",
}
#: Other spellings of a picture's place; only read as such in rows that have pictures.
_SPELLINGS = re.compile(r"<\|image\|>|<__dj__image>|<img>[^<]*</img>|<ImageHere>|<image-placeholder>", re.IGNORECASE)
#: What stands for "no picture" where a path is expected.
_NO_IMAGE = {"", "none", "nan", "null"}


def read_turns(turns: object) -> tuple[Message, ...] | Quarantine:
    """Return the messages of a list of turns.

    Accepts ``{from, value}`` and ``{role, content}`` with the usual role names; content may be a list of parts
    (``{"type": "image"}``, ``{"type": "text", "text": ...}``), and null, which becomes an empty text so that
    the structure filter can name it.
    """
    if not isinstance(turns, Sequence) or isinstance(turns, str | bytes):
        return Quarantine("missing_field", f"expected a list of turns, got {type(turns).__name__}")
    messages = []
    for number, turn in enumerate(turns):
        if not isinstance(turn, Mapping):
            return Quarantine("unexpected_row", f"turn {number}: expected an object, got {type(turn).__name__}")
        name = turn.get("from", turn.get("role"))
        role = _ROLES.get(str(name).lower())
        if role is None:
            return Quarantine("unexpected_row", f"turn {number}: expected a role such as human or gpt, got {name!r}")
        key = next((key for key in ("value", "content", "text") if key in turn), None)
        if key is None:
            return Quarantine("missing_field", f"turn {number}: none of value, content, text among {sorted(turn)}")
        text = _text_of(turn[key])
        if text is None:
            return Quarantine("unexpected_row", f"turn {number}: expected text, got {type(turn[key]).__name__}")
        messages.append(Message(role=role, content=text))
    return tuple(messages)


def _text_of(value: object) -> str | None:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        parts = [_part(part) for part in value]
        return None if None in parts else "".join(part for part in parts if part is not None)
    return None


def _part(part: object) -> str | None:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and str(part.get("type", "")).startswith("image"):
        return IMAGE_TOKEN
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    return None


def place_images(messages: tuple[Message, ...], images: int) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """Return the messages with pictures' places spelled ``<image>``, and what had to be mended.

    Other spellings are unified. Where a row has pictures and no place for any, places are put before the
    first user turn, as the publishers' own loaders do. Any other mismatch is left for the structure
    filter to judge, and so is a literal ``<image>`` in a row without pictures.
    """
    if not images:
        return messages, ()
    notes: list[str] = []
    unified = tuple(m.model_copy(update={"content": _SPELLINGS.sub(IMAGE_TOKEN, m.content)}) for m in messages)
    if unified != messages:
        notes.append("placeholder_respelled")
    if not any(IMAGE_TOKEN in message.content for message in unified):
        first = next((place for place, message in enumerate(unified) if message.role == "user"), None)
        if first is not None:
            content = f"{IMAGE_TOKEN}\n" * images + unified[first].content
            mended = unified[first].model_copy(update={"content": content})
            unified = (*unified[:first], mended, *unified[first + 1 :])
            notes.append("placeholder_inserted")
    return unified, tuple(notes)


def read_images(value: object) -> tuple[ImageRef, ...] | Quarantine:
    """Return the pictures of an `image` field: path, list of paths, ``{bytes, path}``, null, or "none"-like text."""
    if value is None:
        return ()
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        found: list[ImageRef] = []
        for item in value:
            more = read_images(item)
            if isinstance(more, Quarantine):
                return more
            found += more
        return tuple(found)
    if isinstance(value, str):
        return () if value.strip().lower() in _NO_IMAGE else (ImageRef(path=value),)
    if isinstance(value, bytes):
        return (ImageRef(data=value),)
    if isinstance(value, Mapping):
        data, path = value.get("bytes"), value.get("path")
        if isinstance(data, bytes):
            return (ImageRef(data=data, uri=path if isinstance(path, str) else ""),)
        return read_images(path)
    return Quarantine("unexpected_row", f"image: expected a path, a list or bytes, got {type(value).__name__}")


def pairs_to_turns(pairs: object, ask: str, answer: str) -> tuple[Message, ...] | Quarantine:
    """Return the messages of a list of ``{ask: question, answer: answer}`` objects."""
    if not isinstance(pairs, Sequence) or isinstance(pairs, str | bytes):
        return Quarantine("missing_field", f"expected a list of {ask}/{answer} pairs, got {type(pairs).__name__}")
    messages: list[Message] = []
    for number, pair in enumerate(pairs):
        if not isinstance(pair, Mapping) or ask not in pair or answer not in pair:
            return Quarantine("unexpected_row", f"pair {number}: expected {ask} and {answer}, got {_keys(pair)}")
        for role, key in (("user", ask), ("assistant", answer)):
            text = _text_of(pair[key])
            if text is None:
                return Quarantine("unexpected_row", f"pair {number}: {key} is {type(pair[key]).__name__}, no text")
            messages.append(Message(role="user" if role == "user" else "assistant", content=text))
    return tuple(messages)


def _keys(value: Any) -> str:
    return str(sorted(value)) if isinstance(value, Mapping) else type(value).__name__


def one_turn(question: str, answer: str, images: int = 1) -> tuple[Message, ...]:
    """Return a question with its pictures in front, and the answer."""
    places = f"{IMAGE_TOKEN}\n" * images
    return (Message(role="user", content=places + question), Message(role="assistant", content=answer))


def escape_placeholders(text: str) -> tuple[str, tuple[str, ...]]:
    """Return a crawled text with any literal ``<image>`` spelled ``&lt;image&gt;``, and a note where there was one.

    For sources whose pictures have their places from elsewhere: the literal must not be counted as one.
    """
    if IMAGE_TOKEN not in text:
        return text, ()
    return text.replace(IMAGE_TOKEN, "&lt;image&gt;"), ("literal_placeholder_escaped",)
