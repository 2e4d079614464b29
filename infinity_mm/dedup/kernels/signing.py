"""Everything that signing needs from tokens, a few texts at a time, so that what lies between stays in the cache."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.hashing import (
    Hashes,
    Ints,
    Maps,
    shingle_starts,
    shingles_into,
    signatures_into,
    token_hashes_into,
)
from infinity_mm.dedup.kernels.jit import compiled
from infinity_mm.dedup.kernels.normal import Bytes, Tokens
from infinity_mm.dedup.kernels.words import Coded, Codes, Dictionary, encode_into

#: Tokens of the texts that are taken together, unless one has more: their hashes take half a MB.
_TOGETHER = 1 << 12


def sign_and_encode(
    tokens: Tokens, ngram: int, maps: Maps, blank: Hashes, live: NDArray[np.bool_], dictionary: Dictionary
) -> tuple[NDArray[np.uint32], Ints, Coded]:
    """Return signatures, where each text's shingles begin, and codes: what the functions of their modules return.

    Shingles are ``poly`` n-grams of the tokens. `blank` and `live` are as `infinity_mm.dedup.kernels.words.encode` has
    them.
    """
    starts = shingle_starts(tokens.first, ngram)
    found = np.full((len(tokens), len(maps.factors)), 0xFFFFFFFF, np.uint32)
    codes = np.empty(int(tokens.first[-1]), np.uint16)
    rest = np.empty(int(tokens.starts[-1]) + 16 * len(tokens), np.uint8)
    begins = np.zeros(len(tokens) + 1, np.int64)
    source = (tokens.data, tokens.starts, tokens.first, tokens.ends, tokens.gap)
    coding = (blank.view(np.uint8), live, dictionary, codes, rest, begins)
    _sign(source, ngram, starts, maps, found, coding)
    return found, starts, Coded(codes, tokens.first, rest[: begins[-1]].copy(), begins)


@compiled
def _sign(
    source: tuple[Bytes, Ints, Ints, Ints, int],
    ngram: int,
    starts: Ints,
    maps: Maps,
    found: NDArray[np.uint32],
    coding: tuple[Bytes, NDArray[np.bool_], Dictionary, Codes, Bytes, Ints],
) -> None:
    data, edges, first, ends, gap = source
    blank, live, dictionary, codes, rest, begins = coding
    count = len(first) - 1
    longest = _TOGETHER
    for text in range(count):
        longest = max(longest, first[text + 1] - first[text])
    words = np.empty(longest, np.uint64)
    shingles = np.empty(longest, np.uint64)
    low = 0
    while low < count:
        high = low + 1
        while high < count and first[high + 1] - first[low] <= longest:
            high += 1
        some = slice(low, high + 1)
        token_hashes_into(data, edges[some], first[some], ends, gap, words)
        shingles_into(words, first[some], ngram, shingles, starts[some])
        signatures_into(shingles, starts[some], maps.factors, maps.offsets, found[low:high])
        encode_into(
            data, edges[some], first[some], ends, gap, words, blank[low:high], live[low:high], dictionary, codes, rest,
            begins[some],
        )  # fmt: skip
        low = high
