"""Which answer a row is trained on, and how the question asks for its form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from infinity_mm.sources.base import Quarantine

#: The sentences of InfiMM's multi-task training (arXiv 2403.01487), as its authors print them.
SHORT = "Answer the question using a single word or phrase."
DESCRIBE = "Please describe the image."
UNANSWERABLE = "When the provided information is insufficient, respond with 'Unanswerable'."
LETTER = "Answer with the option's letter from the given choices directly."
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def ask(question: str, *sentences: str, joiner: str = "\n") -> str:
    """Return a question followed by format sentences; the joiner is LLaVA-1.5's newline by default."""
    return joiner.join((question, *sentences))


def options(choices: Sequence[str]) -> str:
    """Return the choices as lines ``A. first``."""
    return "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False))


def letter(choices: object, index: object) -> str | Quarantine:
    """Return the letter of the right choice."""
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
    if not texts:
        return Quarantine("missing_field", f"answers: expected a list with at least one text, got {answers!r:.120}")
    return Counter(texts).most_common(1)[0][0]


def first(answers: object) -> str | Quarantine:
    """Return the first of several accepted spellings."""
    texts = answer_texts(answers, "answer", ())
    if not texts:
        return Quarantine("missing_field", f"answers: expected a list with at least one text, got {answers!r:.120}")
    return texts[0]


def answer_texts(answers: object, key: str, confident: tuple[str, ...]) -> list[str]:
    """Return the non-empty texts of a list of answers, stripped, in order."""
    if isinstance(answers, str):
        answers = [answers]
    if not isinstance(answers, Sequence):
        return []
    texts = []
    for answer in answers:
        if isinstance(answer, Mapping):
            if confident and answer.get("answer_confidence") not in confident:
                continue
            answer = answer.get(key)
        if isinstance(answer, str) and answer.strip():
            texts.append(answer.strip())
    return texts
