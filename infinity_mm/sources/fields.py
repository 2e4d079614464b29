"""Parsers for the field layouts that several sources share; each source module picks one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infinity_mm.record import IMAGE_TOKEN, Message
from infinity_mm.sources.answers import DESCRIBE, SHORT, answer_texts, choose, first
from infinity_mm.sources.base import ImageRef, Quarantine, Sample
from infinity_mm.sources.chats import chat_sample, key_text, other_fields
from infinity_mm.sources.conversation import one_turn, pairs_to_turns, place_images, read_images, read_turns
from infinity_mm.sources.options import QuestionOptions, VqaOptions
from infinity_mm.sources.pictures import embedded_or

_IDS = ("id", "sample_id", "idx", "question_id", "questionId", "pid")


def native_key(row: Mapping[str, Any], *keys: str) -> str:
    """Return the first native key that the row has, as text; "" without any."""
    return next((text for key in keys or _IDS if (text := key_text(row.get(key)))), "")


def finish(
    row: Mapping[str, Any],
    messages: tuple[Message, ...] | Quarantine,
    images: tuple[ImageRef, ...] | Quarantine,
    extra: Sequence[str] = (),
    source_id: str | None = None,
) -> Sample | Quarantine:
    """Return a sample of messages and pictures, with the named fields of the row kept in `extra`."""
    key = native_key(row) if source_id is None else source_id
    for part in (messages, images):
        if isinstance(part, Quarantine):
            return Quarantine(part.reason, part.detail, key)
    assert not isinstance(messages, Quarantine)
    assert not isinstance(images, Quarantine)
    placed, notes = place_images(messages, len(images))
    kept = other_fields({name: row.get(name) for name in extra}, ())
    return Sample(source_id=key, messages=placed, images=images, extra=kept, notes=notes)


def parse_llava(row: Mapping[str, Any]) -> Sample | Quarantine:
    """LLaVA's form: `conversations` of from/value turns, `image` a path, a list, absent or a word for none.

    Hub copies in the same form name the turns `messages` and the pictures `images`. Other fields are kept in `extra`.
    """
    turns = next((name for name in ("conversations", "conversation", "messages") if row.get(name) is not None), None)
    if turns is None:
        return Quarantine("missing_field", f"expected conversations, got keys {sorted(row)}", native_key(row))
    key = next((name for name in _IDS if key_text(row.get(name))), "")
    pictures = next((name for name in ("image", "images") if read_images(row.get(name)) != ()), "image")
    return chat_sample(row, turns, pictures, key)


def parse_docowl(row: Mapping[str, Any]) -> Sample | Quarantine:
    """mPLUG-DocOwl's form: `messages` of role/content turns, `image` a list, ``<|image|>`` in the text."""
    if "messages" not in row:
        return Quarantine("missing_field", f"expected messages, got keys {sorted(row)}", native_key(row))
    messages, images = read_turns(row["messages"]), read_images(row.get("image"))
    if images == () and not isinstance(messages, Quarantine):
        # Here the token is never a literal: the structure filter must see that it has no picture.
        messages = tuple(
            message.model_copy(update={"content": message.content.replace("<|image|>", IMAGE_TOKEN)})
            for message in messages
        )
    return finish(row, messages, images, tuple(other_fields(row, ("id", "image", "messages"))))


def parse_cauldron(row: Mapping[str, Any]) -> Sample | Quarantine:
    """The Cauldron's form: `images` with bytes, `texts` of user/assistant pairs about all of them."""
    if "texts" not in row or "images" not in row:
        return Quarantine("missing_field", f"expected images and texts, got keys {sorted(row)}", native_key(row))
    texts = row["texts"] if isinstance(row["texts"], Sequence) else ()
    sources = [text.get("source") for text in texts if isinstance(text, Mapping)]
    key = str(sources[0]) if sources and sources[0] else ""
    return finish(row, pairs_to_turns(row["texts"], "user", "assistant"), read_images(row["images"]), source_id=key)


def parse_webdataset(row: Mapping[str, Any]) -> Sample | Quarantine:
    """Infinity-MM's released form: a json member in LLaVA's form; the picture is the tar member beside it."""
    tree = row.get("json")
    if not isinstance(tree, Mapping):
        return Quarantine("unexpected_row", f"expected a JSON object in the json member, got {type(tree).__name__}")
    key = native_key(tree) or str(row.get("__key__", ""))
    if "conversations" not in tree:
        return Quarantine("missing_field", f"expected conversations, got keys {sorted(tree)}", key)
    members = row.get("images") or ()
    images = tuple(ImageRef(data=data, uri=name) for name, data in members)
    if not images and read_images(tree.get("image")) != ():
        return Quarantine("missing_image", "the json member names a picture; the sample has none, or an empty one", key)
    kept = other_fields(tree, ("id", "image", "conversations"))
    return finish(tree, read_turns(tree["conversations"]), images, tuple(kept), source_id=key)


def parse_text_turns(row: Mapping[str, Any]) -> Sample | Quarantine:
    """Text-only conversations under `conversations`, `messages` or `chosen`."""
    name = next((name for name in ("conversations", "messages", "chosen") if row.get(name) is not None), None)
    if name is None:
        return Quarantine("missing_field", f"expected conversations or chosen, got keys {sorted(row)}", native_key(row))
    kept = other_fields(row, ("id", name, "prompt") if name == "chosen" else ("id", name))
    return finish(row, read_turns(row[name]), (), tuple(kept))


def question_of(row: Mapping[str, Any], key: str) -> str | Quarantine:
    """Return the question, or why there is none."""
    question = row.get("question")
    if not isinstance(question, str) or not question.strip():
        return Quarantine("missing_field", f"question: expected text, got {question!r:.80}", key)
    return question


def with_annotation(row: Mapping[str, Any]) -> Mapping[str, Any] | Quarantine:
    """Return a question with the fields of its annotation, where it came in two halves; other rows as they are."""
    if "annotation" not in row:
        return row
    annotation, key = row["annotation"], native_key(row, "question_id")
    if not isinstance(annotation, Mapping):
        return Quarantine("unjoined_annotation", f"question {key} has no annotation", key)
    if "question" not in row:
        asked = native_key(annotation, "question_id")
        return Quarantine(
            "unjoined_annotation", f"annotation of question {asked!r}: the file has no such question", asked
        )
    return {**annotation, **row}


def answered(
    row: Mapping[str, Any],
    answer: str | Quarantine,
    images: tuple[ImageRef, ...] | Quarantine,
    key: str,
    options: QuestionOptions,
    sentences: tuple[str, ...] = (SHORT,),
    extra: Mapping[str, Any] | None = None,
) -> Sample | Quarantine:
    """Return a one-turn sample of a VQA row: question with format sentences, answer."""
    question = question_of(row, key)
    for part in (question, answer, images):
        if isinstance(part, Quarantine):
            return Quarantine(part.reason, part.detail, key)
    assert isinstance(question, str)
    assert isinstance(answer, str)
    assert isinstance(images, tuple)
    messages = one_turn(options.ask(question, *sentences), answer, len(images))
    return Sample(source_id=key, messages=messages, images=images, extra=extra or {})


def parse_document_vqa(row: Mapping[str, Any], options: VqaOptions) -> Sample | Quarantine:
    """DocVQA and InfographicVQA: one of several spellings; the picture is a path or embedded in hub copies."""
    key = native_key(row, "questionId")
    if row.get("image") is None:
        return Quarantine("missing_field", f"image: expected a path or bytes, got keys {sorted(row)}", key)
    extra = {"answers": answer_texts(row.get("answers"), "answer", ()), "question_types": row.get("question_types")}
    answer = choose(options.answers, row.get("answers"), key)
    return answered(row, answer, read_images(row["image"]), key, options, extra=extra)


def parse_joined_vqa(row: Mapping[str, Any], options: VqaOptions, field: str = "answer") -> Sample | Quarantine:
    """VQAv2's and OK-VQA's two halves: one of ten answers, COCO 2014 file names."""
    key = native_key(row, "question_id")
    # Hub copies hold question and answers in one row, and the picture.
    annotation = row.get("annotation") if "annotation" in row or "answers" not in row else row
    if "question_id" in row and annotation is None:
        return Quarantine("unjoined_annotation", f"question {key} has no annotation", key)
    if isinstance(annotation, Mapping) and "question_id" not in row:
        asked = native_key(annotation, "question_id")
        detail = f"annotation of question {asked!r}: the file has no such question, or another annotation of it"
        return Quarantine("unjoined_annotation", detail, asked)
    if not isinstance(annotation, Mapping):
        return Quarantine("unexpected_row", f"expected a question with its annotation, got keys {sorted(row)}", key)
    split = str(row.get("data_subtype") or "train2014")
    image_id = key_text(row.get("image_id"))
    path = f"COCO_{split}_{image_id.zfill(12)}.jpg" if image_id.isdecimal() else None
    images = embedded_or(row.get("image"), path)
    if not images:
        return Quarantine("missing_field", f"image_id: expected an integer, got {row.get('image_id')!r:.80}", key)
    texts = answer_texts(annotation.get("answers"), field, ())
    extra = {"answers": texts, "answer_type": annotation.get("answer_type")}
    answer = choose(options.answers, annotation.get("answers"), key, field)
    return answered(row, answer, images, key, options, extra=extra)


def parse_coco_caption(row: Mapping[str, Any]) -> Sample | Quarantine:
    """COCO captions: one sample per caption; also Karpathy's list, where `image` is a path."""
    key = native_key(row, "id") or native_key(row, "image_id")
    image, caption = row.get("image"), row.get("caption")
    if "image" in row and image is None:
        return Quarantine("unjoined_annotation", f"image_id {row.get('image_id')} is not among the file's images", key)
    name = image.get("file_name") if isinstance(image, Mapping) else image
    images = embedded_or(image, name if isinstance(name, str) else None)
    if not images:
        return Quarantine("missing_field", f"expected an image with a file_name, got keys {sorted(row)}", key)
    if caption is None and "annotation" not in row:  # a hub copy asks, and is answered with the captions
        caption = row.get("answer")
    if isinstance(caption, Sequence) and not isinstance(caption, str):
        caption = first(caption)
    if not isinstance(caption, str):
        return Quarantine("missing_field", f"caption: expected text, got {caption!r:.80}", key)
    extra = {"image_id": row.get("image_id")}
    return Sample(key, one_turn(DESCRIBE, caption.strip(), len(images)), images, extra=extra)
