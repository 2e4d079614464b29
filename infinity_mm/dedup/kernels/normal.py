"""Texts to tokens, as UTF-8 with one space between tokens: the same as `normalise` and `tokens`, compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.characters import CONTROL, GROWTH, NOT_ASCII, SIZE, Characters, characters
from infinity_mm.dedup.kernels.jit import compiled
from infinity_mm.dedup.kernels.rules import byte_rules, rules
from infinity_mm.record import IMAGE_TOKEN
from infinity_mm.text import normalise, repair, tokens

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

#: What became of a text: done as ASCII, done, done but its encoding may need repair, or left to Python.
_ASCII, _WIDE, _SUSPECT, _LEFT = range(4)
_IMAGE = np.frombuffer(IMAGE_TOKEN.encode(), np.uint8)
SPARE = 8


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
    data = np.zeros(size + SPARE, np.uint8)
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
    offsets = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    buffer = np.frombuffer(texts.buffers()[1] or bytes(8), offsets)
    starts: Ints = buffer[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    size, longest = int(starts[-1] - starts[0]), int(np.diff(starts).max(initial=0))
    # Enough for most texts. All that grow as much as they can, six bytes for a byte, would need far more.
    out = np.empty(size + size // 4 + 6 * longest + 64, np.uint8)
    ends = np.empty(size // 3 + 4 * longest + 1, np.int64)
    edges = np.zeros((2, len(texts) + 1), np.int64)
    state = np.zeros(len(texts), np.uint8)
    done = 0
    while (done := _tokenise(data, starts, done, characters(), out, ends, edges, state, _IMAGE)) < len(texts):
        out, ends = (np.concatenate([array, np.empty_like(array)]) for array in (out, ends))
    left = _left_to_python(texts, state)
    if left:
        return _put_in(left, out, edges[0])
    return Tokens(out[: edges[0, -1] + SPARE], edges[0], edges[1], ends[: edges[1, -1]])


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
    data = np.concatenate([*pieces, out[done : starts[-1]], np.zeros(SPARE, np.uint8)])
    begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    first = np.zeros_like(begins)
    ends = np.empty(int(begins[-1]) // 2 + len(begins), np.int64)
    _find_tokens(data, begins, first, ends)
    return Tokens(data, begins, first, ends[: first[-1]])


def from_token_texts(texts: Sequence[bytes]) -> Tokens:
    """Return texts that are tokens with one space between them already."""
    data = np.frombuffer(b"".join([*texts, bytes(SPARE)]), np.uint8).copy()
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(text) for text in texts], dtype=np.int64)])
    first = np.zeros_like(starts)
    ends = np.empty(len(data) // 2 + len(starts), np.int64)
    _find_tokens(data, starts, first, ends)
    return Tokens(data, starts, first, ends[: first[-1]])


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
    done: int,
    table: Characters,
    out: Bytes,
    ends: Ints,
    edges: NDArray[np.int64],
    state: Bytes,
    image: Bytes,
) -> int:
    """Take texts from `done` on, as long as there is room for the next one; returns how many are done."""
    longest = 0
    for index in range(len(starts) - 1):
        longest = max(longest, starts[index + 1] - starts[index])
    wide = np.empty(longest * GROWTH, np.int32)
    for index in range(done, len(starts) - 1):
        text = data[starts[index] : starts[index + 1]]
        end, count = edges[0, index], edges[1, index]
        # Two bytes may become four characters of three; and four tokens.
        if end + 6 * len(text) + 64 > len(out) or count + 4 * len(text) > len(ends):
            return index
        state[index] = _ASCII
        written, found = byte_rules(text, len(data) - starts[index], table.byte_kind, out, end, ends, count, image)
        if written == -NOT_ASCII:
            state[index], size = _decode(text, table.becomes, table.telling, wide)
            written, found = rules(wide, size, table.kind, out, end, ends, count, image)
        elif written == -CONTROL:
            state[index] = _LEFT
            written, found = end, count
        edges[0, index + 1] = written
        edges[1, index + 1] = found
    return len(starts) - 1


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
