"""Languages: what is clearly another one leaves; what cannot be told stays."""

from __future__ import annotations

import pytest

from infinity_mm.filters import language
from infinity_mm.language import detect
from tests.filters.rows import FRENCH, answer, reasons, record, table

TEXTS = {
    "en": "A man in a red shirt is standing next to a bicycle on a busy street.",
    "fr": FRENCH,
    "de": "Der Mann steht neben seinem Fahrrad und wartet auf den Bus in die Stadt, während es regnet.",
    "ru": "На фотографии изображён человек, который стоит рядом с велосипедом на улице города.",
    "ar": "يقف الرجل بجانب دراجته في الشارع المزدحم وينتظر الحافلة إلى المدينة.",
    "th": "ผู้ชายคนหนึ่งยืนอยู่ข้างจักรยานบนถนนที่พลุกพล่านในเมือง",
    "zh": "请仔细阅读并分解以下内容，然后逐步重复里面的文字。",
    "ja": "男の人が自転車の横に立っていて、バスを待っています。",
    "ko": "한 남자가 붐비는 거리에서 자전거 옆에 서서 버스를 기다리고 있습니다.",
}


@pytest.mark.parametrize("expected", TEXTS)
def test_languages_are_told_apart_with_confidence(expected: str) -> None:
    found, confidence = detect([TEXTS[expected]])
    assert found == expected
    assert confidence > language.Params().min_confidence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes",
        "<image>\nno",
        "1/8/93",
        "0.28 3.5 17 1,000 2.71828 3.14159 99.5",
        "```python\nfor item in collection:\n    print(item)\n```",
        r"$\frac{a}{b} + \sqrt{c}$ $$\int_0^1 f(x) dx$$",
        "https://www.beispiel.de/eine/lange/adresse/mit/vielen/deutschen/woertern",
        "是的",
        "A",
    ],
)
def test_short_answers_numbers_formulas_and_code_cannot_be_told(text: str) -> None:
    assert detect([text]) == ("und", 0.0)
    assert reasons(language, table(answer(text or " "))) == [None]


def test_chinese_with_an_english_instruction_is_chinese() -> None:
    turns = [
        "<image>\n已知:如图,点C是线段AB的中点,点D是线段BC的中点,AB=20cm,那么线段AD等于()\nA. 10cm\nB. 5cm\n"
        "C. 15cm\nD. 16cm\n"
        "Answer with the option's letter from the given choices directly.",
        "C",
    ]
    assert detect(turns)[0] == "zh"


def test_borrowed_kana_do_not_make_a_text_japanese() -> None:
    assert detect(["这家叫优の良品的商店在市中心的一条繁忙街道上，出售各种零食和饮料。"])[0] == "zh"


def test_allowed_is_a_parameter_of_the_verdict_alone() -> None:
    given = table(*(record(("user", "?"), ("assistant", text)) for text in TEXTS.values()))
    kept = [name for name, reason in zip(TEXTS, reasons(language, given), strict=True) if reason is None]
    assert kept == ["en", "zh"]
    everything = language.Params(allowed=tuple(TEXTS))
    assert reasons(language, given, everything) == [None] * len(TEXTS)


def test_what_is_detected_without_confidence_stays() -> None:
    strict = language.Params(allowed=("de",), min_confidence=1.0)
    assert reasons(language, table(answer(FRENCH)), strict) == [None]


def test_codes_are_codes() -> None:
    with pytest.raises(ValueError, match="pattern"):
        language.Params(allowed=("English",))


def test_a_long_document_costs_no_more_than_a_page() -> None:
    assert detect([TEXTS["de"] * 50_000])[0] == "de"
