"""The merging pass: what removed rows say about a picture is appended to the row that was kept for them.

In three steps, none of which needs all rows or looks into all parts for each part. Each part notes what merging must
know of its rows, under the id of the row that their cluster keeps (``state/merge/facts/``). Ranges of these ids are
decided by themselves (``state/merge/verdicts/`` and ``additions/``, sorted by the part they concern). Then each part's
attributes are written: the merged conversation beside a row that was kept, the verdict beside one that was removed.
Which turns are appended is said in `infinity_mm.dedup.merge`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from operator import mul
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infinity_mm.dedup import signature
from infinity_mm.dedup.merge import Limits, rounds_of
from infinity_mm.dedup.merge_tables import FACTS, decide_range, facts_of
from infinity_mm.dedup.rails import SHOWN
from infinity_mm.errors import StageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.pipeline.spoken import MESSAGES, Message, spoken_column, spoken_rows
from infinity_mm.store import Store, part_name

VERSION = 1
STAGE = "merge"
#: Reason of a removed row that is not merged, as deduplication gives it.
PLAIN = "same_image"
#: Rows that one task decides over, at most and about: 300 MB.
RANGE_ROWS = 1_000_000
_PREFIXES = 1 << 16
#: Rows of a row group of what is read by ranges.
_GROUP_ROWS = 4_096

#: Per record of a part, in order.
MERGED = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # Of a removed row: whether it was merged, and where to or why not. Null for all others.
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        # Of a kept row: what is exported instead of the record's own; null where nothing was appended.
        pa.field("messages", MESSAGES),
        pa.field("license", pa.string()),
        pa.field("language", pa.string()),
        # Of a kept row: whose rounds are appended, and the first turn of them (0: all were there already).
        pa.field(
            "merged",
            pa.list_(
                pa.field(
                    "element",
                    pa.struct(
                        [
                            pa.field("id", pa.string(), nullable=False),
                            pa.field("turn", pa.int32(), nullable=False),
                        ]
                    ),
                    nullable=False,
                )
            ),
            nullable=False,
        ),
    ]
)


@dataclass(frozen=True)
class FactsTask:
    """What merging must know of one part."""

    work: str
    part: Part
    number: int
    screen: str
    #: Verdicts of the deduplication.
    duplicates: str
    #: Verdicts of the decontamination; None without.
    leaks: str | None
    #: Attributes of the filters `text` and `language`; None where the recipe has none.
    text: str | None
    language: str | None
    signature: str
    priority: int
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The facts, sorted by the row that is kept."""
        return (self.output,)


@dataclass(frozen=True)
class RangeTask:
    """A range of kept rows, with all that lost to them, over all parts."""

    work: str
    facts: tuple[str, ...]
    #: First and last prefix.
    low: int
    high: int
    limits: Limits
    verdicts: str
    additions: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """What becomes of removed rows, and what is appended to kept ones; each sorted by part and row."""
        return (self.verdicts, self.additions)


@dataclass(frozen=True)
class MergeTask:
    """The attributes of one part."""

    work: str
    part: Part
    number: int
    text: str | None
    verdicts: tuple[str, ...]
    additions: tuple[str, ...]
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """One file of attributes."""
        return (self.output,)


def run_merge(
    context: Context,
    measured: Mapping[Part, Mapping[str, str]],
    screens: Mapping[Part, str],
    leaks: Mapping[Part, str],
    duplicates: Mapping[Part, str],
) -> dict[Part, str]:
    """Merge what deduplication removed; returns each part's attributes (none where the recipe does not ask for it).

    Raises `StageError` where a source loses a larger share than `max_drop` of its rows that were compared, merged ones
    not counted.
    """
    params = context.recipe.dedup
    if not params.merge:
        return {}
    work = context.store.work.uri
    priorities = {use.name: use.priority for use in context.recipe.sources}
    facts = []
    for number, part in enumerate(sorted(duplicates)):
        texts = measured[part]
        inputs = (screens[part], duplicates[part], leaks.get(part), texts.get("text"), texts.get("language"))
        own = texts[signature.NAME]
        priority = priorities[part.source]
        name = part_name(part.number, fingerprint([STAGE, VERSION, number, priority], part.records, [*inputs, own]))
        output = f"state/{STAGE}/facts/{part.source}/{name}"
        facts.append(FactsTask(work, part, number, *inputs, own, priority, output))
    run_pass(context, f"{STAGE}-facts", note_facts, facts)
    ranges = _ranges(context, [task.output for task in facts], Limits(params.max_merged_turns, params.max_merged_chars))
    run_pass(context, f"{STAGE}-decide", decide_links, ranges)
    _check_losses(context, facts, ranges)
    verdicts, additions = tuple(task.verdicts for task in ranges), tuple(task.additions for task in ranges)
    merges = []
    for task in facts:
        name = fingerprint([STAGE, VERSION], task.output, [*verdicts, *additions])
        output = task.part.attributes(STAGE, name)
        merges.append(MergeTask(work, task.part, task.number, task.text, verdicts, additions, output))
    run_pass(context, STAGE, merge_part, merges)
    return {task.part: task.output for task in merges}


def _ranges(context: Context, facts: Sequence[str], limits: Limits) -> list[RangeTask]:
    count = max(1, ceil(len(facts) * context.recipe.partition_rows / RANGE_ROWS))
    tasks = []
    for number in range(count):
        low, high = number * _PREFIXES // count, (number + 1) * _PREFIXES // count - 1
        bounds = [low, high, limits.turns, limits.chars]
        name = part_name(number, fingerprint([f"{STAGE}-decide", VERSION], bounds, list(facts)))
        folder = f"state/{STAGE}"
        paths = (f"{folder}/verdicts/{name}", f"{folder}/additions/{name}")
        tasks.append(RangeTask(context.store.work.uri, tuple(facts), low, high, limits, *paths))
    return tasks


def _check_losses(context: Context, facts: Sequence[FactsTask], ranges: Sequence[RangeTask]) -> None:
    store, limit = context.store, context.recipe.dedup.max_drop
    rows: Counter[str] = Counter()
    for task in facts:
        rows[task.part.source] += store.rows(task.output)
    lost: Counter[str] = Counter()
    examples: dict[str, list[str]] = defaultdict(list)
    for each in ranges:
        verdicts = store.read(each.verdicts, ["part", "id", "reason", "detail"])
        plain = verdicts.filter(pc.is_null(verdicts.column("reason")))
        for count in pc.value_counts(plain.column("part")).to_pylist():
            source = facts[count["values"]].part.source
            lost[source] += count["counts"]
            if len(examples[source]) < SHOWN:
                some = plain.filter(pc.equal(plain.column("part"), count["values"])).slice(0, SHOWN).to_pylist()
                examples[source] += [f"  {row['id']}  {PLAIN}  {row['detail']}" for row in some]
    for source, count in sorted(lost.items()):
        if count > limit * rows[source]:
            raise StageError(
                f"merge: source {source!r} would lose {count} of {rows[source]} rows that cannot be merged, more than "
                f"dedup.max_drop={limit}. Five of them:\n" + "\n".join(examples[source][:SHOWN]) + "\n"
                "Raise dedup.max_merged_turns and dedup.max_merged_chars, mend the thresholds, or raise that key"
            )


def note_facts(task: FactsTask) -> None:
    """Write the facts of the rows with pictures that deduplication kept or removed."""
    store = Store(Location(task.work))
    measured = store.read(task.part.ingest, ["id", "width", "height"])
    rows = np.flatnonzero(_taking_part(store, task, measured))
    chosen = pa.array(rows)
    records = store.read(task.part.records, ["messages", "category", "license", "language"])
    records = records.set_column(0, "messages", spoken_column(store, records, task.text)).take(chosen)
    measured = measured.take(chosen)
    duplicates = store.read(task.duplicates, ["winner", "detail"]).take(chosen)
    language = records.column("language")
    if task.language is not None:
        found = store.read(task.language, ["language"]).column("language").take(chosen)
        language = pc.if_else(pc.equal(found, "und"), language, found)
    beside = {
        "cluster": _raw(pc.coalesce(duplicates.column("winner"), measured.column("id"))),
        "id": _raw(measured.column("id")),
        "part": np.full(len(rows), task.number, np.int32),
        "row": rows.astype(np.int32),
        "records": [task.part.records] * len(rows),
        "text": pa.array([task.text] * len(rows), pa.string()),
        "priority": np.full(len(rows), task.priority, np.int32),
        "pixels": [sum(map(mul, row["width"], row["height"])) for row in measured.to_pylist()],
        "answer_chars": store.read(task.signature, ["answer_chars"]).column("answer_chars").take(chosen),
        "license": records.column("license"),
        "language": language,
        "detail": duplicates.column("detail"),
    }
    store.write(task.output, facts_of(records, pa.table(beside)), _GROUP_ROWS)


def _taking_part(store: Store, task: FactsTask, measured: pa.Table) -> NDArray[np.bool_]:
    """Return which rows have pictures and live until deduplication: bool, shape (rows,)."""
    dropped = store.read(task.screen, ["outcome"]).column("outcome").is_valid()
    if task.leaks is not None:
        dropped = pc.or_(dropped, store.read(task.leaks, ["dropped"]).column("dropped"))
    pictured = pc.greater(pc.list_value_length(measured.column("width")), 0)
    return np.asarray(pc.and_not(pictured, dropped).to_numpy(), bool)


def _raw(ids: pa.ChunkedArray) -> pa.Array:
    return pa.array([bytes.fromhex(one) for one in ids.to_pylist()], pa.binary(16))


def decide_links(task: RangeTask) -> None:
    """Decide over the clusters of one range."""
    store = Store(Location(task.work))
    where = [("prefix", ">=", task.low), ("prefix", "<=", task.high)]
    facts = pa.concat_tables([FACTS.empty_table(), *(store.read(path, where=where) for path in task.facts)])
    verdicts, additions = decide_range(facts, task.limits)
    store.write(task.verdicts, verdicts, _GROUP_ROWS)
    store.write(task.additions, additions, _GROUP_ROWS)


def merge_part(task: MergeTask) -> None:
    """Write the attributes of one part: verdicts of removed rows, conversations of kept ones."""
    store = Store(Location(task.work))
    ids = store.read(task.part.ingest, ["id"]).column("id").to_pylist()
    lines: list[dict[str, Any]] = [{"id": identity, "merged": []} for identity in ids]
    for verdict in _concerning(store, task.verdicts, task.number):
        reason = verdict["reason"] or PLAIN
        lines[verdict["row"]] |= {"reason": reason, "detail": verdict["detail"]}
    additions = _concerning(store, task.additions, task.number)
    appended = _rounds(store, additions)
    heard = sorted({row["row"] for row, rounds in zip(additions, appended, strict=True) if rounds})
    own = spoken_rows(store, task.part.records, task.text, heard)
    for row, rounds in zip(additions, appended, strict=True):
        line = lines[row["row"]]
        line["merged"].append({"id": row["id"], "turn": row["turn"]})
        if row["row"] in own:
            said = line.setdefault("messages", list(own[row["row"]]))
            said += rounds
            line |= {"license": row["license"], "language": row["language"]}
    store.write(task.output, pa.Table.from_pylist(lines, schema=MERGED))


def _concerning(store: Store, paths: Sequence[str], number: int) -> list[dict[str, Any]]:
    """Return the rows of several files that concern one part, in order."""
    where = [("part", "==", number)]
    return [row for path in paths for row in store.read(path, where=where).to_pylist()]


def _rounds(store: Store, additions: Sequence[dict[str, Any]]) -> list[list[Message]]:
    """Return what each merged row adds; each part that they lie in is opened once."""
    places = defaultdict(list)
    for number, row in enumerate(additions):
        if row["rounds"]:
            places[row["records"], row["text"]].append(number)
    found: list[list[Message]] = [[] for _ in additions]
    for (records, text), numbers in sorted(places.items()):
        said = spoken_rows(store, records, text, [additions[number]["text_row"] for number in numbers])
        for number in numbers:
            found[number] = rounds_of(said[additions[number]["text_row"]], additions[number]["rounds"])
    return found
