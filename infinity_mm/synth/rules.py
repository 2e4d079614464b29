"""Rules that a generated question and answer must pass before a judge is asked; they cost no call."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from functools import lru_cache

from infinity_mm.language import UNDETERMINED, detect
from infinity_mm.synth import step3_generate
from infinity_mm.synth.params import RuleParams
from infinity_mm.synth.prompts import Prompt, load_prompt
from infinity_mm.synth.rows import Drop, Generated

REASONS = (
    "empty_text",
    "control_markup",
    "question_too_short",
    "wrong_language",
    "answer_too_short",
    "answer_too_long",
    "refusal",
    "prompt_leak",
    "repetition",
    "options_not_distinct",
    "yes_no_answer",
    "answer_in_question",
    "duplicate_question",
)

_WORD = re.compile(r"\w+(?:['’]\w+)*")
#: What a trainer's tokenizer could take for control: image placeholders and turn marks.
_MARKUP = re.compile(r"<image>|<\|[^|>]*\|>|\[/?INST\]|</?s>", re.IGNORECASE)
#: Sentences in which a model speaks of itself or declines; each needs a first person or a passive verdict,
#: because "sorry" and "cannot" alone occur in honest transcripts.
_REFUSAL = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model|assistant)\b"
    r"|\bi(?:['’]m| am)(?: very)? (?:sorry|unable|not able|an ai)\b"
    r"|\bi (?:can(?:not|['’]t| not)|could(?: not|n['’]t)|do(?: not|n['’]t) (?:know|see|have (?:access|enough)))\b"
    r"|\bi apologi[sz]e\b"
    r"|\b(?:cannot|can['’]t|can not|could not|couldn['’]t|impossible to|not possible to) (?:be )?"
    r"(?:determined?|identif(?:y|ied)|answer(?:ed)?|tell)\b"
    r"|\bunable to (?:determine|identify|answer|see|provide|assist)\b",
    re.IGNORECASE,
)
#: Words of our own instructions that a person who looks at a picture would not use.
_LEAK = re.compile(
    r"\b(?:instruction type|kind of question|form of the answer|(?:given|provided|listed) tags|the tags|json object)\b",
    re.IGNORECASE,
)
_YES_NO = re.compile(r"(yes|no)\W*", re.IGNORECASE)


def words(text: str) -> list[str]:
    """Return the words of a text, case folded."""
    return _WORD.findall(text.casefold())


def judge_by_rule(
    row: Generated, earlier: Iterable[Generated], params: RuleParams, prompt: Prompt | None = None
) -> Drop | None:
    """Return the first rule that the row breaks, in the order of `REASONS`, or None.

    `earlier` are the rows of the same picture, with a smaller n, that passed these rules; `prompt` is what the
    generating model was told, None for the package's prompt.
    """
    told = load_prompt(*step3_generate.PROMPT) if prompt is None else prompt
    return (
        _texts(row, params)
        or _lengths(row, params)
        or _manners(row, params, told)
        or _repeats(row, params)
        or _answer(row, params)
        or _duplicate(row, earlier)
    )


def _parts(row: Generated) -> tuple[tuple[str, str], ...]:
    answers = row.options or (row.answer,)
    return (("question", row.question), *(("answer", text) for text in answers))


def _texts(row: Generated, params: RuleParams) -> Drop | None:
    for name, text in _parts(row):
        if not any(c.isalnum() for c in text):
            return Drop("empty_text", f"{name}: {text!r}")
    for name, text in _parts(row):
        if found := _MARKUP.search(text):
            return Drop("control_markup", f"{name}: {found.group()!r}")
    if len(row.question) < params.min_question_chars:
        return Drop("question_too_short", f"chars={len(row.question)} < min_question_chars={params.min_question_chars}")
    language, confidence = detect([text for _, text in _parts(row)])
    other = params.language is not None and language not in (params.language, UNDETERMINED)
    if other and confidence >= params.min_language_confidence:
        return Drop("wrong_language", f"language={language}, confidence={confidence:.2f}; expected {params.language}")
    return None


def _lengths(row: Generated, params: RuleParams) -> Drop | None:
    form = row.typed.format
    if form in ("brief", "detailed"):
        name = f"min_{form}_chars"
        least = params.min_brief_chars if form == "brief" else params.min_detailed_chars
        if len(row.answer) < least:
            return Drop("answer_too_short", f"chars={len(row.answer)} < {name}={least}")
    elif form == "word_or_phrase" and (count := len(row.answer.split())) > params.max_phrase_words:
        return Drop("answer_too_long", f"words={count} > max_phrase_words={params.max_phrase_words}")
    return None


def _manners(row: Generated, params: RuleParams, prompt: Prompt) -> Drop | None:
    for name, text in _parts(row):
        if found := _REFUSAL.search(text):
            return Drop("refusal", f"{name}: {found.group()!r}")
    own = _own_words(prompt, params.leak_words)
    for name, text in _parts(row):
        if found := _LEAK.search(text):
            return Drop("prompt_leak", f"{name}: {found.group()!r}")
        for run in _grams(words(text), params.leak_words):
            if run in own:
                return Drop("prompt_leak", f"{name}: {' '.join(run)!r}")
    return None


def _repeats(row: Generated, params: RuleParams) -> Drop | None:
    for name, text in _parts(row):
        run = max((len(list(same)) for _, same in itertools.groupby(text)), default=0)
        if run > params.max_run:
            return Drop("repetition", f"{name}: run={run} > max_run={params.max_run}")
        share = _repeated_share(words(text))
        if share > params.max_repeated_words:
            return Drop("repetition", f"{name}: share={share:.2f} > max_repeated_words={params.max_repeated_words}")
    return None


def _answer(row: Generated, params: RuleParams) -> Drop | None:
    form = row.typed.format
    if row.options and len({_folded(option) for option in row.options}) < len(row.options):
        return Drop("options_not_distinct", " | ".join(row.options))
    if form == "word_or_phrase" and params.yes_no == "drop" and yes_or_no(row) is not None:
        return Drop("yes_no_answer", row.answer)
    question, answer = words(row.question), tuple(words(row.answer))
    # "Is it red or blue?" names its answers rightly.
    short = form in ("word_or_phrase", "multiple_choice") and "or" not in question
    if short and answer and answer in _grams(question, len(answer)):
        return Drop("answer_in_question", row.answer)
    return None


def yes_or_no(row: Generated) -> str | None:
    """Return "yes" or "no" where that is the whole answer, else None."""
    return bare_answer(row.typed.format, row.answer)


def bare_answer(form: str, answer: str) -> str | None:
    """Return "yes" or "no" where an answer in the form of a word or phrase says nothing else, else None."""
    found = _YES_NO.fullmatch(answer) if form == "word_or_phrase" else None
    return found.group(1).lower() if found else None


def _duplicate(row: Generated, earlier: Iterable[Generated]) -> Drop | None:
    mine = _folded(row.question)
    for other in earlier:
        if _folded(other.question) == mine:
            return Drop("duplicate_question", f"as attempt {other.typed.attempt.key}: {row.question}")
    return None


def _folded(text: str) -> str:
    """Return the text without case, outer white space and final stops; "+5" and "-5" stay different."""
    return " ".join(text.casefold().split()).rstrip(" .?!")


def _grams(tokens: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[k : k + n]) for k in range(len(tokens) - n + 1)]


def _repeated_share(tokens: list[str]) -> float:
    """Return the share of words that lie in word 3-grams said before (after Rae et al. 2021).

    The first time does not count: a short answer that ends with what it began with is no repetition.
    """
    seen: set[tuple[str, ...]] = set()
    covered: set[int] = set()
    for place, gram in enumerate(_grams(tokens, 3)):
        if gram in seen:
            covered.update(range(place, place + 3))
        seen.add(gram)
    return len(covered) / len(tokens) if tokens else 0.0


@lru_cache(maxsize=8)
def _own_words(prompt: Prompt, n: int) -> frozenset[tuple[str, ...]]:
    """Return the word n-grams of the instructions that the generating model saw."""
    return frozenset(run for _, text in prompt.sections for run in _grams(words(text), n))
