"""Which rows ended differently in two run folders, and what the two runs were asked, given and made with.

Rows are compared by their ids, which are the same in every run that reads the same raw rows. Ledgers are read in
ranges of ids, so that memory does not grow with them beyond `RANGE_ROWS` rows of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from infinity_mm.errors import UsageError
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.manifest import Manifest
from infinity_mm.store import Store

#: Rows of each ledger that are compared at a time, about: 400 MB together.
RANGE_ROWS = 2_000_000
_PREFIXES = 1 << 16
_VERDICT = ("outcome", "stage", "reason")

#: One row per row that ended differently; the columns of a side are null where it has no such row.
CHANGED = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        *(pa.field(f"{name}_{side}", pa.string()) for side in ("a", "b") for name in _VERDICT),
    ]
)


class Verdict(Frozen):
    """How a row ended in one run; all null where the run has no such row."""

    outcome: str | None = None
    stage: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        if self.outcome is None:
            return "no such row"
        return self.outcome if self.stage is None else f"{self.outcome} {self.stage}.{self.reason}"


class Example(Frozen):
    """A row that ended differently."""

    id: str
    source_ref: str
    #: What decided in each run, null for a kept row and where there is no such row.
    detail_a: str | None
    detail_b: str | None
    #: For a duplicate, the row that was kept instead.
    winner_a: str | None
    winner_b: str | None


class Change(Frozen):
    """The rows of one source that ended in one way in the first run and in another in the second."""

    source: str
    a: Verdict
    b: Verdict
    rows: int
    #: Those with the smallest ids.
    examples: tuple[Example, ...]


class Setting(Frozen):
    """Something that the two runs do not have in common."""

    #: Dotted path, elements of lists by their names: ``dedup.threshold``, ``sources.gqa.limit``.
    key: str
    a: Any
    b: Any


class Difference(Frozen):
    """What distinguishes two runs."""

    rows_a: int
    rows_b: int
    #: Rows that ended alike in both.
    same: int
    changes: tuple[Change, ...]
    recipe: tuple[Setting, ...]
    #: Files of sources by their digests, packages by their versions, models and prompts of the synthesis.
    made_with: tuple[Setting, ...]


def diff(first: Store, second: Store, examples: int = 3, out: Location | None = None) -> Difference:
    """Compare two finished runs; the changed rows are written to `out` (`CHANGED`, Parquet), if given.

    Raises `UsageError` for a folder without manifest or ledger.
    """
    manifests = _manifest(first), _manifest(second)
    sides = _Side.of(first), _Side.of(second)
    ranges = max(1, ceil(max(side.rows for side in sides) / RANGE_ROWS))
    tally = _Tally(examples)
    if out is None:
        for number in range(ranges):
            tally.add(_compare(sides, number, ranges))
    else:
        with out.write_whole() as stream, pq.ParquetWriter(stream, CHANGED, compression="zstd") as writer:
            for number in range(ranges):
                writer.write_table(tally.add(_compare(sides, number, ranges)))
    return Difference(
        rows_a=sides[0].rows,
        rows_b=sides[1].rows,
        same=tally.same,
        changes=tuple(_changes(tally, sides)),
        recipe=tuple(settings(*(manifest.recipe for manifest in manifests))),
        made_with=tuple(settings(*map(_made_with, manifests))),
    )


def _manifest(store: Store) -> Manifest:
    place = store.at("manifest.json")
    if not place.exists():
        raise UsageError(f"{store.work} has no manifest.json: it is no finished run; `infinity-mm run` finishes it")
    try:
        return Manifest.model_validate_json(place.read_bytes())
    except ValidationError as error:
        raise UsageError(f"{place} is damaged, or of another version: {error.errors()[0]['msg']}; run again") from error


@dataclass(frozen=True)
class _Side:
    """The ledger of one run."""

    store: Store
    parts: tuple[str, ...]
    rows: int

    @staticmethod
    def of(store: Store) -> _Side:
        parts = tuple(f"ledger/{name}" for name in store.at("ledger").files() if name.startswith("part-"))
        if not parts:
            raise UsageError(f"{store.work} has no ledger; `infinity-mm run` or `infinity-mm ingest` writes one")
        return _Side(store, parts, sum(store.rows(part) for part in parts))

    def read(self, number: int, ranges: int, suffix: str) -> pa.Table:
        """Return id, source and verdict of the rows of one of so many ranges of ids."""
        low, high = (f"{place * _PREFIXES // ranges:04x}" for place in (number, number + 1))
        found = []
        for part in self.parts:
            table = self.store.read(part, ["id", "source", *_VERDICT])
            inside = pc.greater_equal(table.column("id"), low)
            if number + 1 < ranges:
                inside = pc.and_(inside, pc.less(table.column("id"), high))
            found.append(table.filter(inside))
        names = ["id", *(f"{name}_{suffix}" for name in ("source", *_VERDICT))]
        return pa.concat_tables(found).rename_columns(names)

    def look_up(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return some rows of the ledger by their ids."""
        wanted = pa.array(ids, pa.string())
        found = {}
        for part in self.parts:
            table = self.store.read(part, ["id", "source_ref", "detail", "winner"])
            for row in table.filter(pc.is_in(table.column("id"), value_set=wanted)).to_pylist():
                found[row["id"]] = row
        return found


def _compare(sides: tuple[_Side, _Side], number: int, ranges: int) -> pa.Table:
    """Return `CHANGED` and, as `same`, whether a row ended alike, for all rows of a range of ids."""
    left, right = (side.read(number, ranges, suffix) for side, suffix in zip(sides, "ab", strict=True))
    both = left.join(right, keys="id", join_type="full outer").sort_by("id")
    same = pa.array([True] * len(both), pa.bool_())
    for name in _VERDICT:
        a, b = both.column(f"{name}_a"), both.column(f"{name}_b")
        alike = pc.or_(pc.fill_null(pc.equal(a, b), False), pc.and_(pc.is_null(a), pc.is_null(b)))
        same = pc.and_(same, alike)
    source = pc.coalesce(both.column("source_a"), both.column("source_b"))
    columns = [both.column("id"), source, *(both.column(name) for name in CHANGED.names[2:])]
    return pa.table(columns, schema=CHANGED).append_column("same", same)


_Key = tuple[str | None, ...]


@dataclass
class _Tally:
    """Changes counted over ranges of ids, which come in the order of the ids."""

    examples: int
    same: int = 0
    rows: dict[_Key, int] = field(default_factory=dict)
    ids: dict[_Key, list[str]] = field(default_factory=dict)

    def add(self, compared: pa.Table) -> pa.Table:
        """Count one range; returns its changed rows."""
        changed = compared.filter(pc.invert(compared.column("same"))).drop_columns(["same"])
        self.same += len(compared) - len(changed)
        labels = [pc.fill_null(changed.column(name), "") for name in CHANGED.names[1:]]
        kind = pc.binary_join_element_wise(*labels, "\x1f").combine_chunks().dictionary_encode().indices.to_numpy()
        order = np.argsort(kind, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(kind[order])) + 1, len(order)) if len(order) else ()
        begin = 0
        for end in ends:
            rows = changed.take(pa.array(order[begin : min(end, begin + max(1, self.examples))])).to_pylist()
            key = tuple(rows[0][name] for name in CHANGED.names[1:])
            self.rows[key] = self.rows.get(key, 0) + int(end - begin)
            ids = self.ids.setdefault(key, [])
            ids += [row["id"] for row in rows][: self.examples - len(ids)]
            begin = end
        return changed


def _changes(tally: _Tally, sides: tuple[_Side, _Side]) -> Iterator[Change]:
    """Yield the changes, per source the most frequent first."""
    ids = [identity for found in tally.ids.values() for identity in found]
    known = [side.look_up(ids) for side in sides]
    for key in sorted(tally.rows, key=lambda key: (key[0] or "", -tally.rows[key], tuple(map(str, key)))):
        source, *verdicts = key
        a, b = (Verdict(**dict(zip(_VERDICT, verdicts[n : n + 3], strict=True))) for n in (0, 3))
        shown = []
        for identity in tally.ids[key]:
            one, other = (rows.get(identity, {}) for rows in known)
            shown.append(
                Example(
                    id=identity,
                    source_ref=one.get("source_ref") or other["source_ref"],
                    detail_a=one.get("detail"),
                    detail_b=other.get("detail"),
                    winner_a=one.get("winner"),
                    winner_b=other.get("winner"),
                )
            )
        yield Change(source=source or "", a=a, b=b, rows=tally.rows[key], examples=tuple(shown))


def _made_with(manifest: Manifest) -> dict[str, Any]:
    """Return what a manifest says of inputs, versions and models, beside its recipe."""
    tree: dict[str, Any] = {"versions": manifest.versions, "inputs": manifest.inputs, "revisions": manifest.revisions}
    if manifest.synthesis is not None:
        synthesis = manifest.synthesis.model_dump(
            mode="json", include={"engine", "engine_version", "models", "prompts"}
        )
        tree["synthesis"] = synthesis
    return tree


def settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Setting]:
    """Yield where two trees differ, in the order of their keys; null stands for what one of them lacks."""
    left, right = dict(_flat("", first)), dict(_flat("", second))
    for key in sorted(left.keys() | right.keys()):
        if left.get(key) != right.get(key):
            yield Setting(key=key, a=left.get(key), b=right.get(key))


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a tree by their dotted paths; of lists of named things by their names, of others as one."""
    named = isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
    if named and all(_name(item) for item in value):
        value = {_name(item): item for item in value}
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    elif value not in (None, [], {}):
        yield prefix, value


def _name(item: Mapping[str, Any]) -> str:
    return str(item.get("name") or item.get("use") or "")
