"""Whether two short answers say the same: as text, as numbers, or as the same option."""

from __future__ import annotations

import re
import unicodedata
from math import isclose

from infinity_mm.synth.alter import NUMBER_WORDS

_ARTICLES = {"a", "an", "the"}
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)
_SIGNS = {"\u2212": "-", "\u2013": "-", "\u00a0": " ", "\u2019": "'"}
#: What may stand around a number without changing it, as far as both answers have it or one leaves it out.
_UNITS = "%$€£¥°"


def same_answer(one: str, other: str, tolerance: float = 0.0) -> bool:
    """Tell whether two answers agree, in either order.

    Two numbers agree within `tolerance`, relative to the larger (0.05 is the relaxed accuracy of ChartQA, Masry et al.
    2022, arXiv:2203.10244); anything else agrees as normalised text, see `normalised`.
    """
    left, right = number(one), number(other)
    if left is not None and right is not None:
        return left == right or isclose(left, right, rel_tol=tolerance)
    return bool(normalised(one)) and normalised(one) == normalised(other)


def normalised(text: str) -> str:
    """Return the words of a text without case, articles, and punctuation outside of numbers; number words as digits.

    After the answer processing of VQA (Antol et al. 2015, arXiv:1505.00468). Signs stay: "+5" and "-5" differ.
    """
    folded = unicodedata.normalize("NFKC", _plain(text)).casefold()
    words = re.findall(r"[-+]?\d[\d.,]*|\w+(?:'\w+)*", folded)
    digits = (str(NUMBER_WORDS.index(word)) if word in NUMBER_WORDS else word.rstrip(".,") for word in words)
    return " ".join(word for word in digits if word not in _ARTICLES)


def number(text: str) -> float | None:
    """Return the number that the whole text is, or None: digits with signs and units of `_UNITS`, or a number word."""
    bare = _plain(text).strip().rstrip(".").strip()
    if bare.casefold() in NUMBER_WORDS:
        return float(NUMBER_WORDS.index(bare.casefold()))
    sign = "-" if bare.startswith("-") else ""
    bare = bare.lstrip("+-").strip(_UNITS + " ")
    found = _NUMBER.fullmatch(bare)
    if found is None or not any(c.isdecimal() for c in bare.lower().partition("e")[0]):
        return None
    return float(sign + bare.replace(",", ""))


def _plain(text: str) -> str:
    return "".join(_SIGNS.get(c, c) for c in text)
