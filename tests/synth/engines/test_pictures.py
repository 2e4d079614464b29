"""Pictures that are asked about again are not decoded again."""

from __future__ import annotations

import hashlib
import io

import pytest
from PIL import Image

from infinity_mm.synth.chat import Request
from infinity_mm.synth.engines.common import PictureError
from infinity_mm.synth.engines.pictures import RecentPictures


def png(color: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (40, 20), color).save(stream, "PNG")
    return stream.getvalue()


def asked(*images: bytes) -> Request:
    return Request(key="k", prompt="p", images=images)


def test_a_picture_is_decoded_once_and_named_by_its_content() -> None:
    recent = RecentPictures(max_side=10)
    red, blue = png("red"), png("blue")
    ((name, first),) = recent.open(asked(red))
    assert name == hashlib.sha256(red).hexdigest()
    assert first.size == (10, 5)
    again = recent.open(asked(blue, red))
    assert [one for one, _ in again] == [hashlib.sha256(data).hexdigest() for data in (blue, red)]
    assert recent.open(asked(blue, red))[0][1] is again[0][1]
    assert recent.open(asked()) == []


def test_what_was_not_asked_for_long_is_forgotten() -> None:
    recent = RecentPictures(max_side=10, most=2 * 3 * 10 * 5)
    red, blue, green = png("red"), png("blue"), png("green")
    first = recent.open(asked(red))[0][1]
    kept = recent.open(asked(blue))[0][1]
    recent.open(asked(green))
    assert recent.open(asked(blue))[0][1] is kept
    assert recent.open(asked(red))[0][1] is not first


def test_a_broken_picture_fails_each_time() -> None:
    recent = RecentPictures(max_side=10)
    for _ in range(2):
        with pytest.raises(PictureError, match="picture 2 of 2"):
            recent.open(asked(png("red"), b"no picture"))
