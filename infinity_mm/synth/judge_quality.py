"""How well the judge tells right rows from wrong ones, and when that is no better than chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from infinity_mm.frozen import Frozen
from infinity_mm.synth.alter import KINDS
from infinity_mm.synth.probe import AS_WRITTEN, Scored
from infinity_mm.synth.rows import FORMATS
from infinity_mm.synth.wilson import Rate, rate, separation

#: All altered rows together, whatever was altered.
ALTERED = "altered"
#: Rows of all formats together.
ALL = "all"
#: Fewest rows on either side from which a kind or format alone is called no better than chance.
FEWEST = 8


class ProbeRates(Frozen):
    """How often the judge passes one kind of row."""

    #: ``as_written`` (right by assumption: the rate is the true positive rate), ``altered`` for everything wrong by
    #: assumption (the rate is the false positive rate), or one kind of it.
    kind: str
    #: Answer format, or ``all``.
    format: str
    #: Rows asked about, those without a score included.
    asked: int
    #: Share of the scored ones that reach `min_score`.
    passed: Rate
    #: Chance that an unaltered row of the same format scores higher (0.5 is chance); None for ``as_written``.
    separation: float | None


class MissedProbe(Frozen):
    """An altered row that the judge let pass."""

    kind: str
    #: Attempt that was altered.
    key: str
    format: str
    score: int
    question: str
    answer: str
    #: The judge's own words.
    reason: str


class JudgeReport(Frozen):
    """The judge, measured on seeded negatives."""

    model: str
    #: Weights and picture size, see `infinity_mm.synth.cache.key.model_identity`.
    identity: str
    #: True where generator and judge are the same model.
    self_judged: bool
    min_score: int
    #: Rows of the run that were drawn, and altered copies made of them.
    rows: int
    altered: int
    #: Tries, and their tokens, in no other count; and altered rows that the cache knew the judge's answer about.
    calls: int
    cached: int
    prompt_tokens: int
    completion_tokens: int
    rates: tuple[ProbeRates, ...]
    #: True where the counts cannot tell the judge from chance.
    chance: bool
    warnings: tuple[str, ...]
    #: Some of the altered rows that passed all the same.
    missed: tuple[MissedProbe, ...]

    def overall(self, kind: str) -> ProbeRates | None:
        """Return the rates of a kind over all formats, None where nothing was asked."""
        return next((one for one in self.rates if (one.kind, one.format) == (kind, ALL)), None)


def rates_of(scored: Iterable[Scored], min_score: int) -> tuple[ProbeRates, ...]:
    """Return the rates per kind and format, and over all formats; kinds in the order of `KINDS`, then ``altered``."""
    scores: dict[tuple[str, str], Counter[int]] = {}
    asked: Counter[tuple[str, str]] = Counter()
    for one in scored:
        groups = (AS_WRITTEN,) if one.kind == AS_WRITTEN else (one.kind, ALTERED)
        for cell in ((kind, form) for kind in groups for form in (one.format, ALL)):
            asked[cell] += 1
            count = scores.setdefault(cell, Counter())
            if one.score is not None:
                count[one.score] += 1
    order = [(kind, form) for kind in (AS_WRITTEN, ALTERED, *KINDS) for form in (ALL, *FORMATS)]
    return tuple(
        ProbeRates(
            kind=kind,
            format=form,
            asked=asked[kind, form],
            passed=_passed(scores[kind, form], min_score),
            separation=None
            if kind == AS_WRITTEN
            else separation(scores.get((AS_WRITTEN, form), Counter()), scores[kind, form]),
        )
        for kind, form in order
        if (kind, form) in asked
    )


def is_chance(right: Rate, wrong: Rate) -> bool:
    """Tell whether the intervals of the two rates overlap, so that the judge may pass both equally often."""
    return right.low <= wrong.high


def warnings_of(rates: Sequence[ProbeRates], self_judged: bool) -> tuple[bool, tuple[str, ...]]:
    """Return whether the judge cannot be told from chance, and sentences for people that say what it misses."""
    cells = {(one.kind, one.format): one for one in rates}
    said: list[str] = []
    right, wrong = cells.get((AS_WRITTEN, ALL)), cells.get((ALTERED, ALL))
    if right is None or wrong is None or not right.passed.of or not wrong.passed.of:
        said.append("the judge could not be measured: no row was scored both as it is and altered")
        return True, tuple(said)
    chance = is_chance(right.passed, wrong.passed)
    if chance:
        said.append(
            f"the judge cannot be told from chance: it passes {_words(right.passed)} of the rows as written and "
            f"{_words(wrong.passed)} of the altered ones; its scores mean nothing here, or more rows must be probed"
        )
    else:
        said += [line for cell in cells.values() if (line := _missed(cell, cells)) is not None]
    if self_judged:
        said.append("the judge is the model that wrote the rows; name another one in synth.judge")
    return chance, tuple(said)


def _missed(cell: ProbeRates, cells: Mapping[tuple[str, str], ProbeRates]) -> str | None:
    """Say that the judge misses one kind over all formats, or all kinds in one format."""
    if cell.kind == AS_WRITTEN or (cell.kind == ALTERED) == (cell.format == ALL):
        return None
    right = cells.get((AS_WRITTEN, cell.format))
    if right is None or min(right.passed.of, cell.passed.of) < FEWEST or not is_chance(right.passed, cell.passed):
        return None
    what = f"kind {cell.kind}" if cell.format == ALL else f"answer format {cell.format}"
    return (
        f"the judge does not catch altered rows of {what}: it passes {_words(cell.passed)} of them, and "
        f"{_words(right.passed)} of the rows as written"
    )


def _passed(scores: Counter[int], min_score: int) -> Rate:
    return rate(sum(count for score, count in scores.items() if score >= min_score), scores.total())


def _words(one: Rate) -> str:
    return f"{one.rate or 0:.0%} ({one.passed} of {one.of})"
