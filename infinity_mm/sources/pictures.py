"""Where a row says its picture is, in the forms that publishers use, as `ImageRef`s; pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import TypeGuard

import orjson

from infinity_mm.sources.base import ImageRef, Quarantine

#: What stands for "no picture" where a path is expected.
_NO_IMAGE = {"", "none", "nan", "null", "n/a"}
_URL = re.compile(r"https?://", re.IGNORECASE)
_DATA_URL = re.compile(r"data:[\w.+/-]*(?:;[\w=-]+)*;base64,", re.IGNORECASE)
#: How JPEG, PNG, GIF and WebP begin in base64; no path of any use begins so and is as long.
_BASE64 = ("/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR")
_SHORTEST_BASE64 = 100
#: Where an object that describes a picture holds it, in order of preference.
_KEYS = ("path", "image_path", "file_name", "filename", "image", "url", "image_url", "src", "data", "base64")


def is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    """True for lists and tuples, not for texts and bytes."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def read_images(value: object) -> tuple[ImageRef, ...] | Quarantine:
    """Return the pictures of an image field, in order.

    Accepts a path, an http(s) URL, a base64 text (with or without ``data:``), bytes, an object with one of these
    (``{bytes, path}`` as `datasets` writes it), a list of any of them, also as JSON text, and null or a word for none.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, bytes):
        return (ImageRef(data=value),)
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


def _from_text(text: str) -> tuple[ImageRef, ...] | Quarantine:
    bare = text.strip()
    if bare.lower() in _NO_IMAGE:
        return ()
    if _URL.match(bare):
        return (ImageRef(url=bare),)
    data = _DATA_URL.match(bare)
    if data or (len(bare) >= _SHORTEST_BASE64 and bare.startswith(_BASE64)):
        try:
            return (ImageRef(data=base64.b64decode(bare[data.end() if data else 0 :], validate=False)),)
        except binascii.Error as error:
            return Quarantine("undecodable_image", f"image: no base64: {error}")
    if bare.startswith("[") and bare.endswith("]"):
        try:
            return read_images(orjson.loads(bare))
        except orjson.JSONDecodeError:
            return (ImageRef(path=text),)
    return (ImageRef(path=text),)


def _from_object(value: Mapping[object, object]) -> tuple[ImageRef, ...] | Quarantine:
    data, path = value.get("bytes"), value.get("path")
    if isinstance(data, bytes):
        return (ImageRef(data=data, uri=path if isinstance(path, str) else ""),)
    named = next((value[key] for key in _KEYS if value.get(key) is not None), None)
    if named is not None or not value or "path" in value or "bytes" in value:
        return read_images(named)
    return Quarantine("unexpected_row", f"image: expected one of {', '.join(_KEYS)}, got {sorted(map(str, value))}")
