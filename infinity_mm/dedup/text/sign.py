"""Texts to keys, sketches and shingle sets: pure functions over one batch, but for the dictionary that grows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.kernels import keys
from infinity_mm.dedup.kernels.hashing import (
    Hashes,
    Ints,
    permutations,
    sha1_shingles,
    shingles,
    signatures,
    token_hashes,
)
from infinity_mm.dedup.kernels.normal import Tokens, characters_as_tokens, tokenise
from infinity_mm.dedup.kernels.sets import sorted_sets
from infinity_mm.dedup.kernels.signing import sign_and_encode
from infinity_mm.dedup.kernels.words import Coded, Dictionary, encode
from infinity_mm.dedup.text.params import TextParams
from infinity_mm.dedup.text.spill import valid
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
    #: Shingles of all texts, repeats counted.
    shingles: int
    #: The texts in normal form; null ones as empty.
    coded: Coded


@dataclass(frozen=True)
class Sets:
    """What texts are compared by."""

    #: uint64, shape (texts, 2): equal for texts of equal tokens.
    digests: Hashes
    #: Sorted distinct hashes, set after set: uint64; where each set begins: int64, shape (texts + 1,).
    shingles: Hashes
    starts: Ints


def sign(texts: pa.Array, params: TextParams, dictionary: Dictionary) -> Signed:
    """Return keys, sketches and codes of a batch of texts, string or large_string; adds to the dictionary."""
    tokens = tokenise(texts)
    live = valid(texts)
    blank = written_digests(texts, tokens)
    banding = params.banding()
    maps = permutations(banding.minima, params.seed)
    if params.shingle == "word" and params.hash == "poly":
        found, starts, coded = sign_and_encode(tokens, params.ngram, maps, blank, live, dictionary)
    else:
        hashes, starts = _shingles(tokens, params)
        found = signatures(hashes, starts, *maps)
        coded = encode(tokens, token_hashes(tokens), blank, live, dictionary)
    whole = np.zeros(len(texts), np.uint64)
    if (live & (np.diff(starts) == 0)).any():
        whole = _digests(tokens, blank)[:, 0].copy()
    names, rows = keys.entries(found, starts, whole, live, banding.bands, banding.rows)
    return Signed(names, rows, keys.sketches(found), int(starts[-1]), coded)


def shingle_sets(tokens: Tokens, blank: Hashes, params: TextParams) -> Sets:
    """Return digests and shingle sets of texts; `blank`, uint64 of shape (texts, 2), is for those without tokens."""
    return Sets(_digests(tokens, blank), *sorted_sets(*_shingles(tokens, params)))


def written_digests(texts: pa.Array, tokens: Tokens) -> Hashes:
    """Return 128 bits for each text without tokens, uint64 of shape (texts, 2), and zeros for the others.

    Such texts, of punctuation alone, are the same where they are written the same, but for white space and
    placeholders of pictures.
    """
    found = np.zeros((len(tokens), 2), np.uint64)
    for index in np.flatnonzero(np.diff(tokens.first) == 0).tolist():
        written = " ".join((texts[index].as_py() or "").replace(IMAGE_TOKEN, " ").split())
        digest = hashlib.blake2b(written.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        found[index] = np.frombuffer(digest, "<u8")
    return found


def _digests(tokens: Tokens, blank: Hashes) -> Hashes:
    """Return 128 bits for each text, uint64 of shape (texts, 2), equal where the tokens are."""
    found = keys.digests(tokens)
    empty = np.diff(tokens.first) == 0
    found[empty] = blank[empty]
    return found


def _shingles(tokens: Tokens, params: TextParams) -> tuple[Hashes, Ints]:
    pieces = tokens if params.shingle == "word" else characters_as_tokens(tokens)
    return (shingles if params.hash == "poly" else sha1_shingles)(pieces, params.ngram)
