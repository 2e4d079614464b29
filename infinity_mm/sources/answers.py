"""Which answer a row is trained on, and how the question asks for its form."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from infinity_mm.keyed import keyed_u64
from infinity_mm.sources.base import Quarantine

#: The sentences of InfiMM's multi-task training (arXiv 2403.01487), as its authors print them.
SHORT = "Answer the question using a single word or phrase."
DESCRIBE = "Please describe the image."
UNANSWERABLE = "When the provided information is insufficient, respond with 'Unanswerable'."
LETTER = "Answer with the option's letter from the given choices directly."
#: Which of several answers is trained on, see `choose`.
AnswerPolicy = Literal["vote", "confident_vote", "first", "draw"]
#: Annotators who were not sure that the question can be answered do not count in a confident vote.
CONFIDENT = ("yes", "maybe")
#: Characters of a list that stands in a text: ten answers have a few hundred.
_LONGEST_LIST = 10_000
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def ask(question: str, *sentences: str, joiner: str = "\n") -> str:
    """Return a question followed by format sentences; the joiner is LLaVA-1.5's newline by default."""
    return joiner.join((question, *sentences))


def options(choices: Sequence[str]) -> str:
    """Return the choices as lines ``A. first``."""
    return "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False))


def letter(choices: object, index: object) -> str | Quarantine:
    """Return the letter of the right choice; the index may be written as 1.0 or "1"."""
    if isinstance(index, float) and index.is_integer():
        index = int(index)
    if isinstance(index, str) and index.strip().isdecimal():
        index = int(index)
    if not isinstance(choices, Sequence) or isinstance(choices, str) or not choices:
        return Quarantine("missing_field", f"choices: expected a list, got {choices!r:.80}")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < min(len(choices), len(LETTERS)):
        return Quarantine("missing_field", f"expected the index of one of {len(choices)} choices, got {index!r:.80}")
    return LETTERS[index]


def vote(answers: object, key: str = "answer", confident: tuple[str, ...] = ()) -> str | Quarantine:
    """Return the answer that most annotators gave, blanks at the ends stripped before counting.

    `answers` is a list of texts or of objects with `key`; with `confident`, only answers of such an
    `answer_confidence` count, if there are any. A tie goes to the answer that was given first: ties are
    common (333 of TextVQA's 5,000 validation questions), so the rule must be declared.
    """
    texts = answer_texts(answers, key, confident) or answer_texts(answers, key, ())
    return Counter(texts).most_common(1)[0][0] if texts else _no_answer(answers)


def choose(policy: AnswerPolicy, answers: object, row_key: str, key: str = "answer") -> str | Quarantine:
    """Return the answer that a row is trained on.

    "vote": what most annotators gave; "confident_vote": what most of the confident ones gave; "first": what was given
    first; "draw": one annotator's answer, each with the same chance, so that answers come as often as they were
    given (LAVIS trains so). The draw is a hash of `row_key`: the same row always gives the same answer.
    """
    if policy == "vote":
        return vote(answers, key)
    if policy == "confident_vote":
        return vote(answers, key, CONFIDENT)
    if policy == "first":
        return first(answers, key)
    texts = answer_texts(answers, key, ())
    return texts[keyed_u64(0, "answer", row_key) % len(texts)] if texts else _no_answer(answers)


def first(answers: object, key: str = "answer") -> str | Quarantine:
    """Return the first of several accepted spellings."""
    texts = answer_texts(answers, key, ())
    return texts[0] if texts else _no_answer(answers)


def _no_answer(answers: object) -> Quarantine:
    return Quarantine("missing_field", f"answers: expected a list with at least one text, got {answers!r:.120}")


def answer_texts(answers: object, key: str, confident: tuple[str, ...]) -> list[str]:
    """Return the non-empty texts of a list of answers, stripped, in order; numbers as texts.

    A text that is a list as JSON or as Python writes it stands for that list: tables hold such columns.
    """
    if isinstance(answers, str):
        answers = _listed(answers)
    if not isinstance(answers, Sequence):
        return []
    texts = []
    for answer in answers:
        if isinstance(answer, Mapping):
            if confident and answer.get("answer_confidence") not in confident:
                continue
            answer = answer.get(key)
        if isinstance(answer, int | float) and not isinstance(answer, bool):
            answer = str(answer)
        if isinstance(answer, str) and answer.strip():
            texts.append(answer.strip())
    return texts


def _listed(text: str) -> Sequence[object]:
    if re.fullmatch(r"\s*\[\s*['\"{].*\]\s*", text, re.DOTALL) and len(text) < _LONGEST_LIST:
        try:
            found = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [text]
        return found if isinstance(found, list) else [text]
    return [text]
