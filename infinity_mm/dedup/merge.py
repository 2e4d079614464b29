"""Several conversations about one picture as one: which may be appended to which, and what of them.

In image mode the rows that show one picture lose to one of them, whatever they say. Merging keeps what they say: the
removed rows' questions follow the kept row's own, and only what cannot be appended stays a plain removal:

- Appended are whole rounds, a question and its answer. A round whose question and answer are there already, in normal
  form, is not repeated; the same question with another answer is appended.
- Captions answer a prompt that says nothing. Of several captions under one prompt the first stays: a conversation that
  asks twice for a description and gets two teaches little.
- Interleaved documents and preference pairs are never merged, in neither direction: the places of the pictures are
  their content, and the rejected answer belongs to the last question as it stands.
- The appended rounds stand under the kept row's system turn, so both rows must have an equal one, or none.
- Pictures are compared in order and one by one, so the kept row's show what the removed row's marks stood for, and
  those marks are dropped. They must stand before the first question or on lines of their own after it:
  "<image> and <image>" inside a sentence are words, and a second picture shown later is meant by what is said there.
- A conversation grows up to a bound of turns and of characters. A row that would exceed it stays removed, whole, and
  shorter ones after it may still fit.

What is removed is offered in keep order (priority, pixels, answer length, id), so the result is a function of the set
of rows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import pyarrow as pa

from infinity_mm.dedup.signature import token_texts
from infinity_mm.record import IMAGE_TOKEN
from infinity_mm.turns import flat_turns

#: Reason of a removed row whose questions are in the conversation of the row that was kept.
MERGED = "merged_into_winner"
#: One user turn and one assistant turn.
TURNS = 2
_NEVER = {"interleaved": "an interleaved document", "preference": "a preference pair"}
_CAPTION = "caption"
_BEFORE = re.compile(rf"\A(?:\s*{re.escape(IMAGE_TOKEN)})+\s*")


class Round(NamedTuple):
    """A question and its answer."""

    #: 16-byte digests of the normal forms of both, and of the question alone.
    key: bytes
    question: bytes
    #: Characters that it adds to a conversation.
    chars: int


@dataclass(frozen=True)
class Spoken:
    """What merging needs to know of one row."""

    #: Why it can neither be merged nor be merged into; None where it can.
    fault: str | None
    #: Why it can be merged into, but not be merged: its marks cannot be dropped.
    fixed: str | None
    caption: bool
    #: 16-byte digest of the system turn; empty without one.
    system: bytes
    rounds: tuple[Round, ...]
    #: Characters of all turns.
    chars: int


@dataclass(frozen=True)
class Limits:
    """How large a merged conversation may become."""

    turns: int
    chars: int


@dataclass(frozen=True)
class Decision:
    """What becomes of one removed row."""

    #: Why it stays a plain removal; None for a merged row.
    refusal: str | None
    #: Its rounds, by number, that are appended; () where all are there already.
    rounds: tuple[int, ...] = ()
    #: First turn of them in the merged conversation, system turn not counted, from 1; 0 where none is appended.
    turn: int = 0


def describe(records: pa.Table) -> list[Spoken]:
    """Return what merging needs to know of each record; columns read: `category`, `messages`."""
    turns = flat_turns(records)
    texts = token_texts(turns)
    described = []
    for (begin, end), category in zip(pairwise(turns.starts), records.column("category").to_pylist(), strict=True):
        roles, contents = turns.roles[begin:end], turns.contents[begin:end]
        described.append(_describe(category, roles, contents, texts[begin:end]))
    return described


def _describe(category: str, roles: Sequence[str], contents: Sequence[str], texts: Sequence[bytes]) -> Spoken:
    first = int(bool(roles) and roles[0] == "system")
    fault = _NEVER.get(category)
    if fault is None and (len(roles) == first or list(roles[first:]) != _rounds(len(roles) - first)):
        fault = "no conversation of questions and answers"
    bare, fixed = _without_marks(contents[first:])
    rounds = []
    if fault is None:
        for n in range(first, len(roles), TURNS):
            chars = len(bare[n - first]) + len(bare[n - first + 1])
            rounds.append(Round(_digest(texts[n], texts[n + 1]), _digest(texts[n]), chars))
    system = _digest(texts[0]) if first else b""
    return Spoken(fault, fixed, category == _CAPTION, system, tuple(rounds), sum(map(len, contents)))


def _rounds(turns: int) -> list[str]:
    return ["user", "assistant"] * (-(-turns // TURNS))


def _digest(*texts: bytes) -> bytes:
    return hashlib.blake2b(b"\x1e".join(texts), digest_size=16).digest()


def _without_marks(contents: Sequence[str]) -> tuple[list[str], str | None]:
    """Return the turns without the pictures' marks, and why they cannot be dropped, if so."""
    bare = list(contents)
    if bare:
        bare[0] = _cut_after(_BEFORE.sub("", bare[0]))
    if any(IMAGE_TOKEN in text for text in bare):
        return bare, "a picture's mark stands inside the text"
    if any(not text.strip() for text in bare):
        return bare, "nothing is asked but the picture shown"
    return bare, None


def _cut_after(text: str) -> str:
    """Return the text without the lines at its end that hold nothing but marks."""
    lines = text.split("\n")
    stop = len(lines)
    while stop > 1 and not lines[stop - 1].replace(IMAGE_TOKEN, "").strip():
        stop -= 1
    marked = any(IMAGE_TOKEN in line for line in lines[stop:])
    return "\n".join(lines[:stop]).rstrip() if marked else text


def decide(winner: Spoken, offers: Sequence[Spoken], limits: Limits) -> list[Decision]:
    """Return what becomes of each removed row, given in keep order."""
    if winner.fault is not None:
        return [Decision(f"the kept row is {winner.fault}") for _ in offers]
    known = {one.key for one in winner.rounds}
    asked = {one.question for one in winner.rounds}
    turns, chars = TURNS * len(winner.rounds), winner.chars
    decisions = []
    for offer in offers:
        fresh = _fresh(offer, known)
        refusal = _refusal(winner, offer, fresh, asked) or _overflow(turns, chars, fresh, limits)
        if refusal is not None:
            decisions.append(Decision(refusal))
            continue
        decisions.append(Decision(None, tuple(fresh), turns + 1 if fresh else 0))
        known |= {offer.rounds[n].key for n in fresh}
        asked |= {offer.rounds[n].question for n in fresh}
        turns += TURNS * len(fresh)
        chars += sum(one.chars for one in fresh.values())
    return decisions


def _fresh(offer: Spoken, known: set[bytes]) -> Mapping[int, Round]:
    """Return, by number, the rounds that are not known, each once."""
    first: dict[bytes, int] = {}
    for n, one in enumerate(offer.rounds):
        if one.key not in known:
            first.setdefault(one.key, n)
    return {n: offer.rounds[n] for n in first.values()}


def _refusal(winner: Spoken, offer: Spoken, fresh: Mapping[int, Round], asked: set[bytes]) -> str | None:
    if offer.fault is not None:
        return f"it is {offer.fault}"
    if offer.system != winner.system:
        return "its system turn is not that of the kept row"
    if fresh and offer.fixed is not None:
        return offer.fixed
    if offer.caption and any(one.question in asked for one in fresh.values()):
        return "another caption under the same prompt"
    return None


def _overflow(turns: int, chars: int, fresh: Mapping[int, Round], limits: Limits) -> str | None:
    turns += TURNS * len(fresh)
    chars += sum(one.chars for one in fresh.values())
    if fresh and turns > limits.turns:
        return f"{turns} turns would be more than dedup.max_merged_turns={limits.turns}"
    if fresh and chars > limits.chars:
        return f"{chars} characters would be more than dedup.max_merged_chars={limits.chars}"
    return None


def rounds_of(messages: Sequence[Mapping[str, str]], wanted: Sequence[int]) -> list[dict[str, str]]:
    """Return some rounds of a conversation that `describe` finds no fault with, without the pictures' marks."""
    first = int(messages[0]["role"] == "system")
    bare, _ = _without_marks([message["content"] for message in messages[first:]])
    spoken = []
    for n in wanted:
        spoken += [{"role": "user", "content": bare[TURNS * n]}]
        spoken += [{"role": "assistant", "content": bare[TURNS * n + 1]}]
    return spoken


def joint_license(licenses: Sequence[str]) -> str:
    """Return the licence of texts of several licences, as an SPDX expression: all of them hold."""
    distinct = list(dict.fromkeys(licenses))
    if len(distinct) == 1:
        return distinct[0]
    return " AND ".join(f"({one})" if " OR " in one else one for one in distinct)


def joint_language(languages: Sequence[str]) -> str:
    """Return the language of texts of several: "mul" (ISO 639-2) where those that are known differ, else the first."""
    known = {language for language in languages if language != "und"}
    return "mul" if len(known) > 1 else languages[0]
