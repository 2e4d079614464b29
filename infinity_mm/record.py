"""The unified record: one row of any source, after reading and before judging.

The pydantic models here are the single definition of the data model; `infinity_mm.schema` derives
the Arrow and JSON Schemas from the same fields. Validation through pydantic costs about 12 us a row,
so it runs on the way in and before shards; between the two, stages see Arrow tables.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import Field, model_validator

from infinity_mm.frozen import Frozen

#: Marks a picture's place inside a message's content.
IMAGE_TOKEN = "<image>"

Role = Literal["system", "user", "assistant"]
Category = Literal[
    "caption",
    "general",
    "general_ocr",
    "doc_chart_screen",
    "math_reasoning",
    "text_instruct",
    "interleaved",
    "preference",
    "synthetic",
    "image_only",
]

#: Category of a picture that nothing was written about: material for synthesis, without messages, and never exported.
IMAGE_ONLY: Category = "image_only"


class Image(Frozen):
    """What is known of a picture without touching its pixels."""

    #: SHA-256 of the original file's bytes, 64 hex digits.
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    #: Pixels, as stored (EXIF orientation not applied).
    width: int = Field(gt=0)
    #: Pixels, as stored (EXIF orientation not applied).
    height: int = Field(gt=0)
    #: Format found in the content, lower case: "jpeg", "png", "webp", "gif", ... Never taken from a suffix.
    format: str = Field(pattern=r"^[a-z0-9]+$")
    #: Where the source said the picture is. For a picture whose bytes are stored with another record:
    #: ``record:<id>#<k>``, the k-th image of that record.
    uri: str


class Message(Frozen):
    """One turn of a conversation."""

    role: Role
    content: str


class Record(Frozen):
    """One row of `records`; the columns are documented in README, "Data model"."""

    #: 32 hex digits, see `record_id`.
    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    #: Catalogue name of the source.
    source: str
    #: The native key as written by the publisher ("" where there is none).
    source_id: str
    #: File and place of the raw record: ``file#line=3``, ``#item=2``, ``#key=a``, ``#row=7``, ``#member=k.json``.
    source_ref: str
    category: Category
    license: str
    #: BCP 47 tag, or "und" where neither the source nor a detector has said.
    language: str
    images: tuple[Image, ...]
    #: Original file bytes, same length and order as `images`; None where the uri is ``record:...``.
    image_bytes: tuple[bytes | None, ...]
    messages: tuple[Message, ...]
    #: The record a synthetic row came from.
    parent: str | None = None
    #: JSON object of source-specific fields without a column.
    extra: str = "{}"

    @model_validator(mode="after")
    def _bytes_match_images(self) -> Record:
        if len(self.image_bytes) != len(self.images):
            raise ValueError(f"{len(self.images)} images but {len(self.image_bytes)} image_bytes")
        for image, data in zip(self.images, self.image_bytes, strict=True):
            if data is None and not image.uri.startswith("record:"):
                raise ValueError(f"no bytes for {image.uri!r}, and it does not point to another record")
        return self

    @model_validator(mode="after")
    def _picture_alone_is_alone(self) -> Record:
        if self.category == IMAGE_ONLY and (self.messages or not self.images):
            raise ValueError(
                f"{IMAGE_ONLY}: {len(self.messages)} messages and {len(self.images)} images, not 0 and some"
            )
        return self


def record_id(source: str, file: str, key: str, repeat: int = 0) -> str:
    """Return the stable id of a raw row: 32 hex digits of SHA-256.

    `key` is what identifies the row inside its file: its native key joined with a digest of the raw
    row (sources repeat their ids on different rows). Only byte-identical rows of one file share a
    `key`; `repeat` counts those, so that each input row has an id of its own. The id is not a
    function of position: removing, adding or reordering other rows leaves it unchanged.
    """
    text = "\x1f".join((source, file, key, str(repeat)) if repeat else (source, file, key))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
