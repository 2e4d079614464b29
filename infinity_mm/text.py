"""Texts: encoding repair, normal form for duplicate detection, tokens, repetition.

Pure functions over strings. They run once or more on every text of every source, so each begins with a test that
lets plain ASCII, nearly all of it, pass at the speed of C.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

import ftfy
from ftfy.badness import BADNESS_RE, MOJIBAKE_CATEGORIES, badness, is_bad

from infinity_mm.record import IMAGE_TOKEN

#: Carriage returns and page or line separators of old encodings: they separate, so they become "\n".
_BREAKS = re.compile("\r\n|[\r\x0b\x0c]")
#: Control characters without a meaning in text (C0 but for tab and line feed, and DEL) and lone surrogates, which
#: JSON can spell but UTF-8 cannot hold.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
#: C1 control characters, the replacement character, and non-characters: what failed decoding leaves behind.
_DEBRIS = re.compile("[\x80-\x84\x86-\x9f\ufffd\ufffe\uffff]")

#: Every match of ftfy's heuristic holds one of the first class or two neighbours of the second. Looking for that
#: first is twenty times faster than looking for mojibake in every text with a curly quote.
TELLING_ALONE = f"{MOJIBAKE_CATEGORIES['c1']}ŒœÃÂ"
TELLING_PAIRED = "".join({c for c in BADNESS_RE.pattern if not c.isascii()}) + "".join(MOJIBAKE_CATEGORIES.values())
_MAYBE_BAD = re.compile(rf"[{TELLING_ALONE}]|[{TELLING_PAIRED}]{{2}}")

#: `replace_lossy_sequences` would write U+FFFD over what it cannot decode: damage is left for the garbled score.
_FTFY = ftfy.TextFixerConfig(replace_lossy_sequences=False)


def repair(text: str) -> str:
    """Return the text with broken encoding mended; the same object where there is nothing to mend.

    Removes control characters (C0 but for tab and line feed, and DEL), writes "\\r\\n", "\\r", form feed and vertical
    tab as "\\n", joins surrogate pairs and replaces lone surrogates by U+FFFD. Mojibake (UTF-8 once read as another
    encoding) is decoded line by line, only in lines where ftfy's heuristic fires, never elsewhere: spaces, quotes,
    ligatures, full-width forms and combining order stay, since layout and spelling may be what a row teaches.
    Method: R. Speer, "ftfy", Zenodo 2019, doi:10.5281/zenodo.2591652.
    """
    if _FORBIDDEN.search(text) is not None:
        text = _without_controls(text)
    if not maybe_bad(text) or not is_bad(text):
        return text
    lines = text.split("\n")
    fixed = [_fix_encoding(line) for line in lines]
    return text if fixed == lines else _without_controls("\n".join(fixed))


def maybe_bad(text: str) -> bool:
    """True where ftfy's `is_bad` is worth asking; False only where it would say no."""
    return not text.isascii() and _MAYBE_BAD.search(text) is not None


def _fix_encoding(line: str) -> str:
    """Let ftfy mend one line; its codecs spell U+FFFD as "\\x1a", which would then be removed as a control."""
    return str(ftfy.fix_encoding(line, _FTFY)).replace("\x1a", "\ufffd")


def _without_controls(text: str) -> str:
    text = _BREAKS.sub("\n", text)
    if _SURROGATES.search(text) is not None:
        text = _SURROGATE_PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
        text = _SURROGATES.sub("\ufffd", text)
    return _FORBIDDEN.sub("", text)


def garbled_marks(text: str) -> int:
    """Count the places where the text still looks wrongly decoded: ftfy's badness, C1 controls, U+FFFD."""
    if text.isascii():
        return 0
    rest, debris = _DEBRIS.subn(" ", text)
    return debris + int(badness(rest))


# Normal form.


def _characters(start: str, stop: int = 0x10000) -> str:
    """Return the characters of the basic plane below `stop` whose Unicode category begins with `start`."""
    return "".join(c for c in map(chr, range(stop)) if unicodedata.category(c).startswith(start))


#: Punctuation that separates or decorates. Not so where it carries a number: "-5", "3 / 4", "2 * 3", "1.5", "10%".
_NUMERIC = r"%(?<!\d%)|[-*/](?!\s?\d)|\.(?!\d)"
#: All other punctuation always separates.
SEPARATORS = "".join(sorted(set(_characters("P")) - set("%-*/.")))
_ASCII_PUNCTUATION = re.compile(_NUMERIC + "|[" + re.escape("".join(c for c in SEPARATORS if c.isascii())) + "]")
_PUNCTUATION = re.compile(_NUMERIC + "|[" + re.escape(SEPARATORS) + "]")
#: NFKC would read "5²" as "52".
SUPERSCRIPTS = {ord(c): f"^{n}" for n, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}


def normalise(text: str) -> str:
    """Return the form in which two texts are compared for being duplicates.

    Unicode NFKC (full-width, ligatures, compatibility forms), case folding, ``<image>`` removed, punctuation read as
    space, runs of white space as one space, none at the ends. Symbols (+ = < > $ ^ ...) stay, and so does
    punctuation that belongs to a number: sums and answers that differ in a sign must not become equal. Marks
    that spell (accents, vowel signs of Indic scripts) and all letters of all scripts stay.
    """
    if text.isascii():
        text = text.lower()
        pattern = _ASCII_PUNCTUATION
    else:
        text = unicodedata.normalize("NFKC", text.translate(SUPERSCRIPTS)).casefold()
        text = unicodedata.normalize("NFKC", text)
        pattern = _PUNCTUATION
    return " ".join(pattern.sub(" ", text.replace(IMAGE_TOKEN, " ")).split())


#: Scripts written without spaces between words: Thai, Lao, Myanmar, Khmer, kana, Han with its extensions.
UNSPACED = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_TOKEN = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
_ASCII_WORD = re.compile(r"[a-z0-9_]+")
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")


def tokens(text: str) -> list[str]:
    """Return what shingles are made of: words between white space, one token per character of unspaced scripts.

    Meant for text in normal form. Korean is written with spaces and keeps its words.
    """
    if text.isascii():
        return text.split()
    return _TOKEN.findall(text)


# Repetition.


def words(text: str) -> list[str]:
    """Return the runs of letters, digits and underscores, lower case; one per character of unspaced scripts."""
    return (_ASCII_WORD if text.isascii() else _WORD).findall(text.lower())


def comparable(items: Sequence[str]) -> list[str | int]:
    """Return the words with everything that is not made of letters replaced by its position.

    So a number is equal to no other: columns of zeros, boxes and identifiers are data, not repetition.
    """
    return [word if word.isalpha() else place for place, word in enumerate(items)]


def top_ngram_share(items: Sequence[Hashable], n: int) -> float:
    """Return the share (0 to 1) of the items that copies of the most frequent n-gram make up; 0 if none repeats.

    After the "most common n-gram" signal of Rae et al., "Scaling Language Models: Methods, Analysis & Insights from
    Training Gopher", arXiv 2112.11446, table A1, counted in words. Overlapping copies can exceed the text; cut at 1.
    """
    count = max(Counter(_ngrams(items, n)).values(), default=0)
    return min(1.0, count * n / len(items)) if count > 1 else 0.0


def repeated_ngram_share(items: Sequence[Hashable], n: int) -> float:
    """Return the share (0 to 1) of the items that lie inside an n-gram seen before in the same sequence.

    Rises to 1 for a text that loops, whatever the length of the loop. After the "duplicate n-gram" signal of the
    same table.
    """
    seen: set[tuple[Hashable, ...]] = set()
    covered = 0
    covered_to = 0
    for start, gram in enumerate(_ngrams(items, n)):
        if gram in seen:
            covered += start + n - max(start, covered_to)
            covered_to = start + n
        else:
            seen.add(gram)
    return covered / len(items) if items else 0.0


def _ngrams(items: Sequence[Hashable], n: int) -> Iterator[tuple[Hashable, ...]]:
    return zip(*(items[k:] for k in range(n)), strict=False)


def repeated_share(items: Sequence[Hashable]) -> float:
    """Return the share (0 to 1) of the items that equal an earlier one."""
    return 1.0 - len(set(items)) / len(items) if items else 0.0
