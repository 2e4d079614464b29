"""Documents in which texts and pictures take turns: OBELICS' parallel lists, MMC4's sentences with matched pictures.

A document becomes one message of the assistant: it is text to learn, not an answer to somebody, and a single message
keeps the order of texts and pictures as it is. A picture stands as ``<image>`` on a line of its own. The structure
filter lets the turns of category ``interleaved`` be free and judges the placeholders alone. Every picture is optional:
a document that loses one keeps the rest.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Literal

import orjson
from pydantic import Field

from infinity_mm.record import IMAGE_TOKEN, Message
from infinity_mm.sources.base import ImageRef, Quarantine, Sample
from infinity_mm.sources.conversation import escape_placeholders, read_images
from infinity_mm.sources.options import Options

#: Between a text and a picture, and between pictures. One newline: where a picture is lost, ingestion closes
#: the gap to the one newline that then parts the texts.
SEPARATOR = "\n"
#: A paragraph that the makers of OBELICS left in their texts where two parts of a page met.
END_OF_DOCUMENT = "END_OF_DOCUMENT_TOKEN_TO_BE_REPLACED"


def document(
    source_id: str, segments: Iterable[str | ImageRef], extra: Mapping[str, Any], notes: Iterable[str] = ()
) -> Sample | Quarantine:
    """Return the sample of a document; `segments` are its texts and pictures in order.

    ``<image>`` inside a text is spelled ``&lt;image&gt;``, so that it is not taken for a picture's place. Texts without
    a visible character are left out. A document of nothing is an `unexpected_row`.
    """
    parts: list[str] = []
    images: list[ImageRef] = []
    found = dict.fromkeys(notes)
    for segment in segments:
        if isinstance(segment, ImageRef):
            parts.append(IMAGE_TOKEN)
            images.append(segment)
        elif segment.strip():
            text, more = escape_placeholders(segment.strip("\n"))
            parts.append(text)
            found |= dict.fromkeys(more)
    if not parts:
        return Quarantine("unexpected_row", "the document has neither a text nor a picture", source_id)
    message = Message(role="assistant", content=SEPARATOR.join(parts))
    return Sample(source_id, (message,), tuple(images), extra=extra, notes=tuple(found))


def parse_parallel_lists(row: Mapping[str, Any]) -> Sample | Quarantine:
    """OBELICS' form: `images` (URLs) and `texts` of equal length, one of the two null at each place.

    `metadata` (JSON: one object or null per place) and `general_metadata` (JSON: the page) are looked at for the
    page's address and the alternative texts; a row is good without them.
    """
    page, fault = _json(row.get("general_metadata"), dict)
    places, more = _json(row.get("metadata"), list)
    addresses = [place.get("document_url") for place in places if isinstance(place, Mapping)]
    key = next((value for value in (page.get("url"), *addresses) if isinstance(value, str) and value), "")
    images, texts = row.get("images"), row.get("texts")
    for name, value in (("images", images), ("texts", texts)):
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            return Quarantine("missing_field", f"{name}: expected a list, got {type(value).__name__}", key)
    assert isinstance(images, Sequence)
    assert isinstance(texts, Sequence)
    if len(images) != len(texts):
        return Quarantine("unexpected_row", f"{len(images)} images but {len(texts)} texts", key)
    segments: list[str | ImageRef] = []
    notes = [*fault, *more]
    for place, (image, text) in enumerate(zip(images, texts, strict=True)):
        segment = _segment(image, text)
        if segment is None:
            came = f"image={image!r:.60} text={text!r:.60}"
            return Quarantine("unexpected_row", f"place {place}: expected a URL or a text, got {came}", key)
        if isinstance(segment, str) and END_OF_DOCUMENT in segment:
            parts = (part.replace(END_OF_DOCUMENT, "").strip(" ") for part in segment.split("\n\n"))
            segment = "\n\n".join(filter(str.strip, parts))
            notes.append("end_of_document_removed")
        segments.append(segment)
    alternatives = {
        place["src"]: place["alt_text"]
        for place in places
        if isinstance(place, Mapping) and isinstance(place.get("src"), str) and place.get("alt_text")
    }
    return document(key, segments, {**page, **({"alt_text": alternatives} if alternatives else {})}, notes)


def _segment(image: object, text: object) -> str | ImageRef | None:
    """Return what stands at one place of two parallel lists; "" for nothing, None for what is not of the form."""
    found = () if image == "" else read_images(image)
    if isinstance(found, Quarantine) or len(found) > 1 or not isinstance(text, str | None):
        return None
    if not found:
        return text or ""
    picture = found[0]
    if text:
        return None
    if picture.data is not None:
        return replace(picture, optional=True)
    return ImageRef(url=(picture.url or picture.path or "").strip(), optional=True)


def _json(value: object, kind: type[Any]) -> tuple[Any, tuple[str, ...]]:
    """Return a value that is JSON as text, or already parsed, and a note where it is neither."""
    tree = value
    if isinstance(value, str | bytes):
        try:
            tree = orjson.loads(value)
        except orjson.JSONDecodeError:
            return kind(), ("metadata_unreadable",)
    if isinstance(tree, kind):
        return tree, ()
    return kind(), () if value is None else ("metadata_unreadable",)


class MatchOptions(Options):
    """Where matched pictures stand, and which are taken."""

    placement: Literal["before", "after"] = Field(
        default="before", description="where a picture stands: before its sentence, as MMC4 documents it, or after"
    )
    min_similarity: float = Field(
        default=-1.0,
        ge=-1.0,
        le=1.0,
        description="CLIP ViT-L/14 cosine of picture and sentence, -1 to 1, below which a picture is left out; "
        "pictures without a figure stay",
    )


def parse_matched_sentences(row: Mapping[str, Any], options: MatchOptions) -> Sample | Quarantine:
    """MMC4's form: `text_list` of sentences, `image_info` of pictures with the index of the sentence that each matches.

    Several pictures that match one sentence keep the order of `image_info`. Sentences that follow each other are
    joined by a blank. A picture that `options` leaves out is no loss, but is noted.
    """
    key = row["url"] if isinstance(row.get("url"), str) else ""
    sentences, infos = row.get("text_list"), row.get("image_info")
    for name, value in (("text_list", sentences), ("image_info", infos)):
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            return Quarantine("missing_field", f"{name}: expected a list, got {type(value).__name__}", key)
    assert isinstance(sentences, Sequence)
    assert isinstance(infos, Sequence)
    if not all(isinstance(sentence, str) for sentence in sentences):
        return Quarantine("unexpected_row", "text_list: expected texts", key)
    matched: dict[int, list[ImageRef]] = {}
    similarity: dict[str, float] = {}
    notes: list[str] = []
    for number, info in enumerate(infos):
        picture = _matched(info, len(sentences))
        if isinstance(picture, str):
            return Quarantine("unexpected_row", f"image_info {number}: {picture}", key)
        index, reference = picture
        cosine = info.get("matched_sim")
        if isinstance(cosine, float):
            if cosine < options.min_similarity:
                notes.append("weak_match_left_out")
                continue
            similarity[reference.url or reference.uri] = cosine
        matched.setdefault(index, []).append(reference)
    segments: list[str | ImageRef] = []
    for index, sentence in enumerate(sentences):
        pictures = matched.get(index, [])
        segments += [*pictures, sentence] if options.placement == "before" else [sentence, *pictures]
    extra = {"could_have_url_duplicate": row.get("could_have_url_duplicate"), "matched_sim": similarity}
    kept = {name: value for name, value in extra.items() if value not in (None, {})}
    return document(key, _joined(segments), kept, notes)


def _matched(info: object, sentences: int) -> tuple[int, ImageRef] | str:
    """Return the sentence of a picture and the picture, or what is wrong."""
    if not isinstance(info, Mapping):
        return f"expected an object, got {type(info).__name__}"
    index, url, encoded = info.get("matched_text_index"), info.get("raw_url"), info.get("image_base64")
    if isinstance(index, float) and index.is_integer():  # by way of pandas
        index = int(index)
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < sentences:
        return f"matched_text_index: expected one of {sentences} sentences, got {index!r:.40}"
    if isinstance(encoded, str) and encoded:
        try:
            # Some tools wrote Python's text of bytes: b'...'
            data = base64.b64decode(encoded.removeprefix("b'").removesuffix("'"), validate=True)
        except binascii.Error as error:
            return f"image_base64: {error}"
        return index, ImageRef(data=data, uri=str(url or info.get("image_name") or ""), optional=True)
    if not isinstance(url, str) or not url.strip():
        return f"raw_url: expected a URL, got {url!r:.40}"
    return index, ImageRef(url=url.strip(), optional=True)


def _joined(segments: list[str | ImageRef]) -> list[str | ImageRef]:
    """Join the sentences between two pictures."""
    joined: list[str | ImageRef] = []
    for is_text, run in groupby(segments, key=lambda segment: isinstance(segment, str)):
        members = list(run)
        joined += [" ".join(str(text) for text in members)] if is_text else members
    return joined
