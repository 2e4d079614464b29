"""Other words for the same answer: the positives that a comparison of answers is measured with.

By rule and without a model, so each leaves alone what the answer says. Case, articles, final stops and number words are
what `infinity_mm.synth.agreement` looks past by itself; a sentence around the answer and units in words are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from infinity_mm.synth.alter import NUMBER_WORDS
from infinity_mm.synth.rows import Generated

_UNITS: Mapping[str, str] = {
    "km/h": "kilometers per hour",
    "mm": "millimeters",
    "cm": "centimeters",
    "km": "kilometers",
    "kg": "kilograms",
    "ml": "milliliters",
    "°C": "degrees Celsius",
    "°F": "degrees Fahrenheit",
    "%": "percent",
    "m": "meters",
    "g": "grams",
}
#: A unit right behind a number; `\b` would not end "%".
_UNIT = re.compile(rf"(?<=\d)\s?({'|'.join(map(re.escape, _UNITS))})(?![\w/²³])")
#: Behind these "m" is a million.
_MONEY = re.compile("[$€£¥]")
_ARTICLE = re.compile(r"\b(?:[Aa]n?|[Tt]he) (?=\w)")
#: Numbers that have a word; not as a part of a larger number, a sum, a time or a name.
_DIGITS = re.compile(r"(?<![\w.,:/+\-−–$€£¥#])(?:1[0-2]|[02-9])(?![\w%°:/\-−–]|[.,]\d)")
#: "one" is left out: mostly it stands for a thing, not for a number.
_COUNT = re.compile(rf"\b(?:{'|'.join(word for word in NUMBER_WORDS if word != 'one')})\b(?!-)", re.IGNORECASE)
_YES_NO = re.compile(r"(?:yes|no)\b", re.IGNORECASE)
_SENTENCES = ("brief", "detailed")


def rewordings(row: Generated) -> Iterator[tuple[str, str]]:
    """Yield (kind, the row's answer in other words) for every kind that changes it, in the order of `REWORDINGS`.

    Nothing for multiple choice, whose answers are options.
    """
    if row.options:
        return
    for kind, change in _CHANGES.items():
        text = change(row.answer)
        if text.strip() and text != row.answer:
            yield kind, text
    bare = row.answer.strip().rstrip(".")
    if row.typed.format in _SENTENCES:
        yield "led_in", f"As far as one can tell: {row.answer}"
    elif bare and not _YES_NO.match(bare):
        yield "in_a_sentence", f"It is {bare}."


def _other_case(text: str) -> str:
    return text[:1].swapcase() + text[1:]


def _no_articles(text: str) -> str:
    return _ARTICLE.sub("", text)


def _other_stop(text: str) -> str:
    """Take the final stop away, or put one there."""
    return text[:-1] if text.endswith(".") else text if text.endswith(("!", "?", "…")) else f"{text}."


def _other_numbers(text: str) -> str:
    """Write small numbers as words, or where there are none number words as digits."""
    if _DIGITS.search(text):
        return _DIGITS.sub(lambda found: NUMBER_WORDS[int(found.group())], text)
    return _COUNT.sub(lambda found: str(NUMBER_WORDS.index(found.group().lower())), text)


def _units_in_words(text: str) -> str:
    """Spell units out behind numbers, in the plural but for 1."""
    if _MONEY.search(text):
        return text

    def spelled(found: re.Match[str]) -> str:
        one = re.search(r"(?<![\d.,])1$", text[: found.start()]) is not None
        words = _UNITS[found[1]]
        return " " + (re.sub(r"s\b", "", words, count=1) if one and found[1] not in ("°C", "°F", "%") else words)

    return _UNIT.sub(spelled, text)


_CHANGES: Mapping[str, Callable[[str], str]] = {
    "other_case": _other_case,
    "no_articles": _no_articles,
    "other_stop": _other_stop,
    "other_numbers": _other_numbers,
    "units_in_words": _units_in_words,
}
#: Every kind of rewording, in the order of reports.
REWORDINGS: tuple[str, ...] = (*_CHANGES, "in_a_sentence", "led_in")
