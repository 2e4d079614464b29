"""Texts in normal form as 16-bit numbers of words: a third of their bytes, at two nanoseconds a word; compiled.

A `Dictionary` numbers words from 1 on as they come, so frequent words, which come early, all have numbers. What comes
once it is full, and tokens too long to be words, are kept as they are beside the numbers. Coding loses nothing: the
tokens come back byte for byte, up to two words of one 64-bit hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.hashing import Hashes, Ints
from infinity_mm.dedup.kernels.jit import compiled, load64, store64
from infinity_mm.dedup.kernels.normal import SPARE, Bytes, Tokens

#: Numbers of a token: 0 for one that is kept as it is.
Codes = NDArray[np.uint16]

#: Bytes of the longest token that gets a number.
LONGEST = 32
#: Words of a dictionary at most.
MOST_WORDS = (1 << 16) - 1
_SLOT_BITS = 17
_SHIFT = np.uint64(64 - _SLOT_BITS)
_1 = np.uint64(1)
_16 = np.uint64(16)
_NUMBER = np.uint64(0xFFFF)


class Dictionary(NamedTuple):
    """Words by hash and by number, filled as texts are coded; a named tuple, since compiled functions take those."""

    #: The word in each slot, uint64 of shape (2^17,): the lower 48 bits of its hash, whose upper bits say the slot, and
    #: its number; 0 where there is none.
    slots: Hashes
    #: Words without anything between them: uint8.
    data: Bytes
    #: Where each word ends, by number: int64, shape (2^16,); `ends[0]` is 0.
    ends: Ints
    #: How many words there are: int64, shape (1,).
    size: Ints


class Words(NamedTuple):
    """What a dictionary holds in the end, by which texts are decoded."""

    #: uint8; eight spare bytes follow the last word, so that it can be copied eight bytes at a time.
    data: Bytes
    #: As of `Dictionary`, int64, shape (words + 1,).
    ends: Ints


@dataclass(frozen=True)
class Coded:
    """Texts as numbers of words."""

    #: Number of each token, text after text: uint16.
    codes: Codes
    #: Where the numbers of each text begin, and where the last end: int64, shape (texts + 1,).
    first: Ints
    #: For each text its tokens of number 0, with a space between them, or what `encode` was given for a text without
    #: tokens: uint8; and where that begins: int64, shape (texts + 1,).
    rest: Bytes
    rest_starts: Ints


def empty_dictionary() -> Dictionary:
    """Return a dictionary without words."""
    words = MOST_WORDS + 1
    return Dictionary(
        np.zeros(1 << _SLOT_BITS, np.uint64),
        np.empty(words * LONGEST, np.uint8),
        np.zeros(words, np.int64),
        np.zeros(1, np.int64),
    )


def encode(tokens: Tokens, hashes: Hashes, blank: Hashes, live: NDArray[np.bool_], dictionary: Dictionary) -> Coded:
    """Code texts, adding new words to the dictionary.

    `hashes` are those of the tokens, `blank`, uint64 of shape (texts, 2), says what a text without tokens is known by.
    Texts that are not `live` become empty.
    """
    codes = np.empty(len(hashes), np.uint16)
    rest = np.empty(int(tokens.starts[-1]) + 16 * len(tokens), np.uint8)
    begins = np.zeros(len(tokens) + 1, np.int64)
    source = (tokens.data, tokens.starts, tokens.first, tokens.ends)
    encode_into(*source, tokens.gap, hashes, blank.view(np.uint8), live, dictionary, codes, rest, begins)
    return Coded(codes, tokens.first, rest[: begins[-1]].copy(), begins)


def decode(coded: Coded, words: Words, texts: Ints) -> tuple[Tokens, Hashes]:
    """Return some texts, by number, in the order given; and for those without tokens what they are known by.

    `words` is the dictionary after the last text was coded. The second result is uint64 of shape (texts, 2), and zeros
    for a text with tokens.
    """
    starts, first = np.zeros((2, len(texts) + 1), np.int64)
    _measure(coded.codes, coded.first, coded.rest_starts, words.ends, texts, starts, first)
    data = np.empty(int(starts[-1]) + SPARE, np.uint8)
    ends = np.empty(int(first[-1]), np.int64)
    blank = np.zeros((len(texts), 2), np.uint64)
    target = (data, starts, first, ends, blank.view(np.uint8))
    _decode(coded.codes, coded.first, coded.rest, coded.rest_starts, words, texts, *target)
    return Tokens(data, starts, first, ends), blank


@compiled
def encode_into(
    data: Bytes,
    starts: Ints,
    first: Ints,
    ends: Ints,
    gap: int,
    hashes: Hashes,
    blank: Bytes,
    live: NDArray[np.bool_],
    dictionary: Dictionary,
    codes: Codes,
    rest: Bytes,
    rest_starts: Ints,
) -> None:
    """Do what `encode` does, for some of the texts: `hashes` begins with the first of them."""
    used = rest_starts[0]
    for index in range(len(starts) - 1):
        if live[index] and first[index] == first[index + 1]:
            rest[used : used + 16] = blank[index]
            used += 16
        # Nearly all words are in the slot that their hash names, so all are looked up there first, without a branch.
        found = codes[first[index] : first[index + 1]]
        _look_up(hashes[first[index] - first[0] : first[index + 1] - first[0]], dictionary.slots, found)
        for place in range(len(found)):
            if found[place]:
                continue
            number = first[index] + place
            begin = ends[number - 1] + gap if place else starts[index]
            found[place] = _number(dictionary, hashes[number - first[0]], data[begin : ends[number]])
            if not found[place]:
                if used > rest_starts[index]:
                    rest[used] = 32
                    used += 1
                rest[used : used + ends[number] - begin] = data[begin : ends[number]]
                used += ends[number] - begin
        rest_starts[index + 1] = used


@compiled
def _look_up(hashes: Hashes, slots: Hashes, codes: Codes) -> None:
    for place in range(len(hashes)):
        entry = slots[hashes[place] >> _SHIFT]
        here = (entry ^ (hashes[place] << _16)) <= _NUMBER
        codes[place] = np.uint16(entry & _NUMBER) if here else np.uint16(0)


@compiled
def _number(dictionary: Dictionary, word: np.uint64, token: Bytes) -> np.uint16:
    """Return the number of a word, a new one where it has none yet; 0 where it is too long or the dictionary full."""
    slots = dictionary.slots
    slot = word >> _SHIFT
    word <<= _16
    while slots[slot] != 0 and (slots[slot] ^ word) > _NUMBER:
        slot = (slot + _1) & np.uint64(len(slots) - 1)
    size = dictionary.size[0]
    if slots[slot] != 0 or size == MOST_WORDS or len(token) > LONGEST:
        return np.uint16(slots[slot] & _NUMBER)
    size += 1
    end = dictionary.ends[size - 1]
    dictionary.data[end : end + len(token)] = token
    dictionary.ends[size] = end + len(token)
    slots[slot] = word | np.uint64(size)
    dictionary.size[0] = size
    return np.uint16(size)


@compiled
def _measure(
    codes: Codes, first: Ints, rest_starts: Ints, word_ends: Ints, texts: Ints, starts: Ints, begins: Ints
) -> None:
    """Write where the bytes and the tokens of each text will begin, and where those of the last will end."""
    for place in range(len(texts)):
        text = texts[place]
        count = first[text + 1] - first[text]
        size = max(count - 1, 0)
        kept = 0
        for number in range(first[text], first[text + 1]):
            code = np.int64(codes[number])
            if code:
                size += word_ends[code] - word_ends[code - 1]
            else:
                kept += 1
        if kept:
            size += rest_starts[text + 1] - rest_starts[text] - (kept - 1)
        starts[place + 1] = starts[place] + size
        begins[place + 1] = begins[place] + count


@compiled
def _decode(
    codes: Codes,
    first: Ints,
    rest: Bytes,
    rest_starts: Ints,
    words: Words,
    texts: Ints,
    data: Bytes,
    starts: Ints,
    begins: Ints,
    ends: Ints,
    blank: Bytes,
) -> None:
    for place in range(len(texts)):
        text = texts[place]
        end = starts[place]
        count = begins[place]
        kept = rest_starts[text]
        if first[text] == first[text + 1] and kept < rest_starts[text + 1]:
            blank[place] = rest[kept : kept + 16]
        for number in range(first[text], first[text + 1]):
            if number > first[text]:
                data[end] = 32
                end += 1
            code = np.int64(codes[number])
            if code:
                begin, size = words.ends[code - 1], words.ends[code] - words.ends[code - 1]
                # What is written beyond the word is written over next.
                for offset in range(0, size, 8):
                    store64(data, end + offset, load64(words.data, begin + offset))
                end += size
            else:
                while kept < rest_starts[text + 1] and rest[kept] != 32:
                    data[end] = rest[kept]
                    end += 1
                    kept += 1
                kept += 1
            ends[count] = end
            count += 1
