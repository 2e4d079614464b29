"""Signatures: equal to datasketch's, keys that tell apart what must be told apart."""

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.dedup import signature
from infinity_mm.dedup.kernels.hashing import shingle_hash
from infinity_mm.dedup.params import SignatureParams

from .rows import WORDS, conversations


def one(*turns: tuple[str, str], **params: int) -> dict[str, object]:
    messages = [{"role": role, "content": content} for role, content in turns]
    return signature.measure(conversations(("a", messages)), SignatureParams(**params)).to_pylist()[0]


def theirs(words: list[str], params: SignatureParams) -> MinHash:
    own = {"hashfunc": lambda gram: shingle_hash(gram.decode().split()) & 0xFFFFFFFF}
    reference = MinHash(num_perm=params.num_perm, seed=params.seed, **({} if params.hash == "sha1" else own))
    last = len(words) - params.ngram + 1
    reference.update_batch([" ".join(words[i : i + params.ngram]).encode() for i in range(last)])
    return reference


def numbers(packed: bytes, kind: str) -> list[int]:
    return np.frombuffer(packed, kind).tolist()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([*WORDS, "öl", "図"]), max_size=80), max_size=5),
    st.integers(0, 2**32 - 1),
    st.sampled_from([16, 128]),
    st.integers(1, 6),
    st.sampled_from(["poly", "sha1"]),
)
def test_signatures_equal_datasketch(texts, seed, num_perm, ngram, scheme):
    params = SignatureParams(seed=seed, num_perm=num_perm, ngram=ngram, hash=scheme)
    lines = [(str(n), [{"role": "user", "content": " ".join(words)}]) for n, words in enumerate(texts)]
    ours = signature.measure(conversations(*lines), params).column("minhash").to_pylist()
    for words, own in zip(texts, ours, strict=True):
        reference = theirs(words, params)
        assert numbers(own, "<u4") == ([] if reference.is_empty() else reference.hashvalues.tolist())


def test_the_signature_of_a_conversation_is_that_of_the_union_of_its_sides():
    question, answer = WORDS[:30], WORDS[20:90]
    line = one(("system", " ".join(question[:10])), ("user", " ".join(question[10:])), ("assistant", " ".join(answer)))
    params = SignatureParams()
    union = MinHash.union(theirs(question, params), theirs(answer, params))
    assert numbers(line["minhash"], "<u4") == union.hashvalues.tolist()
    assert (line["prompt_words"], line["answer_words"]) == (30, 70)
    asked, said = (numbers(line[name], "<u8") for name in ("prompt_shingles", "answer_shingles"))
    assert asked == sorted(set(asked))
    assert len(said) == 66


def test_a_text_shorter_than_a_shingle_has_keys_and_no_signature():
    line = one(("user", "Hi there"), ("assistant", "Hello"))
    assert line["minhash"] == line["prompt_shingles"] == line["answer_shingles"] == b""
    assert (line["prompt_words"], line["answer_words"], line["answer_chars"]) == (2, 1, 5)


@pytest.mark.parametrize(
    ("one_turns", "other_turns", "equal"),
    [
        ([("user", "What is THIS?")], [("user", " <image>\nwhat is this ")], True),
        ([("user", "a"), ("assistant", "b")], [("user", "a b")], False),
        ([("user", "a"), ("user", "b")], [("user", "a b")], False),
        ([("user", "a"), ("assistant", "b")], [("assistant", "a"), ("user", "b")], False),
        ([("user", "?!")], [("user", "...")], False),
        ([("user", "<image>")], [("user", "\n<image> ")], True),
        ([("user", "It costs 1.5")], [("user", "It costs 15")], False),
        ([("user", "图书")], [("user", "图 书")], True),
    ],
)
def test_keys_are_of_the_normal_form_with_roles_and_turns(one_turns, other_turns, equal):
    assert (one(*one_turns)["text_key"] == one(*other_turns)["text_key"]) is equal


def test_characters_of_unspaced_scripts_are_words():
    line = one(("user", "这张图片里有什么动物"), ("assistant", "猫"))
    assert line["prompt_words"] == 10
    assert len(numbers(line["prompt_shingles"], "<u8")) == 6


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=6), st.integers(0, 6))
def test_measuring_is_split_invariant(texts, cut):
    lines = [(str(n), [{"role": "user", "content": text}]) for n, text in enumerate(texts)]
    table, params = conversations(*lines), SignatureParams(num_perm=16)
    halves = [signature.measure(part, params) for part in (table.slice(0, cut), table.slice(cut))]
    whole = signature.measure(table, params)
    assert whole.schema == signature.ATTRIBUTES
    assert whole.to_pylist() == [line for half in halves for line in half.to_pylist()]
