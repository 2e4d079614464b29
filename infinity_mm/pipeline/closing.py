"""Closing the books: the ledger, re-read from disk, is counted part by part and its ids compared range by range."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from infinity_mm.fingerprint import fingerprint
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.keyed import keyed_u64
from infinity_mm.ledger import (
    JOINED_ELSEWHERE,
    LedgerRow,
    SourceBooks,
    add_books,
    check_counts,
    check_identities,
    check_outcomes,
    draw_books,
    identities,
)
from infinity_mm.pipeline.books import Fate
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.store import Store, part_name

TALLY_VERSION = 2
#: Rows whose ids one task compares: about 300 MB.
AUDIT_ROWS = 4_000_000
_PREFIXES = 1 << 16
#: Examples of each kind that a report shows, and of kept rows per source.
EXAMPLES = 6
KEPT_EXAMPLES = 2
#: Generated questions of each instruction type.
TYPE_EXAMPLES = 10


class QuarantinedRow(Frozen):
    """A quarantined row as a report shows it."""

    id: str
    source: str
    source_ref: str
    reason: str
    detail: str
    raw: str


class Examples(Frozen):
    """Rows that a report shows; which ones is a hash of seed and id."""

    duplicates: tuple[LedgerRow, ...] = ()
    kept: tuple[LedgerRow, ...] = ()
    #: One of each reason.
    quarantined: tuple[QuarantinedRow, ...] = ()
    #: Instruction type -> ids of kept questions about pictures.
    generated: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Tally(Frozen):
    """One part of the ledger, counted."""

    source: str
    books: SourceBooks
    examples: Examples


@dataclass(frozen=True)
class TallyTask:
    """One part of the ledger to count."""

    work: str
    fate: Fate
    ledger: str
    seed: int
    tally: str
    ids: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The tally (JSON) and the part's ids."""
        return (self.tally, self.ids)


@dataclass(frozen=True)
class AuditTask:
    """A range of ids, over all parts."""

    work: str
    ids: tuple[str, ...]
    #: First and last prefix.
    low: int
    high: int
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """A note that the range was found in order."""
        return (self.output,)


def close_books(
    context: Context, fates: Sequence[Fate], ledgers: Mapping[Part, str], expected: Mapping[str, int]
) -> tuple[dict[str, SourceBooks], dict[str, Examples]]:
    """Count the ledger on disk and check it; returns the books and the examples per source.

    Raises `StageError` where the rows of a source are not as many as the readers planned (`expected`), an id
    occurs twice, or a winner is none.
    """
    store, seed = context.store, context.recipe.seed
    tasks = []
    for fate in fates:
        part, ledger = fate.part, ledgers[fate.part]
        name = fingerprint(["tally", TALLY_VERSION, seed], [ledger, part.ingest])
        path = f"state/books/{part.source}/part-{part.number:05d}-{name}.json"
        ids = f"state/identities/{part.source}/{part_name(part.number, name)}"
        tasks.append(TallyTask(store.work.uri, fate, ledger, seed, path, ids))
    run_pass(context, "books", tally_part, tasks)
    # A source whose files hold no row is named all the same.
    books = {name: SourceBooks(rows=0, kept=0) for name in sorted(expected)}
    examples: dict[str, Examples] = {}
    for task in tasks:
        tally = Tally.model_validate_json(store.at(task.tally).read_bytes())
        books[tally.source] = add_books(books.get(tally.source, SourceBooks(rows=0, kept=0)), tally.books)
        examples[tally.source] = merge_examples(seed, [examples.get(tally.source, Examples()), tally.examples])
    check_counts({name: book.rows for name, book in books.items()}, expected)
    _audit(context, [task.ids for task in tasks], sum(book.rows for book in books.values()))
    return dict(sorted(books.items())), examples


def tally_part(task: TallyTask) -> None:
    """Count one part of the ledger, choose its examples, and write its ids sorted."""
    store, fate = Store(Location(task.work)), task.fate
    ledger = store.read(task.ledger)
    check_outcomes(ledger)
    source = fate.part.source
    books = draw_books(ledger).get(source, SourceBooks(rows=0, kept=0))
    measured = store.read(fate.part.ingest, ["id", "notes", "file_bytes", "images_lost"])
    notes = Counter(note for row in measured.column("notes").to_pylist() for note in row)
    books = books.model_copy(update={"notes": dict(sorted(notes.items()))})
    if fate.ingested:
        kept = ledger.filter(pc.equal(ledger.column("outcome"), "kept")).column("id")
        measured = measured.filter(pc.is_in(measured.column("id"), value_set=kept.combine_chunks()))
        sizes = sum(sum(row) for row in measured.column("file_bytes").to_pylist())
        lost = sum(len(row) for row in measured.column("images_lost").to_pylist())
        books = books.model_copy(update={"image_bytes": sizes, "images_lost": lost})
    store.write(task.ids, identities(ledger), group_rows=1_024)
    tally = Tally(source=source, books=books, examples=_choose(store, task, ledger))
    store.at(task.tally).write_bytes(orjson.dumps(tally.model_dump(mode="json")))


def _choose(store: Store, task: TallyTask, ledger: pa.Table) -> Examples:
    part = task.fate.part
    duplicates = ledger.filter(pc.equal(ledger.column("stage"), "dedup")).to_pylist()
    if not task.fate.ingested:
        found = Examples(generated=_kept_questions(store, task.fate.screen, ledger))
    else:
        lost = store.read(part.quarantine).select(list(QuarantinedRow.model_fields)).to_pylist()
        kept = ledger.filter(pc.equal(ledger.column("outcome"), "kept")).to_pylist()
        found = Examples(
            kept=tuple(LedgerRow(**row) for row in _first(task.seed, "kept", kept)[:KEPT_EXAMPLES]),
            quarantined=tuple(QuarantinedRow(**row) for row in _of_each_reason(task.seed, lost)),
        )
    chosen = _first(task.seed, "duplicates", duplicates)[:EXAMPLES]
    return merge_examples(
        task.seed, [found.model_copy(update={"duplicates": tuple(LedgerRow(**row) for row in chosen)})]
    )


def _kept_questions(store: Store, attempts: str, ledger: pa.Table) -> dict[str, tuple[str, ...]]:
    """Return the kept questions by type, those that are turns of another record included."""
    there = pc.or_kleene(pc.equal(ledger["outcome"], "kept"), pc.equal(ledger["reason"], JOINED_ELSEWHERE))
    kept = set(ledger.filter(pc.fill_null(there, False))["id"].to_pylist())
    found: dict[str, tuple[str, ...]] = {}
    for row in store.read(attempts, ["id", "instruction_type"]).to_pylist():
        if row["id"] in kept:
            found[row["instruction_type"]] = (*found.get(row["instruction_type"], ()), row["id"])
    return found


def merge_examples(seed: int, several: Iterable[Examples]) -> Examples:
    """Return the examples of all; the order of the others does not matter."""
    gathered = list(several)
    rows = {
        name: [row for one in gathered for row in getattr(one, name)] for name in ("duplicates", "kept", "quarantined")
    }
    types: dict[str, list[dict[str, str]]] = {}
    for one in gathered:
        for name, ids in one.generated.items():
            types.setdefault(name, []).extend({"id": identity} for identity in ids)
    return Examples(
        duplicates=tuple(_first(seed, "duplicates", rows["duplicates"])[:EXAMPLES]),
        kept=tuple(_first(seed, "kept", rows["kept"])[:KEPT_EXAMPLES]),
        quarantined=tuple(_of_each_reason(seed, rows["quarantined"])),
        generated={
            name: tuple(row["id"] for row in _first(seed, "generated", types[name])[:TYPE_EXAMPLES])
            for name in sorted(types)
        },
    )


def _first(seed: int, purpose: str, rows: list[Any]) -> list[Any]:
    """Sort rows (objects with an id, or mappings) by a hash of their ids."""
    return sorted(rows, key=lambda row: keyed_u64(seed, f"report.{purpose}", _value(row, "id")))


def _of_each_reason(seed: int, rows: list[Any]) -> list[Any]:
    first: dict[str, Any] = {}
    for row in _first(seed, "quarantine", rows):
        first.setdefault(_value(row, "reason"), row)
    return [first[reason] for reason in sorted(first)]


def _value(row: Any, name: str) -> str:
    return str(row[name] if isinstance(row, Mapping) else getattr(row, name))


def _audit(context: Context, ids: Sequence[str], rows: int) -> None:
    ranges = max(1, ceil(rows / AUDIT_ROWS))
    tasks = []
    for number in range(ranges):
        low, high = number * _PREFIXES // ranges, (number + 1) * _PREFIXES // ranges - 1
        output = f"state/audit/{fingerprint(['audit', TALLY_VERSION], list(ids), [low, high])}.json"
        tasks.append(AuditTask(context.store.work.uri, tuple(ids), low, high, output))
    run_pass(context, "audit", audit_range, tasks)


def audit_range(task: AuditTask) -> None:
    """Compare the ids of one range over the whole ledger."""
    store = Store(Location(task.work))
    where = [("prefix", ">=", task.low), ("prefix", "<=", task.high)]
    tables = [store.read(path, where=where) for path in task.ids]
    if tables:
        check_identities(pa.concat_tables(tables))
    store.at(task.output).write_bytes(orjson.dumps({"rows": sum(table.num_rows for table in tables)}))
