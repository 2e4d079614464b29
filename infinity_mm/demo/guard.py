"""Keeps the rows that nobody planted from being duplicates of each other.

Whatever the seed, two rows that are no trap must not look like one: else the counts in
``traps.json`` would not be the counts in the books. Rows with pictures are compared where their
pictures are alike (pHash distance up to `ALIKE_BITS`), rows without are compared with all others, by
the Jaccard similarity of the word 5-grams of the whole conversation.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from infinity_mm.demo.draft import Draft, distance

#: Pictures up to this distance could be taken for copies by a deduplication with radius 8.
ALIKE_BITS = 10
#: Similarity from which a row that is no trap is refused; the quickstart removes from 0.7 on.
MAX_SIMILARITY = 0.55
SHINGLE_WORDS = 5

# CJK characters count as words: the stricter reading of a language written without spaces.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")


def words(text: str) -> list[str]:
    """Return the lower-case words, without image placeholders and punctuation."""
    return _WORD.findall(text.replace("<image>", " ").lower())


def conversation(draft: Draft) -> str:
    """Return all turns as one text."""
    return "\n".join(content or "" for _, content in draft.turns)


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Return the word 5-grams; a text of fewer words is one shingle."""
    tokens = words(text)
    last = max(1, len(tokens) - SHINGLE_WORDS + 1)
    return frozenset(tuple(tokens[i : i + SHINGLE_WORDS]) for i in range(last))


def jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    """Return |a & b| / |a | b|, 1.0 for two empty sets."""
    union = len(a | b)
    return len(a & b) / union if union else 1.0


class Guard:
    """Remembers the admitted rows and refuses a row that resembles one of them."""

    def __init__(self) -> None:
        self._texts: list[frozenset[tuple[str, ...]]] = []
        self._holding: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self._pairs: list[tuple[int, frozenset[tuple[str, ...]]]] = []

    def admit(self, draft: Draft) -> bool:
        """Remember the row and return True, or return False where it resembles an earlier one."""
        grams = shingles(conversation(draft))
        hashes = [picture.phash for picture in draft.pictures if picture.phash is not None]
        if hashes:
            if any(self._pair_resembles(value, grams) for value in hashes):
                return False
            self._pairs.extend((value, grams) for value in hashes)
            return True
        if self._text_resembles(grams):
            return False
        for gram in grams:
            self._holding[gram].append(len(self._texts))
        self._texts.append(grams)
        return True

    def _pair_resembles(self, phash: int, grams: frozenset[tuple[str, ...]]) -> bool:
        return any(
            distance(phash, other) <= ALIKE_BITS and jaccard(grams, seen) >= MAX_SIMILARITY
            for other, seen in self._pairs
        )

    def _text_resembles(self, grams: frozenset[tuple[str, ...]]) -> bool:
        shared = Counter(index for gram in grams for index in self._holding.get(gram, ()))
        return any(
            count / (len(grams) + len(self._texts[index]) - count) >= MAX_SIMILARITY for index, count in shared.items()
        )
