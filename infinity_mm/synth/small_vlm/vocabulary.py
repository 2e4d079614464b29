"""A tokenizer fitted to the synthesis: fixed text is one token, everything else falls back to byte-level BPE.

Most of the cost of training a model of this size is the number of tokens, and most of a request's text never
changes. So the paragraphs of the prompts, the lines of the taxonomy, the stems of questions and the marks of the
JSON forms are tokens of their own. They are ordinary entries of the vocabulary, found by the pre-tokenizer's
pattern, and no "added tokens": engines break those up where they occur in a prompt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

from infinity_mm.synth import provenance
from infinity_mm.synth.assemble import FORMAT_HINTS
from infinity_mm.synth.idefics3 import SPECIAL
from infinity_mm.synth.prompts import load_prompt
from infinity_mm.synth.rows import LETTERS
from infinity_mm.synth.small_vlm.questions import (
    CATEGORIES,
    NUMBERS,
    PLURAL,
    PREFERENCE,
    YES_NO,
    every_question,
    every_sentence,
)
from infinity_mm.synth.small_vlm.scenes import COLORS, PLACES, SHAPES, WORDS
from infinity_mm.synth.small_vlm.tasks import NOT_SHOWN, RELEVANCE, RIGHT, UNANSWERABLE, WRONG
from infinity_mm.synth.step2_classify import NONE
from infinity_mm.synth.taxonomy import Taxonomy

#: Entries that byte-level BPE learns for text outside of the fixed pieces, the 256 bytes and specials included.
_LEARNED: Final = 512
#: Most characters of a piece: the token trees of llguidance hold 1,024 bytes at most.
_LONGEST: Final = 900
_SLOT: Final = re.compile(r"\$[a-z_0-9]+")


def prompt_versions() -> dict[str, str]:
    """Return name.version and SHA-256 of the prompt files that the vocabulary and the training know."""
    prompts = [*provenance.PROMPTS.values(), RELEVANCE]
    return {f"{name}.v{version}": load_prompt(name, version).sha256 for name, version in prompts}


@cache
def pieces() -> dict[str, tuple[str, ...]]:
    """Return every text that is one token, longest first, with the meanings that its vector is made of.

    A piece that says one of the words of the small world, in whatever frame, has the word among its meanings, and so
    shares with all other such pieces what training finds out about that word.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in (*_prompt_pieces(), *_taxonomy_pieces(), *_json_pieces(), *every_sentence(), *_plain()):
        found.setdefault(text, ())
    found |= {f" {sentence}": (sentence,) for sentence in every_sentence()}
    found |= dict(_worded())
    return {text: found[text] for text in sorted(found, key=lambda text: (-len(text), text))}


def _plain() -> tuple[str, ...]:
    return "User:", "\nAssistant:", "\n", "\n\n", " ", ", ", "?", ". ", "text", NOT_SHOWN


def _prompt_pieces() -> Iterator[str]:
    for name, version in (*provenance.PROMPTS.values(), RELEVANCE):
        for section, text in load_prompt(name, version).sections:
            if section == "system":
                yield from _cut(f"{text}\n")
            elif section.startswith("form."):
                yield f".\nForm of the answer: {text}"
                yield f".\nForm of the answer: {text}\n\nQuestion: "
            else:
                yield from (piece for piece in _SLOT.split(text) if piece.strip())
    yield from (f"\n{hint}" for hint in FORMAT_HINTS.values())


def _cut(text: str) -> list[str]:
    """Return a text in as few parts as need be, cut after line ends, none longer than engines take for one token."""
    parts = [""]
    for line in text.splitlines(keepends=True):
        if len(parts[-1]) + len(line) > _LONGEST:
            parts.append("")
        parts[-1] += line
    return parts


def _taxonomy_pieces() -> Iterator[str]:
    wanted = {leaf for group in PREFERENCE.values() for leaf in group}
    for leaf in Taxonomy.load().leaves:
        yield leaf.name
        yield f"- {leaf.name}: {leaf.asks}\n"
        if leaf.name in wanted:
            yield f"\nKind of question: {leaf.name} ({leaf.level1}, {leaf.level2}). Ask {leaf.asks}"
            yield f"Kind of question: {leaf.name}. It should ask {leaf.asks}"
    yield from (NONE, f"- {NONE}: no question of these kinds suits the picture")


def _json_pieces() -> Iterator[str]:
    yield from ('{"tags":[]}', '{"tags":[{"tag":"')
    yield from (f'","confidence":{score}{after}' for score in (4, 5) for after in ('},{"tag":"', "}]}"))
    yield from ('{"question":"', '","answer":"', '"}', '","distractors":["', '","', '"]}')
    yield from ('{"reason":"', '","score":', f'{{"reason":"{NOT_SHOWN}","score":{UNANSWERABLE}}}')
    yield from (f"{RIGHT}}}", f"{WRONG}}}", "}")


def values() -> tuple[str, ...]:
    """Return everything that can be the answer to a question."""
    return (*COLORS, *SHAPES, *PLACES, *NUMBERS, *WORDS, *CATEGORIES, *YES_NO)


def _worded() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the pieces that say words of the small world, with those words and the frame around them."""
    for value in values():
        yield value, (value,)
        yield f"The answer is {value}.", ("The answer is", value)
        yield f" The answer is {value}.", ("The answer is", value)
        yield f"\nProposed answer: {value}", ("Proposed answer", value)
        for letter in LETTERS:
            yield f"\n{letter}. {value}", ("Option", letter, value)
            yield f"\nProposed answer: {letter}. {value}", ("Proposed answer", letter, value)
    yield from ((letter, (letter,)) for letter in LETTERS)
    yield from ((f", {color}", (color,)) for color in COLORS)
    yield from ((f" {name}", (name,)) for name in (*SHAPES, "bar", "sign"))
    said = {form: shape for shape, plural in PLURAL.items() for form in (shape, plural)}
    said |= {word: word for word in (*COLORS, *PLACES, *NUMBERS)}
    known = re.compile("|".join(rf"\b{word}\b" for word in said))
    for text in every_question():
        yield text, (known.sub("{}", text), *(said[word] for word in known.findall(text)))


def pattern() -> str:
    """Return the pre-tokenizer's regular expression: fixed pieces, then words, digits, marks and white space."""
    fixed = "|".join(_whole(piece) for piece in pieces())
    return rf"{fixed}| ?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+|\s+"


def _whole(piece: str) -> str:
    """Return the pattern of a piece, which ends no earlier than the word or number it ends in."""
    escaped = "".join(f"\\{c}" if c in r"\^$.|?*+()[]{}-" else c for c in piece)
    return escaped + (r"(?!\p{L})" if piece[-1].isalpha() else "")


def build(corpus: Iterable[str]) -> str:
    """Return `tokenizer.json`; `corpus` is text that the merges of the fallback are learned from."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=_LEARNED,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    learner.train_from_iterator(corpus, trainer)
    learned: dict[str, Any] = json.loads(learner.to_str())["model"]
    vocabulary: dict[str, int] = learned["vocab"]
    for piece in pieces():
        vocabulary.setdefault(spelled(piece), len(vocabulary))
    merges = [tuple(merge) for merge in learned["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern()), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    return str(tokenizer.to_str(pretty=False))


def spelled(piece: str) -> str:
    """Return the piece as byte-level BPE spells it: one visible character for each byte of UTF-8."""
    from tokenizers import pre_tokenizers

    [(text, _)] = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(piece)
    return str(text)
