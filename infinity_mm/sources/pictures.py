"""Where a row says its picture is, in the forms that publishers use, as `ImageRef`s; pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import TypeGuard

from infinity_mm.sources.base import ImageRef, Quarantine
from infinity_mm.sources.families.cut import parse_row

#: What stands for "no picture" where a path is expected.
_NO_IMAGE = {"", "none", "nan", "null", "n/a"}
_URL = re.compile(r"https?://", re.IGNORECASE)
_DATA_URL = re.compile(r"data:[\w.+/-]*(?:;[\w=-]+)*;base64,", re.IGNORECASE)
#: How JPEG, PNG, GIF and WebP begin in base64; what is longer, begins so and has no dot is no path.
_BASE64 = re.compile(r"(?:/9j/|iVBORw0KGgo|R0lGOD|UklGR)[A-Za-z0-9+/=\s]{52,}")
#: A picture of COCO by its number: of 2014 by its name, of 2017 by its folder.
_COCO = re.compile(r"(?:^|/)(?:COCO_(train|val)2014_|(train|val)2017/)([0-9]{12})\.jpg$")
#: Where an object that describes a picture names it, in order of preference, and where it holds its content as text.
_NAMES = ("path", "image_path", "file_name", "filename", "image", "url", "image_url", "src", "source")
_CONTENTS = ("bytes", "base64", "data")
PICTURE_KEYS = (*_CONTENTS, *_NAMES)
#: How files of pictures are named. Some are of formats that are not opened: such a picture is told of, not overlooked.
PICTURE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif", ".jp2", ".j2k",
    ".ppm", ".pgm", ".pbm", ".heic", ".heif", ".jxl",
)  # fmt: skip


def is_picture_name(path: str) -> bool:
    """True for a file that is named like a picture."""
    return path.lower().endswith(PICTURE_SUFFIXES)


def is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    """True for lists and tuples, not for texts and bytes."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def read_images(value: object) -> tuple[ImageRef, ...] | Quarantine:
    """Return the pictures of an image field, in order.

    Accepts a path, an http(s) URL, a base64 text (with or without ``data:``), bytes, an object with one of these
    (``{bytes, path}`` as `datasets` writes it), a list of any of them, also as JSON text, null or a word for none, and
    what a reader found itself.
    """
    if value is None or (isinstance(value, float) and value != value):
        return ()
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, bytes):
        return (ImageRef(data=value),)
    if isinstance(value, ImageRef):
        return (value,)
    if isinstance(value, Mapping):
        return _from_object(value)
    if is_sequence(value):
        found: list[ImageRef] = []
        for item in value:
            more = read_images(item)
            if isinstance(more, Quarantine):
                return more
            found += more
        return tuple(found)
    return Quarantine("unexpected_row", f"image: expected a path, a list or bytes, got {type(value).__name__}")


def embedded_or(value: object, path: str | None) -> tuple[ImageRef, ...]:
    """Return the pictures that a hub copy's row holds itself, else the one of the publisher's name, if there is one."""
    found = () if value is None or isinstance(value, str) else read_images(value)
    if isinstance(found, tuple) and any(reference.data is not None for reference in found):
        return found
    return () if path is None else (named_picture(path),)


def named_picture(path: str) -> ImageRef:
    """Return the picture of a path; one of COCO also under the names that it has in COCO's other downloads.

    COCO's numbers are those of the same pictures in 2014 and 2017, and belong to either half there; the folders are
    unpacked with and without ``train2014/``. Only names that say COCO and the year are taken for such.
    """
    found = _COCO.search(path)
    if found is None:
        return ImageRef(path=path)
    half, _, number = found.groups()
    in_2014 = [
        f"{folder}COCO_{part}2014_{number}.jpg"
        for part in ([half] if half else ["train", "val"])
        for folder in (f"{part}2014/", "")
    ]
    in_2017 = [f"train2017/{number}.jpg", f"val2017/{number}.jpg", f"{number}.jpg"]
    names = dict.fromkeys([*in_2014, *in_2017] if half else [*in_2017, *in_2014])
    return ImageRef(path=path, alternatives=tuple(name for name in names if name != path))


def _from_text(text: str) -> tuple[ImageRef, ...] | Quarantine:
    bare = text.strip()
    if bare.lower() in _NO_IMAGE:
        return ()
    if _URL.match(bare):
        return (ImageRef(url=bare),)
    if (data := _DATA_URL.match(bare)) is not None:
        return _from_base64(bare[data.end() :])
    if _BASE64.fullmatch(bare):
        return _from_base64(bare)
    if bare[:1] + bare[-1:] in ("[]", "{}"):
        # Deep nesting is refused there, so that a row cannot exhaust the stack here.
        tree, problem = parse_row(bare.encode("utf-8", "replace"))
        if problem is None:
            return read_images(tree)
    return (named_picture(bare.removeprefix("file://")),)


def _from_base64(text: str, uri: str = "") -> tuple[ImageRef, ...] | Quarantine:
    try:
        return (ImageRef(data=base64.b64decode(text.partition(";base64,")[2] or text), uri=uri),)
    except (binascii.Error, ValueError) as error:
        return Quarantine("undecodable_image", f"image: no base64: {error}")


def _from_object(value: Mapping[object, object]) -> tuple[ImageRef, ...] | Quarantine:
    path = value.get("path")
    uri = path if isinstance(path, str) else ""
    for key in _CONTENTS:
        content = value.get(key)
        if isinstance(content, bytes):
            return (ImageRef(data=content, uri=uri),)
        if isinstance(content, str) and content:
            return _from_base64(content, uri)
    named = next((value[key] for key in _NAMES if value.get(key) is not None), None)
    if named is not None or not value or any(key in value for key in (*_NAMES, *_CONTENTS)):
        return read_images(named)
    return Quarantine("unexpected_row", f"image: expected one of {', '.join(_NAMES)}, got {sorted(map(str, value))}")
