"""One parser for every family of own data: the map says where the parts of a sample are, this puts them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infinity_mm.record import IMAGE_TOKEN, Message
from infinity_mm.sources.answers import DESCRIBE, LETTER, LETTERS, answer_texts, ask, letter, options, vote
from infinity_mm.sources.base import ImageRef, Quarantine, Sample
from infinity_mm.sources.chats import join_chat, key_text, other_fields
from infinity_mm.sources.conversation import Chat, Tags, read_chat
from infinity_mm.sources.own.families import Kind
from infinity_mm.sources.pictures import is_sequence, read_images

#: Endings of the members of a tar that are pictures; what they are is decided by their content.
_PICTURES = {"jpg", "jpeg", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "img", "image"}


@dataclass(frozen=True)
class OwnParse:
    """The `parse` of a source of own data; equal, and printed alike, where it would give the same samples."""

    #: Kind -> the columns it is looked for in; ``a.b`` is the key b of the object in column a.
    columns: tuple[tuple[Kind, tuple[str, ...]], ...]
    tags: Tags
    image_needed: bool
    layout: Literal["rows", "coco", "pictures"]

    def __call__(self, row: Mapping[str, Any]) -> Sample | Quarantine:
        """Return the sample of one raw row, or why there is none."""
        members: tuple[ImageRef, ...] = ()
        flat = row
        if "__key__" in row and "json" in row:
            flat, members = _from_tar(row)
        elif self.layout == "coco" and isinstance(row.get("image"), Mapping):
            flat = _from_coco(row)
        found = _Found(flat, dict(self.columns))
        key = key_text(found.value("id"))
        if self.layout == "coco" and "image" in row and row["image"] is None:
            return Quarantine(
                "unjoined_annotation", f"image_id {row.get('image_id')} is not among the file's images", key
            )
        column = members or found.pictures()
        if self.image_needed and column == ():
            return Quarantine("missing_field", f"expected a picture in {found.shown('images', 'url')}", key)
        if self.layout == "pictures":
            return column if isinstance(column, Quarantine) else _picture(found, column, key)
        chat = self._chat(found, 0 if isinstance(column, Quarantine) else len(column))
        sample = join_chat(chat, column, key, other_fields(flat, found.used))
        if isinstance(sample, Quarantine):
            return sample
        return Sample(
            source_id=key,
            messages=sample.messages,
            images=sample.images,
            license=found.text("license"),
            language=found.text("language"),
            extra=sample.extra,
            notes=sample.notes,
        )

    def _chat(self, found: _Found, images: int) -> Chat | Quarantine:
        chat = self._turns(found)
        if chat is None:
            messages = _question(found) or _caption(found)
            if isinstance(messages, Quarantine | None):
                return messages or Quarantine("missing_field", found.nothing())
            if not any(IMAGE_TOKEN in message.content for message in messages):
                first = messages[0].model_copy(update={"content": f"{IMAGE_TOKEN}\n" * images + messages[0].content})
                messages = (first, *messages[1:])
            chat = Chat(messages)
        system = found.text("system") if isinstance(chat, Chat) else None
        if system is None or isinstance(chat, Quarantine) or any(m.role == "system" for m in chat.messages[:1]):
            return chat
        return Chat((Message(role="system", content=system), *chat.messages), chat.parts)

    def _turns(self, found: _Found) -> Chat | Quarantine | None:
        """Return the turns of a row that has them as such, or as a prompt and what completes it."""
        turns = found.value("turns")
        if turns is not None:
            return read_chat(turns, self.tags)
        completion = found.value("completion")
        if completion is None:
            return None
        prompt = found.value("prompt")
        first = () if prompt is None else _as_turns(prompt, "user")
        return read_chat([*first, *_as_turns(completion, "assistant")], self.tags)


@dataclass(frozen=True)
class _Found:
    """A row, and where its parts are; remembers nothing."""

    row: Mapping[str, Any]
    columns: Mapping[Kind, tuple[str, ...]]

    def name(self, kind: Kind) -> str | None:
        """Return the first column of a kind that has a value."""
        return next((name for name in self.columns.get(kind, ()) if lookup(self.row, name) is not None), None)

    def value(self, kind: Kind) -> Any:
        name = self.name(kind)
        return None if name is None else lookup(self.row, name)

    def text(self, kind: Kind) -> str | None:
        value = self.value(kind)
        return value if isinstance(value, str) and value.strip() else None

    def pictures(self) -> tuple[ImageRef, ...] | Quarantine:
        """Return the pictures of the row: embedded or by path, else by URL."""
        for name in self.columns.get("images", ()):
            images = read_images(lookup(self.row, name))
            if images != ():
                return images
        value = self.value("url")
        urls = value if is_sequence(value) else [value]
        return tuple(ImageRef(url=url.strip()) for url in urls if isinstance(url, str) and url.strip())

    @property
    def used(self) -> set[str]:
        """Names of the columns that a sample holds whole; lists of which one was taken are not among them."""
        names = {self.name(kind) for kind in self.columns}
        partly = {self.name(kind) for kind in ("answer", "caption", "choices") if not isinstance(self.value(kind), str)}
        return {name for name in names - partly if name is not None} | {"__key__"}

    def shown(self, *kinds: Kind) -> str:
        """Return the columns of some kinds and what the row has instead, for messages."""
        asked = ", ".join(name for kind in kinds for name in self.columns.get(kind, ()))
        return f"{asked}; the row has {', '.join(sorted(map(str, self.row)))[:300] or 'nothing'}"

    def nothing(self) -> str:
        """Return what to say of a row without any text to train on."""
        return f"expected one of {self.shown('turns', 'completion', 'question', 'caption')}"


def _picture(found: _Found, images: tuple[ImageRef, ...], key: str) -> Sample:
    """Return a row of which nothing but its pictures is used."""
    extra = other_fields(found.row, found.used)
    return Sample(source_id=key, messages=(), images=images, license=found.text("license"), extra=extra)


def lookup(row: Mapping[str, Any], name: str) -> Any:
    """Return the value of a column, or of a key inside an object: ``a.b``; None where there is none."""
    if name in row or "." not in name:
        return row.get(name)
    head, _, rest = name.partition(".")
    inner = row.get(head)
    return lookup(inner, rest) if isinstance(inner, Mapping) else None


def _as_turns(value: object, role: str) -> Sequence[object]:
    if is_sequence(value):
        return value
    return [value if isinstance(value, Mapping) else {"role": role, "content": value}]


def _question(found: _Found) -> tuple[Message, ...] | Quarantine | None:
    question = found.value("question")
    if question is None:
        return None
    if not isinstance(question, str) or not question.strip():
        return Quarantine("missing_field", f"question: expected text, got {question!r:.80}")
    context = found.text("context")
    sentences = [question] if context is None else [question, context]
    answer = found.value("answer")
    choices = found.value("choices")
    if is_sequence(choices) and choices and all(isinstance(choice, str) for choice in choices):
        given = [str(choice) for choice in choices]
        text = _chosen(given, answer)
        sentences += [options(given), LETTER]
    else:
        text = _answer(answer)
    if isinstance(text, Quarantine):
        return text
    return (Message(role="user", content=ask(*sentences)), Message(role="assistant", content=text))


def _answer(answer: object) -> str | Quarantine:
    if isinstance(answer, str) and answer.strip():
        return answer
    if isinstance(answer, bool):
        return "Yes" if answer else "No"
    if isinstance(answer, int | float) and answer == answer:
        return key_text(answer)
    return vote(answer)


def _chosen(choices: list[str], answer: object) -> str | Quarantine:
    """Return the letter of the right choice, which is given as a letter, as a position from 0, or as its text."""
    given = key_text(answer[0] if is_sequence(answer) and len(answer) == 1 else answer).strip()
    if given in choices:
        return letter(choices, choices.index(given))
    bare = given.strip("(). ").upper()
    if len(bare) == 1 and bare in LETTERS[: len(choices)]:
        return bare
    return letter(choices, int(given) if given.isdecimal() else answer)


def _caption(found: _Found) -> tuple[Message, ...] | Quarantine | None:
    caption = found.value("caption")
    if caption is None:
        return None
    texts = answer_texts(caption, "caption", ())
    if not texts:
        return Quarantine("missing_field", f"caption: expected text, got {caption!r:.80}")
    return (Message(role="user", content=DESCRIBE), Message(role="assistant", content=texts[0]))


def _from_tar(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[ImageRef, ...]]:
    """Return the json member with the sample's other texts beside its keys, and the picture members."""
    tree = row["json"] if isinstance(row["json"], Mapping) else {"json": row["json"]}
    members = row.get("images")
    pairs = [pair for pair in members if is_sequence(pair) and len(pair) == 2] if is_sequence(members) else []
    images = tuple(
        ImageRef(data=data, uri=str(name)) for name, data in pairs
        if isinstance(data, bytes) and str(name).lower().rpartition(".")[2] in _PICTURES
    )  # fmt: skip
    texts = row.get("texts") if isinstance(row.get("texts"), Mapping) else {}
    return {**texts, "__key__": row["__key__"], **tree}, images  # type: ignore[dict-item]


def _from_coco(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an annotation with the fields of its image beside its own."""
    image = row["image"]
    own = {name: value for name, value in row.items() if name != "image"}
    return {**{name: value for name, value in image.items() if name != "id"}, **own}
