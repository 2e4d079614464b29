"""From matches to verdicts: which questions are templates, which rows leak what, and the leakage table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.decontam.leakage import Leak, Leakage
from infinity_mm.decontam.matching import BOTH, IMAGE, TEXT
from infinity_mm.decontam.params import MatchParams
from infinity_mm.errors import StageError

#: Evidence -> reason, in the order in which one of several is named.
REASONS = {BOTH: "benchmark_image_and_question", IMAGE: "benchmark_image", TEXT: "benchmark_question"}
#: What each value of `MatchParams.require` accepts as evidence.
ACCEPTED = {"image": (BOTH, IMAGE), "text": (BOTH, TEXT), "either": (BOTH, IMAGE, TEXT), "both": (BOTH,)}
#: Rows that a message shows.
SHOWN = 5

#: Questions that rows hold, and pictures that those rows show, as many as tell templates from others.
ASKED = pa.schema([pa.field("question", pa.uint64(), nullable=False), pa.field("picture", pa.uint64(), nullable=False)])


def asked_about(matches: pa.Table, limit: int) -> pa.Table:
    """Return `ASKED`: of every question that is evidence by itself, the `limit` least of the pictures shown with it.

    Rows without pictures count together as one. Tables of several parts can be joined and asked again: the result is
    that of all rows at once, for the least of all are among the least of each.
    """
    if "evidence" in matches.schema.names:
        matches = matches.filter(pc.equal(matches.column("evidence"), TEXT))
    pairs = matches.select(ASKED.names).group_by(ASKED.names, use_threads=False).aggregate([])
    pairs = pairs.sort_by([("question", "ascending"), ("picture", "ascending")])
    question = pairs.column("question").to_numpy()
    first = np.searchsorted(question, question, side="left")
    return pairs.filter(pa.array(np.arange(len(question)) - first < limit)).cast(ASKED)


def templates(asked: Iterable[pa.Table], max_pictures: int) -> pa.Array:
    """Return the questions (uint64, ascending) that the data asks about more than `max_pictures` different pictures."""
    whole = pa.concat_tables([ASKED.empty_table(), *asked])
    counts = asked_about(whole, max_pictures + 1).group_by("question", use_threads=False).aggregate([([], "count_all")])
    found = counts.filter(pc.greater(counts.column("count_all"), max_pictures)).column("question")
    return found.combine_chunks().sort()


def leaks(matches: pa.Table, generic: pa.Array, params: MatchParams) -> pa.Table:
    """Return the matches that count, the strongest one of each row and benchmark, sorted by row.

    `generic` are the questions of `templates`. Strongest is picture and question, then the picture, then the question;
    among these the least distance and the largest overlap.
    """
    accepted = pc.is_in(matches.column("evidence"), value_set=pa.array(ACCEPTED[params.require]))
    generic = generic.cast(pa.uint64())
    weak = pc.or_(matches.column("template"), pc.is_in(matches.column("question"), value_set=generic))
    table = matches.filter(pc.and_(accepted, pc.invert(pc.and_(pc.equal(matches.column("evidence"), TEXT), weak))))
    order = pc.index_in(table.column("evidence"), value_set=pa.array(list(REASONS)))
    table = table.append_column("order", order)
    table = table.sort_by(
        [
            ("row", "ascending"),
            ("benchmark", "ascending"),
            ("order", "ascending"),
            ("distance", "ascending"),
            ("overlap", "descending"),
            ("item", "ascending"),
        ]
    )
    row = table.column("row").to_numpy()
    name = table.column("benchmark").combine_chunks().dictionary_encode().indices.to_numpy()
    fresh = np.ones(len(row), bool)
    fresh[1:] = (row[1:] != row[:-1]) | (name[1:] != name[:-1])
    return table.filter(pa.array(fresh))


def verdicts(found: pa.Table) -> dict[int, tuple[str, str, list[str]]]:
    """Return row -> (reason, detail, benchmarks) of the rows of `leaks`; the detail names benchmark and item."""
    grouped: dict[int, list[dict[str, Any]]] = {}
    for line in found.to_pylist():
        grouped.setdefault(line["row"], []).append(line)
    told = {}
    for row, lines in grouped.items():
        best = min(lines, key=lambda line: (line["order"], line["benchmark"]))
        others = sorted({line["benchmark"] for line in lines} - {best["benchmark"]})
        also = f"; also in {', '.join(others)}" if others else ""
        names = sorted({line["benchmark"] for line in lines})
        told[row] = (REASONS[best["evidence"]], describe(best) + also, names)
    return told


def describe(line: Mapping[str, Any]) -> str:
    """Return what a line of `MATCHES` says, for people."""
    parts = []
    if line["distance"] is not None:
        parts.append(f"pHash distance {line['distance']}")
    if line["overlap"] is not None:
        parts.append(f"{line['overlap']:.0%} of a question of {line['tokens']} tokens")
    return f"{line['benchmark']} {line['item']}: {', '.join(parts)}"


def tally(found: pa.Table, checked: int) -> Leakage:
    """Count the lines of `leaks`."""
    counts: dict[str, Counter[str]] = {}
    for line in found.select(["benchmark", "evidence"]).to_pylist():
        counts.setdefault(line["benchmark"], Counter())[line["evidence"]] += 1
    return Leakage(
        checked=checked,
        rows=len(set(found.column("row").to_pylist())),
        benchmarks={name: Leak(rows=sum(number.values()), **number) for name, number in sorted(counts.items())},
    )


def check_loss(source: str, leakage: Leakage, max_drop: float, examples: Sequence[str]) -> None:
    """Raise `StageError` where a source would lose a larger share of its rows than `max_drop`, showing five of them."""
    if leakage.rows > max_drop * leakage.checked:
        shown = "\n".join(f"  {line}" for line in examples[:SHOWN])
        most = ", ".join(f"{name} {leak.rows}" for name, leak in leakage.benchmarks.items())
        raise StageError(
            f"decontaminate: source {source!r} would lose {leakage.rows} of {leakage.checked} rows ({most}), more than "
            f"decontaminate.max_drop={max_drop}. Five of them:\n{shown}\nIs it an evaluation set itself? Then leave it "
            "out. Else raise that key, or set decontaminate.mode=mark to look at them"
        )
