"""Token texts to shingle hashes and MinHash signatures, compiled.

Two shingle hashes are offered. ``poly``, the default: each token becomes 64 bits (eight bytes at a time through a
multiply-xor mixer), a shingle the polynomial of its tokens modulo 2^64, finalised by MurmurHash3's 64-bit mixer. It
rolls, so its cost does not grow with the length of the shingle. ``sha1``: the first 8 bytes of the SHA-1 of the
shingle as text, little-endian, whose low half is datasketch's default hash.
MinHash: A. Broder, "On the resemblance and containment of documents", SEQUENCES 1997.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.jit import compiled, inlined, load64
from infinity_mm.dedup.kernels.normal import Tokens

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]


class Maps(NamedTuple):
    """Maps of which a signature holds the minima: odd factors and offsets, uint32 of shape (permutations,)."""

    factors: NDArray[np.uint32]
    offsets: NDArray[np.uint32]


_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xD6E8FEB86659FD93)
_P = np.uint64(0xBF58476D1CE4E5B9)
#: Tokens of a shingle up to which summing them anew is faster than rolling.
_SHORT = 16
_LOW = np.uint64(0xFFFFFFFF)
_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)
_32 = np.uint64(32)
_33 = np.uint64(33)


def shingles(tokens: Tokens, ngram: int) -> tuple[Hashes, Ints]:
    """Return the ``poly`` hashes of the n-grams of each text, in order, repeats kept, and where each text's begin.

    Shapes (n-grams,) and (texts + 1,). A text of fewer than `ngram` tokens has none.
    """
    return shingles_of(token_hashes(tokens), tokens.first, ngram)


def token_hashes(tokens: Tokens) -> Hashes:
    """Return 64 bits for each token, of all texts one after the other: uint64, shape (tokens,)."""
    found = np.empty(tokens.first[-1], np.uint64)
    token_hashes_into(tokens.data, tokens.starts, tokens.first, tokens.ends, tokens.gap, found)
    return found


def shingles_of(words: Hashes, first: Ints, ngram: int) -> tuple[Hashes, Ints]:
    """Do what `shingles` does from the hashes of tokens; `first`, shape (texts + 1,), says where each text's begin."""
    starts = shingle_starts(first, ngram)
    hashes = np.empty(starts[-1], np.uint64)
    shingles_into(words, first, ngram, hashes, starts)
    return hashes, starts


def shingle_starts(first: Ints, ngram: int) -> Ints:
    """Return where each text's shingles begin, and where the last end, from where its tokens do."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.maximum(np.diff(first) - ngram + 1, 0))])


def shingle_hash(shingle: Sequence[str]) -> int:
    """Return the ``poly`` hash of one shingle, given as its tokens (or characters): the definition, in plain Python."""
    mask = (1 << 64) - 1
    total = 0
    for token in (token.encode("utf-8", "surrogatepass") for token in shingle):
        state = 0
        for start in range(0, len(token), 8):
            word = int.from_bytes(token[start : start + 8], "little")
            state = (state ^ word) * int(_A) & mask
            state ^= state >> 32
        state = (state ^ len(token)) * int(_B) & mask
        total = (total * int(_P) + (state ^ state >> 32)) & mask
    total = (total ^ total >> 33) * 0xFF51AFD7ED558CCD & mask
    total = (total ^ total >> 33) * 0xC4CEB9FE1A85EC53 & mask
    return total ^ total >> 33


def sha1_shingles(tokens: Tokens, ngram: int) -> tuple[Hashes, Ints]:
    """Like `shingles`, by SHA-1 as datasketch does; ten times slower.

    What is hashed is the tokens of a shingle joined by spaces, or its characters joined by nothing.
    """
    joiner = b" " * tokens.gap
    parts: list[bytes] = []
    counts = np.zeros(len(tokens) + 1, np.int64)
    for index in range(len(tokens)):
        words = tokens.pieces(index)
        grams = [joiner.join(words[start : start + ngram]) for start in range(len(words) - ngram + 1)]
        parts += [hashlib.sha1(gram).digest()[:8] for gram in grams]
        counts[index + 1] = len(grams)
    return np.frombuffer(b"".join(parts), "<u8"), np.cumsum(counts)


def signatures(
    hashes: Hashes, starts: Ints, factors: NDArray[np.uint32], offsets: NDArray[np.uint32]
) -> NDArray[np.uint32]:
    """Return MinHash signatures, uint32 of shape (texts, permutations); all ones for a text without shingles.

    The least value, over a text's shingles, of the 32-bit maps ``factor * mix(hash) + offset`` modulo 2^32, where
    `mix` is the finaliser of MurmurHash3: datasketch 2's scheme `affine32`.
    """
    found = np.full((len(starts) - 1, len(factors)), 0xFFFFFFFF, np.uint32)
    signatures_into(hashes, starts, factors, offsets, found)
    return found


@lru_cache(maxsize=4)
def permutations(count: int, seed: int) -> Maps:
    """Return maps as datasketch draws them."""
    draw = np.random.RandomState(seed)
    factors = draw.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return Maps(factors, draw.randint(0, 1 << 32, count, dtype=np.uint32))


@inlined
def _absorb(state: np.uint64, word: np.uint64) -> np.uint64:
    state = (state ^ word) * _A
    return state ^ (state >> _32)


@inlined
def _finish(state: np.uint64, size: int) -> np.uint64:
    state = (state ^ np.uint64(size)) * _B
    return state ^ (state >> _32)


@inlined
def _token(data: NDArray[np.uint8], begin: int, end: int) -> np.uint64:
    size = end - begin
    state = np.uint64(0)
    while end - begin > 8:
        state = _absorb(state, load64(data, begin))
        begin += 8
    rest = _ONES >> np.uint64(8 * (8 - (end - begin)))
    state = _absorb(state, load64(data, begin) & rest)
    return _finish(state, size)


# The next three are for compiled callers as well, which take some of the texts: then `starts`, `first` and `begins` do
# not begin at 0, but the arrays of hashes do.


@compiled
def token_hashes_into(data: NDArray[np.uint8], starts: Ints, first: Ints, ends: Ints, gap: int, found: Hashes) -> None:
    """Do what `token_hashes` does."""
    for index in range(len(starts) - 1):
        begin = starts[index]
        for number in range(first[index], first[index + 1]):
            found[number - first[0]] = _token(data, begin, ends[number])
            begin = ends[number] + gap


@compiled
def shingles_into(words: Hashes, first: Ints, ngram: int, hashes: Hashes, begins: Ints) -> None:
    """Do what `shingles_of` does."""
    power = np.uint64(1)
    for _ in range(ngram):
        power *= _P
    for index in range(len(first) - 1):
        count = begins[index + 1] - begins[index]
        if count == 0:
            continue
        own = words[first[index] - first[0] : first[index + 1] - first[0]]
        out = hashes[begins[index] - begins[0] : begins[index + 1] - begins[0]]
        if ngram <= _SHORT:
            # By Horner's rule, all shingles at once: loops that the compiler turns into vector instructions.
            out[:] = own[:count]
            for shift in range(1, ngram):
                for place in range(count):
                    out[place] = out[place] * _P + own[place + shift]
        else:
            total = np.uint64(0)
            for place in range(ngram - 1):
                total = total * _P + own[place]
            out[0] = total * _P + own[ngram - 1]
            for place in range(1, count):
                out[place] = out[place - 1] * _P + own[place + ngram - 1] - own[place - 1] * power
        for place in range(count):
            out[place] = mix64(out[place])


@inlined
def mix64(value: np.uint64) -> np.uint64:
    """Return the 64-bit finaliser of MurmurHash3 (A. Appleby): a bijection that mixes all bits."""
    value = (value ^ (value >> _33)) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> _33)) * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> _33)


@compiled
def signatures_into(
    hashes: Hashes, starts: Ints, factors: NDArray[np.uint32], offsets: NDArray[np.uint32], found: NDArray[np.uint32]
) -> None:
    """Do what `signatures` does; `found` is all ones."""
    # Eight shingles for each load of a factor, an offset and a minimum. The last group repeats one, which a minimum
    # does not mind.
    v = np.empty(8, np.uint32)
    for index in range(len(starts) - 1):
        lowest = found[index]
        own = hashes[starts[index] - starts[0] : starts[index + 1] - starts[0]]
        for place in range(0, len(own), 8):
            for lane in range(8):
                v[lane] = _mix32(np.uint32(own[min(place + lane, len(own) - 1)] & _LOW))
            a, b, c, d, e, f, g, h = v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]
            for number in range(len(factors)):
                factor, offset = factors[number], offsets[number]
                low = min(np.uint32(a * factor + offset), np.uint32(b * factor + offset))
                low = min(low, min(np.uint32(c * factor + offset), np.uint32(d * factor + offset)))
                top = min(np.uint32(e * factor + offset), np.uint32(f * factor + offset))
                top = min(top, min(np.uint32(g * factor + offset), np.uint32(h * factor + offset)))
                lowest[number] = min(lowest[number], min(low, top))


@inlined
def _mix32(value: np.uint32) -> np.uint32:
    value = np.uint32((value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    value = np.uint32((value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ (value >> np.uint32(16)))
