"""Texts that loop, are damaged, empty or endless; and the repaired text where encoding could be mended.

Written for sources whose texts are short on purpose: captions are a few lower-case tokenised words, half of the
answers of visual dialogue are one word, and both are kept. Repetition is looked for inside single answers, from
50 words on: the same short answer in ten turns, or the same instruction before every question, is no loop. Numbers
and markup tags never count as repeated, so tables and boxes may be as regular as they are. White space is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Self

import pyarrow as pa
from pydantic import Field, model_validator

from infinity_mm.filters.base import FilterParams, Verdict
from infinity_mm.record import IMAGE_TOKEN
from infinity_mm.text import (
    comparable,
    garbled_marks,
    repair,
    repeated_ngram_share,
    repeated_share,
    tokens,
    top_ngram_share,
    words,
)
from infinity_mm.turns import flat_turns

NAME = "text"
VERSION = 1
READS = ("id", "messages")
FROM = (NAME,)
ATTRIBUTES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # All turns, without placeholders and white space at the ends.
        pa.field("n_chars", pa.int32(), nullable=False),
        # All turns; one per character of Han, kana, Thai, ...
        pa.field("n_words", pa.int32(), nullable=False),
        # Shares, 0 to 1, of the worst answer; 0 where no answer is long enough to tell.
        pa.field("top_ngram_share", pa.float32(), nullable=False),
        pa.field("repeated_ngram_share", pa.float32(), nullable=False),
        pa.field("repeated_line_share", pa.float32(), nullable=False),
        # Places that still look wrongly decoded after repair.
        pa.field("garbled_marks", pa.int32(), nullable=False),
        pa.field("repaired", pa.bool_(), nullable=False),
        # Contents of all turns after repair; null where repair changed nothing.
        pa.field("messages_repaired", pa.list_(pa.string())),
    ]
)
REASONS = ("too_short", "too_long", "garbled", "repeated_words", "repeated_lines")

#: Words, and lines, from which repetition can be told from style.
MIN_WORDS = 50
MIN_LINES = 10
#: A line of fewer words ("<tr>", "else:", "end") is syntax and may repeat.
WORDS_OF_A_LINE = 3
TOP_NGRAM = 4
REPEATED_NGRAM = 10

_TAG = re.compile(r"</?[A-Za-z][\w:-]*(?:\s[^<>\n]*)?/?>")


class Params(FilterParams):
    """Limits per record; all are inclusive."""

    #: Characters of all turns. 1 asks for any text at all; "7" is a good answer.
    min_chars: int = Field(default=1, ge=0)
    #: Characters of all turns. About 50,000 tokens, beyond the context of the models trained on these sources.
    max_chars: int = Field(default=200_000, ge=1)
    #: Share of an answer's words that copies of one 4-gram make up.
    max_top_ngram_share: float = Field(default=0.6, ge=0.0, le=1.0)
    #: Share of an answer's words inside 10-grams that occurred before. Gopher drops web pages above 0.1 of the
    #: characters; code, forms and answers that quote themselves need more room.
    max_repeated_ngram_share: float = Field(default=0.5, ge=0.0, le=1.0)
    #: Share of an answer's lines that equal an earlier one. Gopher: 0.3 on web pages; songs and code need more room.
    max_repeated_line_share: float = Field(default=0.5, ge=0.0, le=1.0)
    #: Garbled places per character, and the number below which a text is never called garbled.
    max_garbled_share: float = Field(default=0.01, ge=0.0, le=1.0)
    min_garbled_marks: int = Field(default=3, ge=1)

    @model_validator(mode="after")
    def _some_pass(self) -> Self:
        if self.min_chars > self.max_chars:
            raise ValueError(f"no text passes min_chars={self.min_chars} and max_chars={self.max_chars}")
        return self


def measure(records: pa.Table, params: Params) -> pa.Table:
    """Return `ATTRIBUTES` for records with the columns `READS`."""
    ids = records.column("id").to_pylist()
    rows = [
        {"id": id_, **_measure_row(roles, contents)}
        for id_, (roles, contents) in zip(ids, flat_turns(records), strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=ATTRIBUTES)


def _measure_row(roles: Sequence[str], contents: Sequence[str]) -> dict[str, object]:
    mended = [repair(content) for content in contents]
    texts = [content.replace(IMAGE_TOKEN, " ").strip() for content in mended]
    answers = [_repetition(text) for role, text in zip(roles, texts, strict=True) if role == "assistant"]
    top, repeated, lines = (
        (max(shares, default=0.0) for shares in zip(*answers, strict=True)) if answers else (0.0,) * 3
    )
    repaired = any(new is not old for new, old in zip(mended, contents, strict=True))
    return {
        "n_chars": sum(map(len, texts)),
        "n_words": sum(len(tokens(text)) for text in texts),
        "top_ngram_share": top,
        "repeated_ngram_share": repeated,
        "repeated_line_share": lines,
        "garbled_marks": sum(map(garbled_marks, texts)),
        "repaired": repaired,
        "messages_repaired": mended if repaired else None,
    }


def _repetition(answer: str) -> tuple[float, float, float]:
    """Return the three shares of one answer."""
    if len(answer) < MIN_WORDS:  # cannot hold as many words
        return 0.0, 0.0, 0.0
    top = repeated = 0.0
    answer = _TAG.sub(" ", answer)
    found = words(answer)
    if len(found) >= MIN_WORDS:
        items = comparable(found)
        top, repeated = top_ngram_share(items, TOP_NGRAM), repeated_ngram_share(items, REPEATED_NGRAM)
    lines = [line for line in map(tuple, map(words, answer.split("\n"))) if len(line) >= WORDS_OF_A_LINE]
    return top, repeated, repeated_share(lines) if len(lines) >= MIN_LINES else 0.0


def judge(attributes: pa.Table, params: Params) -> Sequence[Verdict | None]:
    """Return the first fault of each row in the order of `REASONS`."""
    names = [name for name in ATTRIBUTES.names if name not in ("id", "repaired", "messages_repaired")]
    columns = [attributes.column(name).to_pylist() for name in names]
    return [_fault(dict(zip(names, row, strict=True)), params) for row in zip(*columns, strict=True)]


def _fault(row: dict[str, float], params: Params) -> Verdict | None:
    chars, marks = int(row["n_chars"]), int(row["garbled_marks"])
    if chars < params.min_chars:
        return Verdict("too_short", f"chars={chars} < min_chars={params.min_chars}")
    if chars > params.max_chars:
        return Verdict("too_long", f"chars={chars} > max_chars={params.max_chars}")
    if marks >= params.min_garbled_marks and marks > params.max_garbled_share * chars:
        return Verdict("garbled", f"marks={marks} chars={chars} max_garbled_share={params.max_garbled_share}")
    for reason, name, limit in (
        ("repeated_words", "top_ngram_share", params.max_top_ngram_share),
        ("repeated_words", "repeated_ngram_share", params.max_repeated_ngram_share),
        ("repeated_lines", "repeated_line_share", params.max_repeated_line_share),
    ):
        if row[name] > limit:
            return Verdict(reason, f"{name}={row[name]:.2f} > max_{name}={limit}")
    return None
