"""Which language a text is in.

Chinese, Japanese and Korean are told apart by their scripts, all else by py3langid, a naive Bayes classifier over byte
n-grams (M. Lui, T. Baldwin, "langid.py: An Off-the-shelf Language Identification Tool", ACL 2012), with normalised
confidences. What is too short or is not language (numbers, formulas, code) is "und".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from infinity_mm.record import IMAGE_TOKEN

UNDETERMINED = "und"
#: Fewer letters say nothing; a letter of Han, kana or Hangul counts as several.
MIN_LETTERS = 20
#: Share of letters among visible characters below which a text is numbers, formulas or code.
MIN_LETTER_SHARE = 0.5
#: Characters that are looked at, shared among the turns: the cost of a long document is that of a page.
MAX_CHARS = 1_000
#: Share of kana among Han and kana from which a text is Japanese: Chinese texts borrow a few.
MIN_KANA_SHARE = 0.1

_NOT_LANGUAGE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|\$\$.*?\$\$|\$[^$\n]+\$|\\[A-Za-z]+|</?\w+>", re.S)
_HAN = re.compile("[\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa\u31f0-\u31ff\uff66-\uff9d]")
_HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
#: How many Latin letters one letter of the script is worth.
_CJK_WEIGHT = 3

#: Labels of the classifier that are written forms of another language here, or none ("no linguistic content").
_MERGED = {"wuu": "zh", "yue": "zh", "zxx": UNDETERMINED}


def detect(contents: Sequence[str]) -> tuple[str, float]:
    """Return (language, confidence) of a whole conversation."""
    text = _language_part(contents)
    letters = sum(map(str.isalpha, text))
    han, kana, hangul = (0, 0, 0) if text.isascii() else (len(s.findall(text)) for s in (_HAN, _KANA, _HANGUL))
    cjk = _CJK_WEIGHT * (han + kana + hangul)
    other = letters - (han + kana + hangul)
    if cjk + other < MIN_LETTERS or letters < MIN_LETTER_SHARE * len("".join(text.split())):
        return UNDETERMINED, 0.0
    if cjk > other:
        return _cjk_language(han, kana, hangul), cjk / (cjk + other)
    label, confidence = _identifier().classify(text)
    language = _MERGED.get(label, str(label))
    return language, 0.0 if language == UNDETERMINED else float(confidence)


def _language_part(contents: Sequence[str]) -> str:
    """Return the turns without placeholders, code, formulas and addresses, each cut to its share of `MAX_CHARS`."""
    share = max(MAX_CHARS // max(len(contents), 1), 50)
    texts = (_NOT_LANGUAGE.sub(" ", content.replace(IMAGE_TOKEN, " ")[: 4 * share]) for content in contents)
    return "\n".join(text[:share] for text in texts)


def _cjk_language(han: int, kana: int, hangul: int) -> str:
    if hangul > han + kana:
        return "ko"
    return "ja" if kana >= MIN_KANA_SHARE * (han + kana) else "zh"


@cache
def _identifier() -> Any:
    """Load the classifier once per process: 0.7 s."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
