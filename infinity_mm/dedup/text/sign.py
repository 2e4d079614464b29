"""Texts to keys, sketches and shingle sets: pure functions over one batch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.kernels import keys
from infinity_mm.dedup.kernels.hashing import Hashes, Ints, permutations, sha1_shingles, shingles, signatures
from infinity_mm.dedup.kernels.normal import Tokens, characters_as_tokens, tokenise
from infinity_mm.dedup.kernels.sets import sorted_sets
from infinity_mm.dedup.text.params import TextParams
from infinity_mm.record import IMAGE_TOKEN


@dataclass(frozen=True)
class Signed:
    """What makes the texts of a batch meet others. A null text has no key, and meets none."""

    #: uint64, shape (keys,).
    keys: Hashes
    #: Number within the batch of the text that has the key: uint32, shape (keys,).
    rows: NDArray[np.uint32]
    #: uint64, shape (texts, 4).
    sketches: Hashes
    #: Shingles of each text, repeats counted: int64, shape (texts,).
    sizes: Ints


@dataclass(frozen=True)
class Sets:
    """What texts are compared by."""

    #: uint64, shape (texts, 2): equal for texts of equal tokens.
    digests: Hashes
    #: Sorted distinct hashes, set after set: uint64; where each set begins: int64, shape (texts + 1,).
    shingles: Hashes
    starts: Ints


def sign(texts: pa.Array, params: TextParams) -> Signed:
    """Return keys and sketches of a batch of texts: string or large_string."""
    tokens, hashes, starts = _shingles(texts, params)
    banding = params.banding()
    found = signatures(hashes, starts, *permutations(banding.minima, params.seed))
    live = ~texts.is_null().to_numpy(zero_copy_only=False)
    sizes = np.diff(starts)
    whole = np.zeros(len(texts), np.uint64)
    if (live & (sizes == 0)).any():
        whole = digests(texts, tokens)[:, 0]
    names, rows = keys.entries(found, starts, whole, live, banding.bands, banding.rows)
    return Signed(names, rows, keys.sketches(found), sizes)


def shingle_sets(texts: pa.Array, params: TextParams) -> Sets:
    """Return the digests and shingle sets of a batch of texts: string or large_string."""
    tokens, hashes, starts = _shingles(texts, params)
    return Sets(digests(texts, tokens), *sorted_sets(hashes, starts))


def digests(texts: pa.Array, tokens: Tokens) -> Hashes:
    """Return 128 bits for each text, uint64 of shape (texts, 2), equal where the tokens are.

    A text of punctuation alone has no tokens; such texts are the same where they are written the same, but for white
    space and placeholders of pictures.
    """
    found = keys.digests(tokens)
    for index in np.flatnonzero(np.diff(tokens.starts) == 0).tolist():
        written = " ".join((texts[index].as_py() or "").replace(IMAGE_TOKEN, " ").split())
        digest = hashlib.blake2b(written.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        found[index] = np.frombuffer(digest, "<u8")
    return found


def _shingles(texts: pa.Array, params: TextParams) -> tuple[Tokens, Hashes, Ints]:
    tokens = tokenise(texts)
    pieces = tokens if params.shingle == "word" else characters_as_tokens(tokens)
    hashes, starts = (shingles if params.hash == "poly" else sha1_shingles)(pieces, params.ngram)
    return tokens, hashes, starts
