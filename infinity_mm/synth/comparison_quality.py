"""How well the model that compares answers tells the same answer in other words from another one.

Pairs are made from rows of the run, by rule: the written answer reworded, which is the same, and altered as for the
judge, which is not. Each goes the way of the run: text and numbers decide what they can, and only what they leave open
is asked of the model, under the very call of the checks. The rates are the model's alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from infinity_mm.frozen import Frozen
from infinity_mm.synth import semantic
from infinity_mm.synth.agreement import compare
from infinity_mm.synth.alter import KINDS, alterations
from infinity_mm.synth.calls import call
from infinity_mm.synth.chat import Chat, Request
from infinity_mm.synth.checks import compared
from infinity_mm.synth.judge_quality import ALL, ALTERED, FEWEST, is_chance
from infinity_mm.synth.params import SemanticParams, SynthParams
from infinity_mm.synth.probe import draw
from infinity_mm.synth.reword import REWORDINGS, rewordings
from infinity_mm.synth.rows import FORMATS, Comparison, Format, Generated, Judged
from infinity_mm.synth.wilson import Rate, rate

#: All rewordings together.
REWORDED = "reworded"


@dataclass(frozen=True)
class Pair:
    """A written answer and one that says the same, or another thing."""

    kind: str
    row: Generated
    other: str


@dataclass(frozen=True)
class Compared:
    """What was made of one pair."""

    kind: str
    #: Attempt whose answer it is.
    key: str
    format: Format
    question: str
    written: str
    other: str
    #: What decided, see `Comparison`; None where nothing did.
    by: Literal["exact", "numeric", "semantic"] | None
    same: bool | None


class ComparisonRates(Frozen):
    """How often one kind of pair is found to say the same."""

    #: ``reworded`` for all that say the same (the rate is the true positive rate), ``altered`` for all that do not (the
    #: false positive rate), or one kind of either.
    kind: str
    #: Answer format, or ``all``.
    format: str
    pairs: int
    #: Of them, decided by text or numbers without the model.
    plain: int
    #: Share of the others that the model finds the same, of those that it could be read about.
    same: Rate


class MistakenPair(Frozen):
    """A pair that the model was wrong about."""

    kind: str
    #: Attempt whose answer it is.
    key: str
    format: str
    question: str
    written: str
    other: str


class ComparisonReport(Frozen):
    """The model that compares answers, measured on seeded pairs."""

    model: str
    #: Weights, see `infinity_mm.synth.cache.key.model_identity`.
    identity: str
    #: As `infinity_mm.synth.params.SemanticParams.by`.
    by: str
    #: Rows of the run that were drawn, and pairs made of them.
    rows: int
    reworded: int
    altered: int
    #: Tries, and their tokens, in no other count; and pairs that the cache knew the answer about.
    calls: int
    cached: int
    prompt_tokens: int
    completion_tokens: int
    rates: tuple[ComparisonRates, ...]
    #: True where the counts cannot tell the model from chance.
    chance: bool
    warnings: tuple[str, ...]
    #: Some of the pairs that it was wrong about.
    mistaken: tuple[MistakenPair, ...]

    def overall(self, kind: str) -> ComparisonRates | None:
        """Return the rates of a kind over all formats, None where there was no pair."""
        return next((one for one in self.rates if (one.kind, one.format) == (kind, ALL)), None)


def drawn(pool: Sequence[Judged], params: SynthParams, seed: int) -> list[Judged]:
    """Return the rows that are reworded and altered: of those whose answers the checks compare as texts."""
    looked_at = compared(params.checks)
    open_rows = [one for one in pool if not one.generated.options and one.generated.typed.format in looked_at]
    return draw(open_rows, params.judge_probe.rows, seed)


def pairs(rows: Sequence[Judged], pool: Sequence[Judged], seed: int) -> Iterator[Pair]:
    """Yield the pairs of the rows; other rows' answers come from `pool`, whatever its order."""
    by_form: dict[Format, list[str]] = {}
    for one in draw(pool, len(pool), seed):
        by_form.setdefault(one.generated.typed.format, []).append(one.generated.answer)
    for row in (one.generated for one in rows):
        yield from (Pair(kind, row, other) for kind, other in rewordings(row))
        yield from (Pair(kind, row, other) for kind, other in alterations(row, by_form[row.typed.format], seed))


def measure(
    comparer: Chat, asked: Sequence[Pair], params: SynthParams, semantics: SemanticParams, seed: int
) -> tuple[list[Compared], Counter[str]]:
    """Compare the pairs; returns what was made of each, and the costs as `infinity_mm.synth.probe.measure` does."""
    plain = [compare(one.other, one.row.answer, params.checks.tolerance) for one in asked]
    open_pairs = [k for k, found in enumerate(plain) if found.same is None]
    made = call(comparer, [_request(asked[k], semantics, seed) for k in open_pairs], params.max_retries)
    cost: Counter[str] = Counter(calls=0, cached=0, prompt_tokens=0, completion_tokens=0)
    found = list(plain)
    for k, one in zip(open_pairs, made, strict=True):
        found[k] = semantic.read(one.reply, semantics)
        if one.cached:
            cost["cached"] += 1
        else:
            cost.update(calls=one.attempts, prompt_tokens=one.prompt_tokens, completion_tokens=one.completion_tokens)
    return [_compared(pair, one) for pair, one in zip(asked, found, strict=True)], cost


def rates_of(found: Iterable[Compared]) -> tuple[ComparisonRates, ...]:
    """Return the rates per kind over all formats, and of both sides per format."""
    cells: dict[tuple[str, str], Counter[str]] = {}
    for one in found:
        side = REWORDED if one.kind in REWORDINGS else ALTERED
        plain = one.by in ("exact", "numeric")
        known = not plain and one.same is not None
        for cell in ((side, ALL), (side, one.format), (one.kind, ALL)):
            cells.setdefault(cell, Counter()).update(pairs=1, plain=plain, known=known, same=known and bool(one.same))
    order = [(kind, form) for kind in (REWORDED, *REWORDINGS, ALTERED, *KINDS) for form in (ALL, *FORMATS)]
    return tuple(
        ComparisonRates(
            kind=cell[0], format=cell[1], pairs=n["pairs"], plain=n["plain"], same=rate(n["same"], n["known"])
        )
        for cell in order
        if (n := cells.get(cell)) is not None
    )


def warnings_of(rates: Sequence[ComparisonRates]) -> tuple[bool, tuple[str, ...]]:
    """Return whether the model cannot be told from chance, and sentences for people that say what it confuses."""
    cells: Mapping[tuple[str, str], Rate] = {(one.kind, one.format): one.same for one in rates}
    right, wrong = cells.get((REWORDED, ALL)), cells.get((ALTERED, ALL))
    if right is None or wrong is None or not right.of or not wrong.of:
        return True, ("the comparison by a model could not be measured: no pair of both sides was left to it",)
    if is_chance(right, wrong):
        return True, (
            f"the model that compares answers cannot be told from chance: it finds {_words(right)} of the reworded "
            f"answers the same and {_words(wrong)} of the altered ones; name a better one in synth.checks.semantic, or "
            "probe more rows (synth.judge_probe.rows)",
        )
    said = []
    for (kind, form), one in cells.items():
        if form != ALL or one.of < FEWEST:
            continue
        if kind in REWORDINGS and is_chance(one, wrong):
            said.append(f"the model that compares answers finds only {_words(one)} of the rewordings {kind} the same")
        elif kind in KINDS and is_chance(right, one):
            said.append(f"the model that compares answers finds {_words(one)} of the alterations {kind} the same")
    return False, tuple(said)


def mistaken(found: Iterable[Compared], most: int) -> tuple[MistakenPair, ...]:
    """Return the first `most` pairs that the model was wrong about."""
    wrong = [
        one for one in found if one.by == "semantic" and one.same is not None and one.same != (one.kind in REWORDINGS)
    ]
    return tuple(
        MistakenPair(
            kind=one.kind,
            key=one.key,
            format=one.format,
            question=one.question,
            written=one.written,
            other=one.other,
        )
        for one in wrong[:most]
    )


def _request(pair: Pair, semantics: SemanticParams, seed: int) -> Request:
    """Return the very call of the checks, under a key of its own; it is greedy, so the cache may know it."""
    made = semantic.request(pair.row, pair.other, "same_answer", semantics, seed)
    return made.model_copy(update={"key": f"{pair.row.typed.attempt.key}/{pair.kind}/same"})


def _compared(pair: Pair, found: Comparison) -> Compared:
    row = pair.row
    return Compared(
        pair.kind, row.typed.attempt.key, row.typed.format, row.question, row.answer, pair.other, found.by, found.same
    )


def _words(one: Rate) -> str:
    return f"{one.rate or 0:.0%} ({one.passed} of {one.of})"
