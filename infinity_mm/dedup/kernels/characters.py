"""What `infinity_mm.text.normalise` does to a single character, as a table for compiled loops.

Normal form is made of NFKC, case folding and punctuation rules. For most characters these act on the
character alone, whatever stands beside it; then a table says all. The others (combining marks, Hangul jamo, and what
grows beyond four characters) are marked, and texts that hold one are left to `normalise` itself.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from infinity_mm.text import SEPARATORS, SUPERSCRIPTS, TELLING_ALONE, TELLING_PAIRED, UNSPACED

#: Code points in the table: the basic plane and the next, which holds emoji. Beyond it lie rare Han characters.
SIZE = 0x20000
#: Most characters that one may become.
GROWTH = 4
_BLOCK = 256

#: What a character is to the loop.
KEEP, DIGIT, SEPARATE, PERCENT, SIGN, POINT, LESS, ALONE, NOT_ASCII, CONTROL = range(10)


class Characters(NamedTuple):
    """Tables by code point; a named tuple, since compiled functions take those."""

    #: What the character becomes, int32 of shape (SIZE, GROWTH); unused places are -1, the first is -2 where the
    #: character cannot be told alone.
    becomes: NDArray[np.int32]
    #: What it is after that, uint8 of shape (SIZE,): KEEP, SEPARATE ...
    kind: NDArray[np.uint8]
    #: Whether it hints at a wrong encoding, uint8 of shape (SIZE,): 0, 1 beside another one, 2 by itself.
    telling: NDArray[np.uint8]
    #: `kind` by byte, uint8 of shape (256,), for texts that may be ASCII: NOT_ASCII and CONTROL say that they are not,
    #: or not fit for the loop.
    byte_kind: NDArray[np.uint8]


@lru_cache(maxsize=1)
def characters() -> Characters:
    """Return the tables; made in a fraction of a second from Python's own Unicode data."""
    becomes = np.full((SIZE, GROWTH), -1, np.int32)
    composing = _composing()
    for block in range(0, SIZE, _BLOCK):
        if _unchanged(block, composing):
            becomes[block : block + _BLOCK, 0] = np.arange(block, block + _BLOCK)
            continue
        for point in range(block, block + _BLOCK):
            grown = _grown(point, composing)
            if grown is None:
                becomes[point, 0] = -2
            else:
                becomes[point, : len(grown)] = [ord(c) for c in grown]
    kind = _kinds()
    # Digits of unspaced scripts (Thai, Lao ...) are tokens of their own and numbers as well, which a kind cannot say.
    becomes[
        [ord(c) for c in re.findall(f"[{UNSPACED}]", "".join(map(chr, np.flatnonzero(kind == DIGIT).tolist())))], 0
    ] = -2
    byte_kind = kind[:256].copy()
    byte_kind[128:] = NOT_ASCII
    byte_kind[[point for point in range(128) if becomes[point, 0] == -2]] = CONTROL
    return Characters(becomes, kind, _telling(), byte_kind)


def _unchanged(block: int, composing: set[int]) -> bool:
    """True for a block of characters that stay as they are, as most Han characters and Hangul syllables do."""
    points = range(block, block + _BLOCK)
    if block < 0x100 or 0xD700 <= block < 0xE000 or not composing.isdisjoint(points):
        return False
    text = "".join(map(chr, points))
    return text.translate(SUPERSCRIPTS) == unicodedata.normalize("NFKC", text) == text.casefold() == text


def _grown(point: int, composing: set[int]) -> str | None:
    character = chr(point)
    if point in composing or 0xD800 <= point < 0xE000 or point == 127 or (point < 32 and not 9 <= point <= 13):
        return None
    text = unicodedata.normalize("NFKC", SUPERSCRIPTS.get(point, character)).casefold()
    text = unicodedata.normalize("NFKC", text)
    if len(text) > GROWTH or any(ord(c) in composing or ord(c) >= SIZE for c in text):
        return None
    return text


def _composing() -> set[int]:
    """Return the characters that normalisation may join to the one before them, or reorder."""
    found = {*range(0x1100, 0x1200), *range(0xA960, 0xA980), *range(0xD7B0, 0xD800)}
    # Beyond the table and the planes of rare Han characters lie tags and private use, which join nothing.
    for point in (*range(0x32000), *range(0xE0000, 0xE0200)):
        character = chr(point)
        if unicodedata.combining(character):
            found.add(point)
        parts = unicodedata.decomposition(character)
        if parts and not parts.startswith("<"):
            found.update(int(part, 16) for part in parts.split()[1:])
    return found


def _kinds() -> NDArray[np.uint8]:
    kinds = np.full(SIZE, KEEP, np.uint8)
    everything = [chr(point) for point in range(SIZE)]
    kinds[[ord(character) for character in re.findall(f"[{UNSPACED}]", "".join(everything))]] = ALONE
    kinds[[ord(character) for character in SEPARATORS]] = SEPARATE
    kinds[[point for point, character in enumerate(everything) if character.isdecimal()]] = DIGIT
    kinds[[point for point, character in enumerate(everything) if character.isspace()]] = SEPARATE
    kinds[ord("%")] = PERCENT
    kinds[[ord(c) for c in "-*/"]] = SIGN
    kinds[ord(".")] = POINT
    kinds[ord("<")] = LESS
    return kinds


def _telling() -> NDArray[np.uint8]:
    telling = np.zeros(SIZE, np.uint8)
    everything = "".join(chr(point) for point in range(128, SIZE) if not 0xD800 <= point < 0xE000)
    for mark, members in ((1, TELLING_PAIRED), (2, TELLING_ALONE)):
        telling[[ord(character) for character in re.findall(f"[{members}]", everything)]] = mark
    return telling
