"""Texts to tokens, as UTF-8 with one space between tokens: the same as `normalise` and `tokens`, compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.characters import (
    ALONE,
    CONTROL,
    DIGIT,
    GROWTH,
    LESS,
    NOT_ASCII,
    PERCENT,
    POINT,
    SEPARATE,
    SIGN,
    SIZE,
    characters,
)
from infinity_mm.dedup.kernels.jit import compiled, inlined
from infinity_mm.record import IMAGE_TOKEN
from infinity_mm.text import normalise, repair, tokens

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

#: What became of a text: done as ASCII, done, done but its encoding may need repair, or left to Python.
_ASCII, _WIDE, _SUSPECT, _LEFT = range(4)
_IMAGE = np.frombuffer(IMAGE_TOKEN.encode(), np.uint8)
_SPARE = 8


@dataclass(frozen=True)
class Tokens:
    """Texts as tokens: UTF-8 with one space between the tokens of a text and none between texts."""

    #: uint8; eight spare bytes follow the last text, so that a token can be loaded eight bytes at a time.
    data: Bytes
    #: Where each text begins, and where the last ends: int64, shape (texts + 1,).
    starts: Ints
    #: Number of each text's first token, and the number of tokens: int64, shape (texts + 1,).
    first: Ints
    #: Where each token ends: int64, shape (tokens,).
    ends: Ints
    #: Bytes between two tokens of a text: 1, or 0 where the tokens are single characters.
    gap: int = 1

    def __len__(self) -> int:
        return len(self.starts) - 1

    def text(self, index: int) -> str:
        """Return one text's tokens, joined by spaces."""
        return bytes(self.data[self.starts[index] : self.starts[index + 1]]).decode("utf-8", "surrogatepass")

    def pieces(self, index: int) -> list[bytes]:
        """Return one text's tokens."""
        ends = self.ends[self.first[index] : self.first[index + 1]]
        begins = np.concatenate([self.starts[index : index + 1], ends[:-1] + self.gap])
        return [bytes(self.data[begin:end]) for begin, end in zip(begins, ends, strict=False)]


def characters_as_tokens(tokens: Tokens) -> Tokens:
    """Return the same texts with each character as a token of its own, and the spaces left out."""
    size = int(tokens.starts[-1])
    data = np.zeros(size + _SPARE, np.uint8)
    ends = np.empty(size, np.int64)
    edges = np.zeros((2, len(tokens) + 1), np.int64)
    _cut_characters(tokens.data, tokens.starts, data, ends, edges)
    return Tokens(data, edges[0], edges[1], ends[: edges[1, -1]], gap=0)


@compiled
def _cut_characters(text: Bytes, starts: Ints, data: Bytes, ends: Ints, edges: NDArray[np.int64]) -> None:
    end = 0
    count = 0
    for index in range(len(starts) - 1):
        for place in range(starts[index], starts[index + 1]):
            byte = text[place]
            if byte == 32:
                continue
            data[end] = byte
            end += 1
            # The last byte of a character is followed by anything but a continuation byte.
            if place + 1 == starts[index + 1] or (text[place + 1] & 0xC0) != 0x80:
                ends[count] = end
                count += 1
        edges[0, index + 1] = end
        edges[1, index + 1] = count


def tokenise(texts: pa.Array) -> Tokens:
    """Return the tokens of the normal form of each text: string or large_string; null counts as empty.

    Equal to ``tokens(normalise(repair(text)))`` of `infinity_mm.text`. Plain ASCII never leaves the compiled
    loop; other texts do where encoding repair may have work, or where a character depends on its neighbours.
    """
    if not pa.types.is_large_string(texts.type):
        texts = texts.cast(pa.large_string())
    starts = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    table = characters()
    size = int(starts[-1] - starts[0])
    # Six bytes for each byte, at most: two bytes may become four characters of three. Pages not written cost nothing.
    out = np.empty(6 * size + _SPARE, np.uint8)
    ends = np.empty(4 * size + 1, np.int64)
    edges = np.zeros((2, len(texts) + 1), np.int64)
    state = np.zeros(len(texts), np.uint8)
    _tokenise(data, starts, table.becomes, table.kind, table.telling, table.byte_kind, out, ends, edges, state, _IMAGE)
    left = _left_to_python(texts, state)
    if left:
        return _put_in(left, out, edges[0])
    return Tokens(out[: edges[0, -1] + _SPARE], edges[0], edges[1], ends[: edges[1, -1]])


def _left_to_python(texts: pa.Array, state: Bytes) -> dict[int, bytes]:
    """Return the token texts of those that the loop left, and of those whose encoding `repair` changes."""
    found: dict[int, bytes] = {}
    for index in np.flatnonzero(state >= _SUSPECT).tolist():
        text = texts[index].as_py() or ""
        mended = repair(text)
        if mended is not text or state[index] == _LEFT:
            found[index] = " ".join(tokens(normalise(mended))).encode("utf-8", "surrogatepass")
    return found


def _put_in(replaced: dict[int, bytes], out: Bytes, starts: Ints) -> Tokens:
    pieces: list[Any] = []
    sizes = np.diff(starts)
    done = 0
    for index, piece in replaced.items():
        pieces += [out[done : starts[index]], np.frombuffer(piece, np.uint8)]
        sizes[index] = len(piece)
        done = int(starts[index + 1])
    data = np.concatenate([*pieces, out[done : starts[-1]], np.zeros(_SPARE, np.uint8)])
    begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    first = np.zeros_like(begins)
    ends = np.empty(int(begins[-1]) // 2 + len(begins), np.int64)
    _find_tokens(data, begins, first, ends)
    return Tokens(data, begins, first, ends[: first[-1]])


@compiled
def _find_tokens(data: Bytes, starts: Ints, first: Ints, ends: Ints) -> None:
    count = 0
    for index in range(len(starts) - 1):
        for place in range(starts[index], starts[index + 1]):
            if data[place] == 32:
                ends[count] = place
                count += 1
        if starts[index + 1] > starts[index]:
            ends[count] = starts[index + 1]
            count += 1
        first[index + 1] = count


@compiled
def _tokenise(
    data: Bytes,
    starts: Ints,
    becomes: NDArray[np.int32],
    kind: Bytes,
    telling: Bytes,
    byte_kind: Bytes,
    out: Bytes,
    ends: Ints,
    edges: NDArray[np.int64],
    state: Bytes,
    image: Bytes,
) -> None:
    longest = 0
    for index in range(len(starts) - 1):
        longest = max(longest, starts[index + 1] - starts[index])
    wide = np.empty(longest * GROWTH, np.int32)
    end = 0
    count = 0
    for index in range(len(starts) - 1):
        text = data[starts[index] : starts[index + 1]]
        state[index] = _ASCII
        written, found = _rules(text, len(text), byte_kind, out, end, ends, count, image)
        if written == -NOT_ASCII:
            state[index], size = _decode(text, becomes, telling, wide)
            written, found = _rules(wide, size, kind, out, end, ends, count, image)
        elif written == -CONTROL:
            state[index] = _LEFT
            written, found = end, count
        end, count = written, found
        edges[0, index + 1] = end
        edges[1, index + 1] = count


@compiled
def _decode(text: Bytes, becomes: NDArray[np.int32], telling: Bytes, wide: NDArray[np.int32]) -> tuple[int, int]:
    """Write the characters that UTF-8 text becomes; returns what became of it and how many they are."""
    count = 0
    place = 0
    state = _WIDE
    told: Any = 0
    while place < len(text):
        byte = np.int32(text[place])
        if byte < 0x80:
            if becomes[byte, 0] < 0:
                return _LEFT, 0
            wide[count] = becomes[byte, 0]
            count += 1
            place += 1
            told = 0
            continue
        length = 2 + int(byte >= 0xE0) + int(byte >= 0xF0)
        if place + length > len(text):
            return _LEFT, 0
        point: Any = byte & (0x7F >> length)
        for more in range(1, length):
            point = (point << 6) | (np.int32(text[place + more]) & 0x3F)
        place += length
        if point >= SIZE or becomes[point, 0] == -2:
            return _LEFT, 0
        if telling[point] == 2 or (told and telling[point]):
            state = _SUSPECT
        told = telling[point]
        for slot in range(GROWTH):
            if becomes[point, slot] < 0:
                break
            wide[count] = becomes[point, slot]
            count += 1
    return state, count


@compiled
def _rules(
    text: NDArray[Any], size: int, kind: Bytes, out: Bytes, begin: int, ends: Ints, first: int, image: Bytes
) -> tuple[int, int]:
    """Apply the rules of `normalise` to `size` case-folded or ASCII characters.

    Returns where the tokens end and how many there are so far; -NOT_ASCII or -CONTROL where it meets such a byte.
    """
    end = begin
    count = first
    open_ = False  # a token is being written
    place = -1
    while place + 1 < size:
        place += 1
        point = np.int32(text[place])
        what = kind[point]
        if what > DIGIT:
            if what >= NOT_ASCII:
                return -int(np.int64(what)), 0
            separates = _separates(text, size, place, what, kind, image)
            if what == LESS and separates:
                place += len(image) - 1
            if open_ and (separates or what == ALONE):
                ends[count] = end
                count += 1
                open_ = False
            if separates:
                continue
        if not open_ and end > begin:
            out[end] = 32
            end += 1
        open_ = True
        if point < 0x80:
            out[end] = point + 32 * (65 <= point <= 90)
            end += 1
        else:
            end = _encode(point, out, end)
        if what == ALONE:
            ends[count] = end
            count += 1
            open_ = False
    if open_:
        ends[count] = end
        count += 1
    return end, count


@inlined
def _separates(text: NDArray[Any], count: int, place: int, what: int, kind: Bytes, image: Bytes) -> bool:
    if what == LESS:
        return _is_image(text, count, place, image)
    if what == PERCENT:
        return place == 0 or bool(kind[text[place - 1]] != DIGIT)
    if what == POINT:
        return not _digit_at(text, count, place + 1, kind)
    if what == SIGN:
        return not _number_follows(text, count, place + 1, kind, image)
    return what == SEPARATE


@inlined
def _digit_at(text: NDArray[Any], count: int, place: int, kind: Bytes) -> bool:
    return place < count and kind[text[place]] == DIGIT


@inlined
def _is_image(text: NDArray[Any], count: int, place: int, image: Bytes) -> bool:
    if place + len(image) > count:
        return False
    for offset in range(len(image)):
        point = np.int32(text[place + offset])
        if 65 <= point <= 90:
            point += 32
        if point != image[offset]:
            return False
    return True


@compiled
def _number_follows(text: NDArray[Any], count: int, place: int, kind: Bytes, image: Bytes) -> bool:
    """True for a digit, or one white space and a digit; a placeholder counts as a space, a line end as one."""
    if place >= count:
        return False
    if kind[text[place]] == DIGIT:
        return True
    if text[place] == 13 and place + 1 < count and text[place + 1] == 10:
        return _digit_at(text, count, place + 2, kind)
    if text[place] == 60 and _is_image(text, count, place, image):
        return _digit_at(text, count, place + len(image), kind)
    return _is_space(int(text[place])) and _digit_at(text, count, place + 1, kind)


@inlined
def _is_space(point: int) -> bool:
    return (
        point == 32
        or 9 <= point <= 13
        or 28 <= point <= 31
        or point == 0x85
        or point == 0xA0
        or point == 0x1680
        or 0x2000 <= point <= 0x200A
        or point == 0x2028
        or point == 0x2029
        or point == 0x202F
        or point == 0x205F
        or point == 0x3000
    )


@inlined
def _encode(point: np.int32, out: Bytes, end: int) -> int:
    if point < 0x80:
        out[end] = point
        return end + 1
    if point < 0x800:
        out[end] = 0xC0 | (point >> 6)
        out[end + 1] = 0x80 | (point & 0x3F)
        return end + 2
    if point < 0x10000:
        out[end] = 0xE0 | (point >> 12)
        out[end + 1] = 0x80 | ((point >> 6) & 0x3F)
        out[end + 2] = 0x80 | (point & 0x3F)
        return end + 3
    out[end] = 0xF0 | (point >> 18)
    out[end + 1] = 0x80 | ((point >> 12) & 0x3F)
    out[end + 2] = 0x80 | ((point >> 6) & 0x3F)
    out[end + 3] = 0x80 | (point & 0x3F)
    return end + 4
