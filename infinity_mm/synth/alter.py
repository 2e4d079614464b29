"""Wrong answers made from right ones: the negatives that a judge is measured with.

Each alteration changes one thing that a careful judge can see in the picture, and leaves the sentence around it
alone: a number, a color, a direction, yes or no, the letter of an option, a detail on the way to the answer. Whether
the result is wrong follows from the answer having been right; a generator's errors make some of them right by
accident, so rates measured with them are bounds, not truths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from infinity_mm.keyed import keyed_u64
from infinity_mm.synth.rows import Generated

COLORS: tuple[str, ...] = (
    *("red", "green", "blue", "yellow", "purple", "orange", "black", "white"),
    *("gray", "brown", "pink", "silver", "gold"),
)
NUMBER_WORDS: tuple[str, ...] = (
    *("zero", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
_OPPOSITES = (
    *(("left", "right"), ("above", "below"), ("top", "bottom"), ("inside", "outside"), ("open", "closed")),
    *(("larger", "smaller"), ("large", "small"), ("taller", "shorter"), ("more", "fewer"), ("highest", "lowest")),
    *(("indoors", "outdoors"), ("day", "night"), ("front", "back"), ("empty", "full"), ("increasing", "decreasing")),
)
OPPOSITE: Mapping[str, str] = dict(_OPPOSITES) | {right: left for left, right in _OPPOSITES}

_DIGITS = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w])")
#: "one" is left out: mostly it stands for a thing, not for a number.
_COUNT = re.compile(rf"\b(?:{'|'.join(word for word in NUMBER_WORDS if word != 'one')})\b", re.IGNORECASE)
_COLOR = re.compile(rf"\b(?:{'|'.join((*COLORS, 'grey'))})\b", re.IGNORECASE)
_DIRECTION = re.compile(rf"\b(?:{'|'.join(OPPOSITE)})\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)")
_WORD = re.compile(r"\w+")
_ARTICLES = {"a", "an", "the"}
_YES_NO = re.compile(r"(yes|no)\b", re.IGNORECASE)


def alterations(row: Generated, others: Sequence[str], seed: int) -> Iterator[tuple[str, str]]:
    """Yield (kind, wrong answer) for everything of the row's answer that can be altered, in a fixed order.

    `others` are answers of other rows in the same form; the first that says something else, from a place drawn by
    (seed, attempt), stands for the kind ``other_answer``. A multiple-choice answer is only ever another option. Every
    answer yielded differs from the row's own and from the others in more than case, white space and final stops.
    """
    key = row.typed.attempt.key
    if row.options:
        rest = [option for option in row.options if folded(option) != folded(row.answer)]
        if rest:
            yield "wrong_option", rest[keyed_u64(seed, "synth.probe.option", key) % len(rest)]
        return
    said = {folded(row.answer)}
    for kind, altered in _changed(row, seed):
        if folded(altered) not in said:
            said.add(folded(altered))
            yield kind, altered
    start = keyed_u64(seed, "synth.probe.other", key) % len(others) if others else 0
    for other in (*others[start:], *others[:start]):
        if _says_other(row.answer, other) and folded(other) not in said:
            yield "other_answer", other
            return


def _changed(row: Generated, seed: int) -> Iterator[tuple[str, str]]:
    """Yield what can be changed in the answer itself, then one detail of the sentences that lead to it.

    Of an answer in sentences the last one states the answer; what changes there changes wherever it occurs.
    """
    draws = {kind: keyed_u64(seed, f"synth.probe.{kind}", row.typed.attempt.key) for kind in _CHANGES}
    sentences = _SENTENCE_END.split(row.answer) if row.typed.format in ("brief", "detailed") else [row.answer]
    for kind, change in _CHANGES.items():
        stated = row.answer if kind == "flipped_yes_no" else sentences[-1]
        if change(stated, draws[kind]) is not None and (altered := change(row.answer, draws[kind])) is not None:
            yield kind, altered
    reasons = row.answer[: len(row.answer) - len(sentences[-1])]
    for kind, change in _CHANGES.items():
        if kind != "flipped_yes_no" and (altered := change(reasons, draws[kind])) is not None:
            yield "wrong_detail", altered + sentences[-1]
            return


def folded(text: str) -> str:
    """Return the text without case, outer white space and final stops; "+5" and "-5" stay different."""
    return " ".join(text.casefold().split()).rstrip(" .?!")


def _says_other(one: str, other: str) -> bool:
    """Tell whether neither answer's words are all in the other ("a bench" and "a wooden bench" may both be right)."""
    mine, theirs = (set(_WORD.findall(text.casefold())) - _ARTICLES for text in (one, other))
    return bool(mine and theirs) and not mine <= theirs and not theirs <= mine


def wrong_number(text: str, draw: int) -> str | None:
    """Change the last number of the text by one to three, wherever it occurs; None where there is none.

    Of a decimal only the last part changes, and digits stay as many where that is possible.
    """
    found = list(_DIGITS.finditer(text)) or list(_COUNT.finditer(text))
    if not found:
        return None
    number = found[-1].group()
    if number.lower() in NUMBER_WORDS:
        place = NUMBER_WORDS.index(number.lower())
        return _replace(text, number, NUMBER_WORDS[_step(place, draw, len(NUMBER_WORDS))])
    head, last = re.fullmatch(r"(.*?)(\d+)", number, re.DOTALL).groups()  # type: ignore[union-attr]
    changed = _step(int(last), draw, 10 ** len(last))
    return _replace(text, number, f"{head}{changed:0{len(last)}d}" if head or last[0] == "0" else f"{head}{changed}")


def wrong_color(text: str, draw: int) -> str | None:
    """Put another color in the place of the last one, wherever it occurs; None where there is none."""
    found = _COLOR.findall(text)
    if not found:
        return None
    present = {color.lower().replace("grey", "gray") for color in found}
    rest = [color for color in COLORS if color not in present]
    return _replace(text, found[-1], rest[draw % len(rest)]) if rest else None


def wrong_direction(text: str, draw: int) -> str | None:
    """Put its opposite in the place of every direction, size or comparison; None where there is none."""
    del draw
    if not _DIRECTION.search(text):
        return None
    return _DIRECTION.sub(lambda found: _cased(found.group(), OPPOSITE[found.group().lower()]), text)


def flipped_yes_no(text: str, draw: int) -> str | None:
    """Turn an answer that begins with yes into no, and the reverse; None for any other."""
    del draw
    found = _YES_NO.match(text)
    if found is None:
        return None
    other = "no" if found.group().lower() == "yes" else "yes"
    return _cased(found.group(), other) + text[found.end() :]


_CHANGES: Mapping[str, Callable[[str, int], str | None]] = {
    "wrong_number": wrong_number,
    "wrong_color": wrong_color,
    "wrong_direction": wrong_direction,
    "flipped_yes_no": flipped_yes_no,
}
#: Every kind of negative, in the order of reports.
KINDS: tuple[str, ...] = ("swapped_image", *_CHANGES, "wrong_detail", "wrong_option", "other_answer")


def _step(value: int, draw: int, end: int) -> int:
    """Return another number below `end`, one to three away from `value`, never negative."""
    near = [value + step for step in (-3, -2, -1, 1, 2, 3) if 0 <= value + step < end]
    return near[draw % len(near)]


def _replace(text: str, old: str, new: str) -> str:
    whole = re.compile(rf"(?<![\w.,]){re.escape(old)}(?!\w)", re.IGNORECASE)
    return whole.sub(lambda found: _cased(found.group(), new), text)


def _cased(old: str, new: str) -> str:
    return new.upper() if old.isupper() and len(old) > 1 else new.capitalize() if old[0].isupper() else new
