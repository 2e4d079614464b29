"""What a demo row is before it has a publisher's layout.

A `Scene` is a picture together with what is known to be true of it. A `Draft` is one raw row: turns,
pictures, and the deviations that make it a trap. The modules in `layouts` write drafts as files.
"""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import imagehash
from PIL import Image

from infinity_mm.keyed import keyed_u64

Role = Literal["system", "user", "assistant"]
Turns = tuple[tuple[Role, str | None], ...]


def dice(seed: int, purpose: str, key: object = "") -> random.Random:
    """Return a generator whose draws depend on (seed, purpose, key) only."""
    return random.Random(keyed_u64(seed, f"demo.{purpose}", str(key)))


@dataclass(frozen=True)
class Picture:
    """An encoded picture; `name` is unique in the demo, the layouts give it the publisher's name."""

    name: str
    #: Suffix the file gets, e.g. ".jpg"; in the trap `suffix_mismatch` it contradicts the content.
    suffix: str
    data: bytes
    #: Pixels; 0 where the bytes are no picture.
    width: int
    height: int
    #: 64-bit perceptual hash (imagehash's `phash`), None where the bytes are no picture.
    phash: int | None


@dataclass(frozen=True)
class Ask:
    """A question about a scene whose answer is known."""

    question: str
    #: A word, a number or a phrase.
    short: str
    #: The same answer as a sentence.
    full: str


@dataclass(frozen=True)
class Scene:
    """A picture and true statements about it."""

    kind: Literal["photo", "chart", "table", "document", "drawing"]
    picture: Picture
    captions: tuple[str, ...]
    asks: tuple[Ask, ...]
    #: What the set is about, e.g. "DocVQA" for documents; used as the publisher's sub-set name.
    topic: str = ""


@dataclass(frozen=True)
class Expect:
    """What the books must say of a planted row."""

    outcome: Literal["kept", "dropped", "quarantined"]
    stage: str | None = None
    #: Any of these reasons is right; () for kept rows.
    reasons: tuple[str, ...] = ()
    #: A note that a kept row must carry.
    note: str | None = None


@dataclass(frozen=True)
class Plant:
    """Marks a draft as an instance of a trap."""

    trap: str
    expect: Expect
    #: Members of one group are duplicates of each other; "" for a row that stands alone.
    group: str = ""
    #: How many members of the group stay.
    expect_kept: int = 1


@dataclass(frozen=True)
class Draft:
    """One raw row before it has a layout."""

    turns: Turns
    pictures: tuple[Picture, ...] = ()
    topic: str = ""
    #: The publisher's key; layouts make one up where it is None.
    native_id: str | None = None
    #: Written instead of the path of the first picture (missing files, unsafe paths).
    image_path: str | None = None
    #: Number of image placeholders to write where it differs from the number of pictures.
    placeholders: int | None = None
    #: Where the placeholder stands in the first user turn.
    placeholder_at: Literal["start", "end"] = "start"
    #: JSON text written in place of the row, also where it is no JSON.
    raw: str | None = None
    #: False leaves out the other half of a joined pair.
    joined: bool = True
    plant: Plant | None = None

    def planted(self, trap: str, expect: Expect, group: str = "", expect_kept: int = 1) -> Draft:
        """Return a copy that is marked as an instance of `trap`."""
        return replace(self, plant=Plant(trap, expect, group, expect_kept))


def qa(question: str, answer: str | None) -> Turns:
    """Return one exchange."""
    return (("user", question), ("assistant", answer))


def hash_of(image: Image.Image) -> int:
    """Return the 64-bit pHash as an unsigned integer, first bit of the hash matrix highest."""
    return int(str(imagehash.phash(image)), 16)


def encode(image: Image.Image, name: str, suffix: str = ".jpg", quality: int = 85) -> Picture:
    """Encode as JPEG (`quality` 1 to 95) or PNG, by `suffix`."""
    buffer = io.BytesIO()
    if suffix == ".jpg":
        flat = image if image.mode in ("L", "RGB") else image.convert("RGB")
        flat.save(buffer, "JPEG", quality=quality)
    else:
        image.save(buffer, "PNG", compress_level=6)
    return picture_of(buffer.getvalue(), name, suffix)


def picture_of(data: bytes, name: str, suffix: str) -> Picture:
    """Wrap encoded bytes; they must decode."""
    with Image.open(io.BytesIO(data)) as image:
        return Picture(name, suffix, data, image.width, image.height, hash_of(image))


def broken(data: bytes, name: str, suffix: str) -> Picture:
    """Wrap bytes that are no whole picture."""
    return Picture(name, suffix, data, 0, 0, None)


def distance(a: int, b: int) -> int:
    """Hamming distance of two 64-bit hashes, 0 to 64."""
    return (a ^ b).bit_count()


def image_rows(drafts: Mapping[str, list[Draft]]) -> list[tuple[str, int]]:
    """Return (source, index) of every draft that has pictures."""
    return [(source, i) for source, rows in drafts.items() for i, row in enumerate(rows) if row.pictures]


Json = dict[str, Any]
