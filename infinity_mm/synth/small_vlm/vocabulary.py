"""A tokenizer fitted to the synthesis: fixed text is one token, everything else falls back to byte-level BPE.

Most of the cost of training a model of this size is the number of tokens, and most of a request's text never
changes. So the paragraphs of the prompts, the lines of the taxonomy, the stems of questions and the marks of the
JSON forms are tokens of their own. They are ordinary entries of the vocabulary, found by the pre-tokenizer's
pattern, and no "added tokens": engines break those up where they occur in a prompt.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

from infinity_mm.synth import provenance
from infinity_mm.synth.assemble import FORMAT_HINTS
from infinity_mm.synth.prompts import load_prompt
from infinity_mm.synth.small_vlm.questions import CATEGORIES, DIRECTIONS, PLURAL, PREFERENCE, ask_all
from infinity_mm.synth.small_vlm.scenes import COLORS, KINDS, LABELS, PLACES, SHAPES, WORDS, draw_scene
from infinity_mm.synth.small_vlm.tasks import NOT_SHOWN, RELEVANCE, UNANSWERABLE, WRONG
from infinity_mm.synth.step2_classify import NONE
from infinity_mm.synth.taxonomy import Taxonomy

PAD, BOS, EOS = "<|pad|>", "<|im_start|>", "<end_of_utterance>"
AROUND, IMAGE, GLOBAL = "<fake_token_around_image>", "<image>", "<global-img>"
SPECIAL: Final = (PAD, BOS, EOS, AROUND, IMAGE, GLOBAL)
#: Entries that byte-level BPE learns for text outside of the fixed pieces, the 256 bytes and specials included.
_LEARNED: Final = 704
_SLOT: Final = re.compile(r"\$[a-z_0-9]+")


def prompt_versions() -> dict[str, str]:
    """Return name.version and SHA-256 of the prompt files that the vocabulary and the training know."""
    prompts = [*provenance.PROMPTS.values(), RELEVANCE]
    return {f"{name}.v{version}": load_prompt(name, version).sha256 for name, version in prompts}


@cache
def pieces() -> tuple[str, ...]:
    """Return every text that is one token, longest first."""
    found = {*_prompt_pieces(), *_taxonomy_pieces(), *_answer_pieces(), *_stems(), *_json_pieces()}
    found |= {"User:", "\nAssistant:", "\n", "\n\n", " ", ", ", "?", ". "}
    return tuple(sorted((piece for piece in found if piece), key=lambda piece: (-len(piece), piece)))


def _prompt_pieces() -> Iterator[str]:
    for name, version in (*provenance.PROMPTS.values(), RELEVANCE):
        for section, text in load_prompt(name, version).sections:
            if section == "system":
                # A system text is followed by a line end, a paragraph inside it by two.
                *inner, last = text.split("\n\n")
                yield from (f"{paragraph}\n\n" for paragraph in inner)
                yield f"{last}\n"
            elif section.startswith("form."):
                yield f".\nForm of the answer: {text}"
            else:
                yield from (piece for piece in _SLOT.split(text) if piece.strip())
    yield from (f"\n{hint}" for hint in FORMAT_HINTS.values())
    yield from (f"\n{letter}. " for letter in "ABCD")


def _taxonomy_pieces() -> Iterator[str]:
    wanted = {leaf for group in PREFERENCE.values() for leaf in group}
    for leaf in Taxonomy.load().leaves:
        yield leaf.name
        yield f"- {leaf.name}: {leaf.asks}\n"
        if leaf.name in wanted:
            yield f"\nKind of question: {leaf.name} ({leaf.level1}, {leaf.level2}). Ask {leaf.asks}"
            yield f"Kind of question: {leaf.name}. It should ask {leaf.asks}"
    yield from (NONE, f"- {NONE}: no question of these kinds suits the picture")


def _answer_pieces() -> Iterator[str]:
    yield from (*COLORS, *SHAPES, *PLURAL.values(), *PLACES, *DIRECTIONS, *LABELS, *WORDS, *CATEGORIES)
    yield from (f", {color}" for color in COLORS)
    yield from (f" {word}" for word in (*SHAPES, *PLURAL.values(), "bar", "sign", "objects"))
    yield from ("yes", "no", "text", NOT_SHOWN)


def _json_pieces() -> Iterator[str]:
    yield from ('{"tags":[]}', '{"tags":[{"tag":"')
    yield from (f'","confidence":{score}{after}' for score in (4, 5) for after in ('},{"tag":"', "}]}"))
    yield from ('{"question":"', '","answer":"', '"}', '","distractors":["', '","', '"]}')
    yield from ('{"reason":"The answer is ', '.","score":', f'{{"reason":"{NOT_SHOWN}","score":{UNANSWERABLE}}}')
    yield from ("10}", f"{WRONG}}}", "}")


def _stems() -> Iterator[str]:
    """Yield what stands between the words that vary, in questions and sentences."""
    words = sorted({*_answer_pieces(), *"0123456789"}, key=len, reverse=True)
    vary = re.compile(r"(?<![A-Za-z])(?:" + "|".join(re.escape(word.strip()) for word in words) + r")(?![A-Za-z])")
    rng = random.Random(5)
    counts: Counter[str] = Counter()
    for index in range(900):
        for question in ask_all(draw_scene(rng, KINDS[index % len(KINDS)])):
            for text in (question.text, question.brief(), question.detailed()):
                counts.update(vary.split(text))
    yield from (stem for stem, count in counts.items() if count >= 8 and len(stem.strip()) > 1)


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
