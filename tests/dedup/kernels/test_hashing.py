"""Compiled shingle hashes and signatures, against their definitions and against datasketch."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.dedup.kernels.hashing import permutations, sha1_shingles, shingle_hash, shingles, signatures
from infinity_mm.dedup.kernels.normal import characters_as_tokens, tokenise

WORD = st.sampled_from(["a", "of", "größe", "図", "rectangle", "internationalisation", "12345678", "x" * 17])
TEXTS = st.lists(st.lists(WORD, max_size=40).map(" ".join), max_size=5)


def grams(words: list[str], ngram: int, joiner: str = " ") -> list[str]:
    return [joiner.join(words[start : start + ngram]) for start in range(len(words) - ngram + 1)]


@settings(max_examples=50, deadline=None)
@given(TEXTS, st.integers(1, 9))
def test_word_shingles_equal_the_definition(texts, ngram):
    tokens = tokenise(pa.array(texts, pa.string()))
    hashes, starts = shingles(tokens, ngram)
    theirs, same_starts = sha1_shingles(tokens, ngram)
    assert starts.tolist() == same_starts.tolist()
    for index in range(len(texts)):
        expected = grams(tokens.text(index).split(), ngram)
        assert hashes[starts[index] : starts[index + 1]].tolist() == [shingle_hash(gram.split()) for gram in expected]
        digests = [int.from_bytes(hashlib.sha1(gram.encode()).digest()[:8], "little") for gram in expected]
        assert theirs[starts[index] : starts[index + 1]].tolist() == digests


@settings(max_examples=50, deadline=None)
@given(TEXTS, st.integers(1, 9))
def test_character_shingles_leave_out_the_spaces(texts, ngram):
    tokens = tokenise(pa.array(texts, pa.string()))
    cut = characters_as_tokens(tokens)
    hashes, starts = shingles(cut, ngram)
    theirs, _ = sha1_shingles(cut, ngram)
    for index in range(len(texts)):
        letters = list(tokens.text(index).replace(" ", ""))
        expected = [letters[start : start + ngram] for start in range(len(letters) - ngram + 1)]
        assert hashes[starts[index] : starts[index + 1]].tolist() == [shingle_hash(gram) for gram in expected]
        digests = [int.from_bytes(hashlib.sha1("".join(gram).encode()).digest()[:8], "little") for gram in expected]
        assert theirs[starts[index] : starts[index + 1]].tolist() == digests


@settings(max_examples=30, deadline=None)
@given(TEXTS, st.integers(0, 2**32 - 1), st.sampled_from([16, 64, 128]), st.sampled_from(["poly", "sha1"]))
def test_signatures_equal_datasketch(texts, seed, count, scheme):
    tokens = tokenise(pa.array(texts, pa.string()))
    hashes, starts = (shingles if scheme == "poly" else sha1_shingles)(tokens, 5)
    ours = signatures(hashes, starts, *permutations(count, seed))
    short = {} if scheme == "sha1" else {"hashfunc": lambda gram: shingle_hash(gram.decode().split()) & 0xFFFFFFFF}
    for index, own in enumerate(ours):
        reference = MinHash(num_perm=count, seed=seed, scheme="affine32", **short)
        reference.update_batch([gram.encode() for gram in grams(tokens.text(index).split(), 5)])
        assert own.tolist() == reference.hashvalues.tolist()


def test_a_text_shorter_than_a_shingle_has_none():
    tokens = tokenise(pa.array(["a b c d", "a b c d e", ""]))
    hashes, starts = shingles(tokens, 5)
    assert starts.tolist() == [0, 0, 1, 1]
    found = signatures(hashes, starts, *permutations(16, 1))
    assert (found[[0, 2]] == 0xFFFFFFFF).all()
    assert (found[1] < 0xFFFFFFFF).any()


@pytest.mark.parametrize("size", [1, 7, 8, 9, 16, 17])
def test_the_length_of_a_token_counts(size):
    """Zero bytes fill the last word of a token; they must not be mistaken for text."""
    assert shingle_hash(["x" * size]) != shingle_hash(["x" * size + "\x00"])
    tokens = tokenise(pa.array(["x" * size]))
    assert shingles(tokens, 1)[0].tolist() == [shingle_hash(["x" * size])]


def test_hashes_spread():
    words = [f"w{n}" for n in range(20_000)]
    hashes, _ = shingles(tokenise(pa.array([" ".join(words)])), 1)
    assert len(np.unique(hashes)) == len(words)
    counts = np.bincount((hashes >> np.uint64(60)).astype(np.int64), minlength=16)
    assert counts.min() > 1_100
    assert counts.max() < 1_400
