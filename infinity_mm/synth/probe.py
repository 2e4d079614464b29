"""Measuring the judge: rows of the run, unaltered and altered, under the very call that scores them.

Rows are drawn among all that the judge has scored, kept or not. Drawing among the kept ones would flatter: they are
those that passed, so a judge of pure chance would look as if it told them from their altered copies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from infinity_mm.keyed import keyed_u64
from infinity_mm.synth import step4_filter
from infinity_mm.synth.alter import alterations
from infinity_mm.synth.calls import call
from infinity_mm.synth.chat import Chat, Request
from infinity_mm.synth.params import SynthParams, call_seed
from infinity_mm.synth.rows import Format, Generated, Judged

#: The kind of what the run itself wrote, right by assumption.
AS_WRITTEN = "as_written"


@dataclass(frozen=True)
class Probe:
    """One altered row, wrong by assumption."""

    kind: str
    #: The attempt that was altered; its picture may be another one now.
    key: str
    row: Generated
    request: Request


@dataclass(frozen=True)
class Scored:
    """What the judge made of one row, altered or not."""

    kind: str
    #: Attempt that was altered.
    key: str
    format: Format
    #: 1 to 10, None where the call failed.
    score: int | None
    #: As the judge saw them.
    question: str
    answer: str
    reason: str


def draw(rows: Sequence[Judged], count: int, seed: int) -> list[Judged]:
    """Return at most `count` rows by a hash of (seed, attempt), whatever the order of the others."""
    return sorted(rows, key=lambda row: _order(row, seed))[:count]


def probes(rows: Sequence[Judged], pool: Sequence[Judged], params: SynthParams, seed: int) -> list[Probe]:
    """Return the altered copies of the rows.

    Another row's answer, or another picture, comes from `pool`, from a place drawn by (seed, attempt).
    """
    by_form: dict[Format, list[str]] = {}
    ordered = sorted(pool, key=lambda row: _order(row, seed))
    for row in ordered:
        by_form.setdefault(row.generated.typed.format, []).append(row.generated.answer)
    return [
        Probe(kind, (key := row.generated.typed.attempt.key), altered, _request(kind, key, altered, params, seed))
        for row in rows
        for kind, altered in _altered(row.generated, ordered, by_form[row.generated.typed.format], seed)
    ]


def measure(
    judge: Chat, rows: Sequence[Judged], pool: Sequence[Judged], params: SynthParams, seed: int
) -> tuple[list[Scored], Counter[str]]:
    """Ask the judge about the altered copies of `rows`; returns the scores of both, and what the calls cost.

    The unaltered rows keep the score they have; only altered ones cost a call. The costs are ``calls`` (tries),
    their ``prompt_tokens`` and ``completion_tokens``, and how many answers were ``cached``.
    """
    asked = probes(rows, pool, params, seed)
    made = call(judge, [probe.request for probe in asked], params.max_retries)
    found = [_scored(AS_WRITTEN, row.generated.typed.attempt.key, row.generated, row) for row in rows]
    cost: Counter[str] = Counter(calls=0, cached=0, prompt_tokens=0, completion_tokens=0)
    for probe, one in zip(asked, made, strict=True):
        result = step4_filter.read(probe.row, one.reply, params, seed)
        found.append(_scored(probe.kind, probe.key, probe.row, result if isinstance(result, Judged) else None))
        if one.cached:
            cost["cached"] += 1
            continue
        cost.update(calls=one.attempts, prompt_tokens=one.prompt_tokens, completion_tokens=one.completion_tokens)
    return found, cost


def _altered(
    row: Generated, pool: Sequence[Judged], answers: Sequence[str], seed: int
) -> Iterator[tuple[str, Generated]]:
    attempt = row.typed.attempt
    start = keyed_u64(seed, "synth.probe.image", attempt.key) % len(pool) if pool else 0
    for other in (*pool[start:], *pool[:start]):
        parent = other.generated.typed.attempt.parent
        if parent.image.sha256 != attempt.parent.image.sha256:
            tagged = replace(attempt.tagged, parent=parent)
            yield "swapped_image", replace(row, typed=replace(row.typed, attempt=replace(attempt, tagged=tagged)))
            break
    for kind, answer in alterations(row, answers, seed):
        yield kind, replace(row, answer=answer)


def _request(kind: str, key: str, row: Generated, params: SynthParams, seed: int) -> Request:
    """Return the judge's own call, under a key and a seed of the probe."""
    request = step4_filter.request(row, params, seed)
    file = params.prompt("judge", step4_filter.PROMPT).file
    name = f"{key}/{kind}"
    own = {"prompt_file": file, "key": f"{name}/judge", "seed": call_seed(seed, "judge", name)}
    return request.model_copy(update=own)


def _scored(kind: str, key: str, row: Generated, judged: Judged | None) -> Scored:
    answer = f"{row.letter}. {row.answer}" if row.letter else row.answer
    return Scored(
        kind,
        key,
        row.typed.format,
        judged.score if judged else None,
        step4_filter.with_options(row.question, row.options),
        answer,
        judged.reason if judged else "",
    )


def _order(row: Judged, seed: int) -> tuple[int, str]:
    key = row.generated.typed.attempt.key
    return keyed_u64(seed, "synth.probe", key), key
