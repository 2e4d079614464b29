"""Texts: repair never harms, normal forms are stable, repetition measures mean what they say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.text import (
    comparable,
    garbled_marks,
    normalise,
    repair,
    repeated_ngram_share,
    repeated_share,
    tokens,
    top_ngram_share,
    words,
)

ANY = st.text(max_size=60)
#: Letters of many scripts, typography, layout: nothing that repair may touch.
LEGITIMATE = [
    "plain ASCII, with  double  spaces\tand tabs \n\n  indented",
    "naïve café, Ærøskøbing, Łódź, İstanbul, straße",
    "“curly” ‘quotes’ — dashes – and… dots · ½ × ÷ ± ≤ ∑ √ π² H₂O",
    "ﬁ ligature, full-width ＡＢＣ１２３，。！",
    "请仔细阅读：“我喜欢吃苹果”。　　全角空格",
    "日本語のカタカナとｶﾀｶﾅ",
    "한국어 문장",
    "На фотографии человек",
    "يقف الرجل",
    "हिन्दी में",
    "🙂👩‍👩‍👧 emoji with joiners",
    "\xa0no-break space\u200bzero width\u202fnarrow",
    "e\u0301 decomposed",
    "AT&amp;T &lt;td&gt; stays as written",
]


@pytest.mark.parametrize("text", LEGITIMATE)
def test_repair_returns_legitimate_text_itself(text: str) -> None:
    assert repair(text) is text
    assert garbled_marks(text) == 0


@pytest.mark.parametrize(
    "original", ["naïve café, Øskøbing", "“curly” — dashes…", "请仔细阅读我喜欢吃苹果", "На фото", "🙂 ok"]
)
@pytest.mark.parametrize("misread_as", ["windows-1252", "latin-1"])
def test_repair_decodes_utf8_that_was_read_as_another_encoding(original: str, misread_as: str) -> None:
    broken = "".join(bytes([byte]).decode(misread_as, "ignore") or chr(byte) for byte in original.encode("utf-8"))
    assert broken != original
    assert repair(broken) == original


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("a\x00b\x07c\x7f", "abc"),
        ("one\r\ntwo\rthree\x0cfour\x0bfive", "one\ntwo\nthree\nfour\nfive"),
        ("\ud83d\ude00", "😀"),
        ("lone \ud83d", "lone \ufffd"),
        ("cafÃ©", "café"),
        ("It\x92s", "It’s"),
        ("good line “q”\nbad line cafÃ©\n  é", "good line “q”\nbad line café\n  é"),
        ("\ufffd\ufffd cat", "\ufffd\ufffd cat"),
    ],
)
def test_repair(broken: str, mended: str) -> None:
    assert repair(broken) == mended


@settings(max_examples=300)
@given(st.text(st.characters(), max_size=40) | ANY.map(lambda t: t.encode("utf-8").decode("latin-1")))
def test_repaired_text_is_stable_encodable_and_free_of_controls(text: str) -> None:
    mended = repair(text)
    mended.encode("utf-8")
    assert not any((ord(c) < 32 and c not in "\n\t") or ord(c) == 127 for c in mended)
    assert repair(mended) == mended


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("\n\t"), max_size=60))
def test_printable_ascii_is_never_touched(text: str) -> None:
    assert repair(text) is text


def test_what_cannot_be_mended_is_counted() -> None:
    assert garbled_marks("\ufffd and \ufffd\ufffd") == 3
    assert garbled_marks("Ã¢â‚¬â„¢") >= 1
    assert garbled_marks("plain \x1a ascii") == 0


# Normal form.


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("<image>\nWhat's  THIS?", "what s this"),
        ("Ｆｕｌｌ ｗｉｄｔｈ，你好。", "full width 你好"),
        ("Straße", "strasse"),
        ("ﬁne", "fine"),
        ("a — b… “c”", "a b c"),
        ("\tlayout\n\n  kept  ", "layout kept"),
        ("ten-year-old", "ten year old"),
        ("हिन्दी", "हिन्दी"),
        ("<image>", ""),
    ],
)
def test_normal_form(text: str, normal: str) -> None:
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5", "-5"),
        ("What is 3 + 4?", "What is 3 - 4?"),
        ("What is 3 * 4?", "What is 3 / 4?"),
        ("1.5", "15"),
        ("10%", "10"),
        ("x²", "x2"),
        ("a > b", "a < b"),
        ("$5", "5"),
        ("你好", "您好"),
        ("café", "cafe"),
    ],
)
def test_what_means_something_else_stays_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@settings(max_examples=300)
@given(ANY)
def test_normal_form_is_stable_and_blind_to_case_and_space(text: str) -> None:
    normal = normalise(text)
    assert normalise(normal) == normal
    assert normal == " ".join(normal.split())
    assert normalise(f"  <image>\n{text}\n") == normal


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_ascii_takes_the_same_way_as_all_else(text: str) -> None:
    assert normalise(text + " é") == f"{normalise(text + ' e')[:-1]}é"


# Tokens.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a man  riding", ["a", "man", "riding"]),
        ("我喜欢abc中文", ["我", "喜", "欢", "abc", "中", "文"]),
        ("カタ かな", ["カ", "タ", "か", "な"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("-5 + 3.5%", ["-5", "+", "3.5%"]),
        ("", []),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@given(ANY)
def test_tokens_lose_nothing_but_space(text: str) -> None:
    assert "".join(tokens(text)) == "".join(text.split())


# Repetition.


def test_top_ngram_share() -> None:
    assert top_ngram_share(["a", "b", "c", "d"], 2) == 0.0
    assert top_ngram_share(["a", "b", "x", "a", "b", "y", "z", "z2"], 2) == 0.5
    assert top_ngram_share(["a"] * 50, 4) == 1.0
    assert top_ngram_share([], 4) == 0.0


def test_repeated_ngram_share_finds_loops_of_any_length() -> None:
    sentence = [f"w{k}" for k in range(37)]
    assert repeated_ngram_share(sentence, 10) == 0.0
    assert repeated_ngram_share(sentence * 2, 10) == 0.5
    assert repeated_ngram_share(sentence * 10, 10) == pytest.approx(0.9)
    assert repeated_ngram_share([], 10) == 0.0


@given(st.lists(st.sampled_from("abc"), max_size=40), st.integers(1, 5))
def test_shares_are_shares(items: list[str], n: int) -> None:
    assert 0.0 <= repeated_ngram_share(items, n) <= 1.0
    assert 0.0 <= top_ngram_share(items, n) <= 1.0
    assert 0.0 <= repeated_share(items) <= 1.0


@given(st.lists(st.sampled_from("abc"), max_size=40), st.integers(1, 5))
def test_repeated_ngram_share_counts_each_covered_place_once(items: list[str], n: int) -> None:
    grams = [tuple(items[k : k + n]) for k in range(len(items) - n + 1)]
    covered = {k + j for k, gram in enumerate(grams) if gram in grams[:k] for j in range(n)}
    assert repeated_ngram_share(items, n) == (len(covered) / len(items) if items else 0.0)


def test_numbers_and_identifiers_are_never_equal() -> None:
    items = comparable(words("0 | 0 | bbox_2d total 0 total"))
    assert len(set(items)) == len(items) - 1
