"""The rules of `infinity_mm.text.normalise` and `tokens` as one pass over the characters of a text; compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.characters import ALONE, DIGIT, LESS, NOT_ASCII, PERCENT, POINT, SEPARATE, SIGN
from infinity_mm.dedup.kernels.jit import between64, compiled, copy64, inlined, ones, trailing_zeros

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

_1 = np.uint64(1)


@compiled
def rules(
    text: NDArray[Any], size: int, kind: Bytes, out: Bytes, begin: int, ends: Ints, first: int, image: Bytes
) -> tuple[int, int]:
    """Write the tokens of `size` case-folded characters, with a space between them, to `out` from `begin` on.

    The end of each goes to `ends` from `first` on. Returns where the last ends and how many there are then; -NOT_ASCII
    or -CONTROL, and 0, where a character of that kind is met.
    """
    place, end, count = 0, begin, first
    open_ = False  # a token is being written
    while place < size:
        place, end, count, open_ = _step(text, size, place, kind, out, begin, end, ends, count, open_, image)
        if place < 0:
            return place, 0
    if open_:
        ends[count] = end
        count += 1
    return end, count


@compiled
def byte_rules(
    text: Bytes, room: int, kind: Bytes, out: Bytes, begin: int, ends: Ints, first: int, image: Bytes
) -> tuple[int, int]:
    """Do the same for bytes of any case. `room` bytes, at least those of the text, can be read from its start on.

    What is letters, digits and single spaces is copied 64 bytes at a time; all else goes by `_step`.
    """
    place, end, count = 0, begin, first
    open_ = False
    size = len(text)
    while place < size:
        if place + 64 <= room:
            plain = between64(text, place, 32, 97, 122) | between64(text, place, 0, 48, 57)
            spaces = between64(text, place, 0, 32, 32)
            # A space that follows another one, or no token, is not copied.
            run = trailing_zeros(~(plain | spaces) | (spaces & ((spaces << _1) | np.uint64(not open_))))
            run = min(run, size - place)
            if run > 0:
                if not open_ and end > begin:
                    out[end] = 32
                    end += 1
                # In lower case. What is written beyond the run is written over next.
                copy64(text, place, out, end, 32)
                if run < 64:
                    spaces &= (_1 << np.uint64(run)) - _1
                count = _write_ends(spaces, end, ends, count)
                place += run
                end += run
                open_ = text[place - 1] != 32
                end -= not open_
                continue
        place, end, count, open_ = _step(text, size, place, kind, out, begin, end, ends, count, open_, image)
        if place < 0:
            return place, 0
    if open_:
        ends[count] = end
        count += 1
    return end, count


@inlined
def _write_ends(spaces: np.uint64, end: int, ends: Ints, count: int) -> int:
    """Write where each space is, four at a time: what is written too much is written over next."""
    last: int = count + ones(spaces)
    while count < last:
        for more in range(4):
            ends[count + more] = end + trailing_zeros(spaces)
            spaces &= spaces - _1
        count += 4
    return last


@inlined
def _step(
    text: NDArray[Any],
    size: int,
    place: int,
    kind: Bytes,
    out: Bytes,
    begin: int,
    end: int,
    ends: Ints,
    count: int,
    open_: bool,
    image: Bytes,
) -> tuple[int, int, int, bool]:
    """Take one character; returns the next place (or as `rules`), the end, the count, whether a token is open."""
    point = np.int32(text[place])
    what = kind[point]
    if what > DIGIT:
        if what >= NOT_ASCII:
            return -int(np.int64(what)), end, count, open_
        separates = _separates(text, size, place, what, kind, image)
        if open_ and (separates or what == ALONE):
            ends[count] = end
            count += 1
            open_ = False
        if separates:
            return place + (len(image) if what == LESS else 1), end, count, open_
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
    return place + 1, end, count, open_


@inlined
def _separates(text: NDArray[Any], count: int, place: int, what: int, kind: Bytes, image: Bytes) -> bool:
    if what == SEPARATE:
        return True
    if what == LESS:
        return _is_image(text, count, place, image)
    if what == PERCENT:
        return place == 0 or bool(kind[text[place - 1]] != DIGIT)
    if what == POINT:
        return not _digit_at(text, count, place + 1, kind)
    if what == SIGN:
        return not _number_follows(text, count, place + 1, kind, image)
    return False


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
