"""Conversations in the forms that publishers use, as `Message`s; pure, liberal in what it reads.

White space inside texts is never touched: in parsed documents it carries layout.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infinity_mm.record import IMAGE_TOKEN, Message
from infinity_mm.sources.base import ImageRef, Quarantine
from infinity_mm.sources.families.cut import parse_row
from infinity_mm.sources.pictures import PICTURE_KEYS, is_sequence
from infinity_mm.sources.pictures import read_images as read_images

Role = Literal["system", "user", "assistant"]

_ROLES: Mapping[str, Role] = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "gpt4": "assistant",
    "gpt-4": "assistant",
    "gpt-4v": "assistant",
    "gpt-4o": "assistant",
    "gpt4o": "assistant",
    "gpt4v": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "claude": "assistant",
    "gemini": "assistant",
    "llm": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "system": "system",
    "developer": "system",
}
#: Roles of function calling, which has no form in the records.
_TOOLS = {"tool", "function", "observation", "function_call", "tool_call", "tool_response", "ipython"}
#: Keys of one object that holds a question and its answer, in place of two turns.
_PAIRS = (("user", "assistant"), ("human", "assistant"), ("human", "gpt"), ("question", "answer"))
#: Other spellings of a picture's place; only read as such in rows that have pictures.
_SPELLINGS = re.compile(r"<\|image\|>|<__dj__image>|<img>[^<]*</img>|<ImageHere>|<image-placeholder>", re.IGNORECASE)


@dataclass(frozen=True)
class Tags:
    """How turns are spelled, where they are spelled in a way of their own; "" leaves the usual spellings."""

    #: Key of a turn's role and of its content.
    role: str = ""
    content: str = ""
    #: Values of the role.
    user: str = ""
    assistant: str = ""
    system: str = ""

    def role_of(self, name: object) -> Role | None:
        """Return the role that a value stands for; the given spellings first, then the usual ones."""
        own: tuple[tuple[str, Role], ...] = (
            (self.user, "user"), (self.assistant, "assistant"), (self.system, "system"),
        )  # fmt: skip
        text = str(name).strip()
        return next((role for tag, role in own if tag and text == tag), None) or _ROLES.get(text.lower())


@dataclass(frozen=True)
class Chat:
    """The turns of a conversation, and the pictures that its content parts name."""

    messages: tuple[Message, ...]
    #: One entry per picture part, in order: the picture, its number in the row's own list, or None for the next there.
    parts: tuple[ImageRef | int | None, ...] = ()

    def pictures(self, column: tuple[ImageRef, ...]) -> tuple[ImageRef, ...]:
        """Return the row's pictures in the order of their places; `column` are those of its own list.

        A picture that a part holds itself wins over the list. A number that the list lacks is left out: the places
        are then more than the pictures, which the structure filter names.
        """
        if all(part is None for part in self.parts):
            return column
        rest = iter(column)
        found: list[ImageRef] = []
        for part in self.parts:
            if isinstance(part, int):
                found += column[part : part + 1] if part >= 0 else ()
            else:
                found += [part] if part is not None else list(next(([one] for one in rest), []))
        return tuple(found)


def read_turns(turns: object, tags: Tags = Tags()) -> tuple[Message, ...] | Quarantine:
    """Return the messages of a list of turns; see `read_chat`."""
    chat = read_chat(turns, tags)
    return chat if isinstance(chat, Quarantine) else chat.messages


def read_chat(turns: object, tags: Tags = Tags()) -> Chat | Quarantine:
    """Return the turns of a conversation.

    Accepts a list of ``{from, value}`` or ``{role, content}`` with the usual role names or those of `tags`, the same as
    JSON text or as one object of parallel lists (what `datasets` makes of a sequence of objects), ``[role, text]``, and
    pairs of question and answer, as ``[question, answer]`` or ``{user, assistant}``. Content may be a list of parts
    (``{"type": "image"}``, ``{"type": "text", "text": ...}``), and null, which becomes an empty text so that the
    structure filter can name it.
    """
    turns = _as_list(turns)
    if isinstance(turns, Quarantine):
        return turns
    messages: list[Message] = []
    parts: list[ImageRef | int | None] = []
    for number, turn in enumerate(_without_pairs(turns)):
        read = _read_turn(turn, tags)
        if isinstance(read, Quarantine):
            return Quarantine(read.reason, f"turn {number}: {read.detail}", read.source_id)
        messages += read.messages
        parts += read.parts
    return Chat(tuple(messages), tuple(parts))


def _as_list(turns: object) -> Sequence[object] | Quarantine:
    if isinstance(turns, str) and turns.lstrip()[:1] in ("[", "{"):
        turns, problem = parse_row(turns.encode("utf-8", "replace"))
        if problem is not None:
            return Quarantine("unexpected_row", f"expected a list of turns, got a text that is no JSON: {problem}")
    if isinstance(turns, Mapping):
        lists = [value for value in turns.values() if is_sequence(value)]
        if lists and len(lists) == len(turns) and len({len(value) for value in lists}) == 1:
            return [dict(zip(turns, values, strict=True)) for values in zip(*turns.values(), strict=True)]
    if not is_sequence(turns):
        return Quarantine("missing_field", f"expected a list of turns, got {type(turns).__name__}")
    return turns


def _without_pairs(turns: Sequence[object]) -> Sequence[object]:
    """Return the turns with every question-and-answer pair as two of them."""
    found: list[object] = []
    for turn in turns:
        pair: Sequence[object] = ()
        if isinstance(turn, Mapping):
            given = {key for key, value in turn.items() if value is not None}
            keys = next(((ask, answer) for ask, answer in _PAIRS if ask in turn and answer in turn), ())
            pair = [turn[key] for key in keys if given & set(keys) and not given & {"role", "from"}]
        elif is_sequence(turn) and len(turn) == 2 and all(isinstance(text, str) for text in turn):
            if str(turn[0]).strip().lower() in _ROLES:
                turn = {"role": turn[0], "content": turn[1]}
            else:
                pair = turn
        roles = ("user", "assistant")
        found += [{"role": role, "content": text} for role, text in zip(roles, pair, strict=True)] if pair else [turn]
    return found


def _read_turn(turn: object, tags: Tags) -> Chat | Quarantine:
    if not isinstance(turn, Mapping):
        return Quarantine("unexpected_row", f"expected an object, got {type(turn).__name__}")
    name = _first(turn, (tags.role, "from", "role"))
    role = tags.role_of(name)
    if (role is None and str(name).strip().lower() in _TOOLS) or turn.get("tool_calls"):
        return Quarantine("unexpected_row", f"role {name!r:.80}: tool calls and their results are not read")
    if role is None:
        return Quarantine("unexpected_row", f"expected a role such as human or gpt, got {name!r:.80}")
    keys = (tags.content, "value", "content", "text")
    if not any(key in turn for key in keys):
        return Quarantine("missing_field", f"none of {', '.join(filter(None, keys))} among {sorted(map(str, turn))}")
    content = _first(turn, keys)
    if is_sequence(content) or isinstance(content, Mapping):
        return _read_parts(role, [content] if isinstance(content, Mapping) else content)
    text = _text_of(content)
    if text is None:
        return Quarantine("unexpected_row", f"expected text, got {type(content).__name__}")
    return Chat((Message(role=role, content=text),))


def _first(turn: Mapping[Any, Any], keys: Sequence[str]) -> Any:
    """Return the first value that is not null: Arrow gives every object the keys of all others."""
    return next((turn[key] for key in keys if key and turn.get(key) is not None), None)


def _read_parts(role: Role, content: Sequence[object]) -> Chat | Quarantine:
    texts: list[str] = []
    pictures: list[ImageRef | int | None] = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping) and _is_picture(part):
            picture = _picture_of(part)
            if isinstance(picture, Quarantine):
                return picture
            texts.append(IMAGE_TOKEN)
            pictures.append(picture)
        elif isinstance(part, Mapping) and isinstance(text := _first(part, ("text", "content", "value")), str):
            texts.append(text)
        elif isinstance(part, Mapping) and part.get("type") == "text" and text is None:
            texts.append("")
        else:
            kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
            return Quarantine("unexpected_row", f"expected parts of text and pictures, got {kind!r:.80}")
    return Chat((Message(role=role, content="".join(texts)),), tuple(pictures))


def _is_picture(part: Mapping[Any, Any]) -> bool:
    kind = part.get("type")
    if kind is None:
        return part.get("text") is None and any(part.get(key) is not None for key in ("image", "image_url"))
    return "image" in str(kind)


def _picture_of(part: Mapping[Any, Any]) -> ImageRef | int | Quarantine | None:
    found = read_images({key: part[key] for key in PICTURE_KEYS if part.get(key) is not None})
    if isinstance(found, Quarantine):
        return found
    if len(found) > 1:
        return Quarantine("unexpected_row", f"expected one picture in a part, got {len(found)}")
    index = part.get("index")
    number = index if isinstance(index, int) and not isinstance(index, bool) else None
    return found[0] if found else number


def _text_of(value: object) -> str | None:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, bool | int | float) else None


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
