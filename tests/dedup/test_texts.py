"""When conversations are the same, rule by rule."""

import numpy as np
import pytest

from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.texts import same_answer, same_conversation, texts_of

from .rows import WORDS, Line, table_of

LONG = " ".join(WORDS[:100])
OTHER = " ".join(WORDS[200:300])
#: One word of a hundred differs: 91 of 101 shingles shared.
EDITED = LONG.replace("word50", "changed")


def compared(one: tuple[str, str], other: tuple[str, str], rule=same_conversation) -> float | None:
    texts = texts_of(table_of(Line("a", *one), Line("b", *other)))
    same, similarity = rule(texts, np.array([0]), np.array([1]), DedupParams())
    return round(float(similarity[0]), 3) if same[0] else None


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("Why?", LONG), ("Why?", EDITED), round(91 / 101, 3)),
        (("Why?", LONG), ("How?", EDITED), None),  # short prompts must be equal
        (("Why?", LONG), ("How?", LONG), None),
        ((LONG, OTHER), (EDITED, OTHER), round((91 + 96) / (101 + 96), 3)),  # long prompts, long equal answers
        ((LONG, "yes"), (EDITED, "no"), None),  # a template filled in twice
        ((LONG, "yes"), (EDITED, "yes"), None),  # a short answer is no evidence
        ((LONG, ""), (EDITED, ""), round(91 / 101, 3)),  # nothing but a prompt
        (("", LONG), ("", EDITED), round(91 / 101, 3)),
        ((LONG, OTHER), (LONG, " ".join(WORDS[300:])), None),  # one prompt, two answers
        ((f"{LONG} {OTHER}", LONG), (f"{LONG} {OTHER}", OTHER), None),  # the union is equal, the answers are not
        (("Why?", LONG), ("Why?", " ".join(reversed(LONG.split()))), None),
    ],
)
def test_conversations(one, other, expected):
    assert compared(one, other) == expected
    assert compared(other, one) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("x", "X.", 1.0), ("x", "y", None), (LONG, EDITED, round(91 / 101, 3)), (LONG, OTHER, None)],
)
def test_answers(one, other, expected):
    assert compared(("Q", one), ("Q", other), same_answer) == expected


def test_short_texts_never_meet_the_others():
    texts = texts_of(table_of(Line("a", "Why?", LONG), Line("b", "How?", LONG), Line("c", LONG, "yes")))
    prompt, answer = texts.tags(20)
    assert prompt.all()  # two short prompts, and a long one whose short answer is no evidence
    assert len(set(prompt.tolist())) == 3
    assert answer[:2].tolist() == [0, 0]
    assert answer[2] != 0
