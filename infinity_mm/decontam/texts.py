"""Texts to hashes: what a question is compared by, wherever it stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.hashing import Hashes, shingle_hash, shingles
from infinity_mm.dedup.kernels.normal import Tokens, tokenise
from infinity_mm.dedup.kernels.sets import sorted_sets
from infinity_mm.dedup.ragged import Ints

#: Places of pictures as MMMU and others number them; plain ones are removed by the normal form.
_NUMBERED = r"<image[ _]?\d+>"


@dataclass(frozen=True)
class Hashed:
    """Texts of an evaluation set; arrays have one entry per text, or per n-gram."""

    #: Hash of all tokens as one n-gram: uint64, shape (texts,); means nothing for a text without tokens.
    whole: Hashes
    #: int64, shape (texts,).
    tokens: Ints
    #: Distinct n-grams, text after text: uint64; empty for a text with fewer tokens.
    ngrams: Hashes
    #: int64, shape (texts + 1,).
    starts: Ints


def tokens_of(texts: pa.Array) -> Tokens:
    """Return the tokens of the normal form of each text, without places of pictures: string or large_string."""
    return tokenise(pc.replace_substring_regex(texts, _NUMBERED, " "))


def hash_texts(texts: pa.Array, ngram: int) -> Hashed:
    """Return the hashes of texts: string or large_string."""
    tokens = tokens_of(texts)
    whole: NDArray[np.uint64] = np.zeros(len(tokens), np.uint64)
    for index in range(len(tokens)):
        whole[index] = shingle_hash([piece.decode("utf-8", "surrogatepass") for piece in tokens.pieces(index)])
    return Hashed(whole, np.diff(tokens.first), *sorted_sets(*shingles(tokens, ngram)))
