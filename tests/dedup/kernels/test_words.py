"""Texts come back as they were, in any order, whatever the dictionary could hold."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.dedup.kernels import words
from infinity_mm.dedup.kernels.hashing import permutations, shingles, signatures, token_hashes
from infinity_mm.dedup.kernels.normal import SPARE, Tokens, from_token_texts, tokenise
from infinity_mm.dedup.kernels.signing import sign_and_encode
from infinity_mm.dedup.kernels.words import Coded, Dictionary, Words, decode, empty_dictionary, encode

WORD = st.one_of(st.sampled_from(["a", "of", "größe", "図", "x" * 32, "y" * 33, "z" * 300]), st.text("abc", min_size=1))
TEXTS = st.lists(st.lists(WORD, max_size=40).map(" ".join), max_size=8)


def coded_texts(tokens: Tokens, dictionary: Dictionary, live: np.ndarray | None = None) -> Coded:
    blank = np.arange(2 * len(tokens), dtype=np.uint64).reshape(-1, 2)
    return encode(tokens, token_hashes(tokens), blank, np.ones(len(tokens), bool) if live is None else live, dictionary)


def words_of(dictionary: Dictionary) -> Words:
    ends = dictionary.ends[: int(dictionary.size[0]) + 1]
    return Words(dictionary.data[: ends[-1] + SPARE], ends)


def same(one: Tokens, other: Tokens) -> bool:
    return all(one.pieces(text) == other.pieces(text) for text in range(len(one))) and len(one) == len(other)


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS, st.randoms())
def test_texts_come_back_byte_for_byte(first, second, rng):
    dictionary = empty_dictionary()
    batches = [tokenise(pa.array(texts, pa.string())) for texts in (first, second)]
    coded = [coded_texts(tokens, dictionary) for tokens in batches]
    for tokens, one in zip(batches, coded, strict=True):
        order = rng.sample(range(len(tokens)), len(tokens))
        found, blank = decode(one, words_of(dictionary), np.array(order, np.int64))
        assert [found.text(place) for place in range(len(found))] == [tokens.text(text) for text in order]
        assert [found.pieces(place) for place in range(len(found))] == [tokens.pieces(text) for text in order]
        empty = [len(tokens.pieces(text)) == 0 for text in order]
        known = [[2 * text, 2 * text + 1] if none else [0, 0] for text, none in zip(order, empty, strict=True)]
        assert blank.tolist() == known


def test_a_full_dictionary_keeps_what_comes_later_as_it_is():
    texts = [
        " ".join(f"w{number}" for number in range(start, start + 300)).encode() for start in (0, 65_400, 65_500, 0)
    ]
    texts.insert(1, " ".join(f"w{number}" for number in range(300, 65_400)).encode())
    tokens = from_token_texts(texts)
    dictionary = empty_dictionary()
    coded = coded_texts(tokens, dictionary)
    assert dictionary.size[0] == words.MOST_WORDS
    assert (coded.codes == 0).sum() == 165 + 265
    found, _ = decode(coded, words_of(dictionary), np.arange(len(texts)))
    assert same(found, tokens)
    assert bytes(found.data[: found.starts[-1]]) == b"".join(texts)


def test_words_that_want_the_same_slot_get_numbers_of_their_own():
    tokens = from_token_texts([b"a b c d", b"d c b a"])
    upper = np.uint64(5) << np.uint64(47)
    hashes = np.array([1, 2, 3, 4, 4, 3, 2, 1], np.uint64) + upper
    dictionary = empty_dictionary()
    coded = encode(tokens, hashes, np.zeros((2, 2), np.uint64), np.ones(2, bool), dictionary)
    assert coded.codes.tolist() == [1, 2, 3, 4, 4, 3, 2, 1]


def test_null_texts_are_empty():
    tokens = tokenise(pa.array(["?!", None, "a"]))
    coded = coded_texts(tokens, empty_dictionary(), np.array([True, False, True]))
    assert coded.rest_starts.tolist() == [0, 16, 16, 16]
    assert coded.first.tolist() == [0, 0, 0, 1]


@settings(max_examples=40, deadline=None)
@given(TEXTS, st.integers(1, 20), st.integers(0, 3))
def test_signing_at_once_equals_its_steps(texts, ngram, seed):
    tokens = tokenise(pa.array(texts, pa.string()))
    maps = permutations(64, seed)
    blank, live = np.ones((len(tokens), 2), np.uint64), np.ones(len(tokens), bool)
    found, starts, coded = sign_and_encode(tokens, ngram, maps, blank, live, empty_dictionary())
    hashes, expected = shingles(tokens, ngram)
    assert starts.tolist() == expected.tolist()
    assert found.tolist() == signatures(hashes, expected, *maps).tolist()
    alone = encode(tokens, token_hashes(tokens), blank, live, empty_dictionary())
    for name in ("codes", "first", "rest", "rest_starts"):
        assert getattr(coded, name).tolist() == getattr(alone, name).tolist()


@pytest.mark.parametrize("longest", [1, 5_000])
def test_signing_takes_texts_longer_than_its_scratch(longest):
    """More tokens than are taken together, in one text and in many."""
    rng = np.random.default_rng(longest)
    sizes = [longest, 3, 0, 9_000, *rng.integers(0, 400, 60).tolist()]
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 900, size)) for size in sizes]
    tokens = tokenise(pa.array(texts))
    maps = permutations(64, 1)
    blank, live = np.zeros((len(tokens), 2), np.uint64), np.ones(len(tokens), bool)
    found, _, coded = sign_and_encode(tokens, 5, maps, blank, live, empty_dictionary())
    assert (found == signatures(*shingles(tokens, 5), *maps)).all()
    alone = encode(tokens, token_hashes(tokens), blank, live, empty_dictionary())
    assert (coded.codes == alone.codes).all()
