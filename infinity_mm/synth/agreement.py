"""Whether two answers say the same: as text or as numbers; what these leave open is `infinity_mm.synth.semantic`'s."""

from __future__ import annotations

import re
import unicodedata
from math import isclose

from infinity_mm.synth.alter import NUMBER_WORDS
from infinity_mm.synth.rows import Comparison

_ARTICLES = {"a", "an", "the"}
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)
_SIGNS = {"\u2212": "-", "\u2013": "-", "\u00a0": " ", "\u2019": "'"}
#: What may stand around a number without changing it, as far as both answers have it or one leaves it out.
_UNITS = "%$€£¥°"


def same_answer(one: str, other: str, tolerance: float = 0.0) -> bool:
    """Tell whether two answers agree as text or as numbers, in either order; see `compare`."""
    return compare(one, other, tolerance).same is True


def compare(one: str, other: str, tolerance: float = 0.0) -> Comparison:
    """Compare two answers, in either order; `same` is None where neither text nor numbers can tell.

    Two numbers agree within `tolerance`, relative to the larger (0.05 is the relaxed accuracy of ChartQA, Masry et al.
    2022, arXiv:2203.10244), and so do texts whose words are the same but for their numbers ("12 cm", "13 cm"). Other
    texts agree where they are the same when `normalised`. A bare yes and a bare no disagree.
    """
    left, right = normalised(one), normalised(other)
    single = number(one), number(other)
    if single[0] is not None and single[1] is not None:
        same = _close([single[0]], [single[1]], tolerance)
        return Comparison(same, "exact" if same and left == right else "numeric")
    if left and left == right:
        return Comparison(True, "exact")
    (words, values), (other_words, other_values) = _apart(left), _apart(right)
    if values and words == other_words:
        return Comparison(_close(values, other_values, tolerance), "numeric")
    if {left, right} == {"yes", "no"} or not one.strip() or not other.strip():
        return Comparison(False, "exact")
    return Comparison(None)


def normalised(text: str) -> str:
    """Return the words of a text without case, articles, and punctuation outside of numbers; number words as digits.

    After the answer processing of VQA (Antol et al. 2015, arXiv:1505.00468). Signs stay: "+5" and "-5" differ.
    """
    folded = unicodedata.normalize("NFKC", _plain(text)).casefold()
    words = re.findall(r"[-+]?\d[\d.,]*|\w+(?:'\w+)*", folded)
    digits = [str(NUMBER_WORDS.index(word)) if word in NUMBER_WORDS else word.rstrip(".,") for word in words]
    if len(digits) == 1:  # not an article but a letter: the first of several options, or a grade
        return digits[0]
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


def _apart(text: str) -> tuple[list[str], list[float]]:
    """Return the words of a normalised text with a mark in the place of each number, and the numbers."""
    numbers = [number(word) for word in text.split()]
    words = ["#" if value is not None else word for word, value in zip(text.split(), numbers, strict=True)]
    return words, [value for value in numbers if value is not None]


def _close(left: list[float], right: list[float], tolerance: float) -> bool:
    return all(a == b or isclose(a, b, rel_tol=tolerance) for a, b in zip(left, right, strict=True))


def _plain(text: str) -> str:
    return "".join(_SIGNS.get(c, c) for c in text)
