"""Readers around a reader: the rows of one picture as one row, or the questions of one row as rows.

Both read whole files when they plan and write what they made of them once, as lines; splits are cut from these lines.
So no conversation reaches over two splits, and nothing depends on how many workers read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson
import xxhash

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.sources.base import Plan, Quarantine, Raw, Reader, Split
from infinity_mm.sources.families.lines import SNIPPET, Fault, packed, prepared_line, read_lines, scan_prepared

#: Under which a prepared line holds the rows of its picture, each as `_json` writes it.
_MEMBERS = "__rows__"
#: Bytes of rows that are held at once while they are grouped.
_HELD = 256 << 20


@dataclass(frozen=True)
class GroupedByImage:
    """Rows of `base` that name the same picture, as one `Raw` that has them as `members`.

    Groups stand in the order of their first rows (within each pass) and never reach over files. Before them stand rows
    that name no picture, each a group of its own, and those that could not be read, as `base` gave them. A file with
    more than 256 MB of rows is read once per 256 MB, each time for another share of its pictures, so memory stays
    bounded.
    """

    base: Reader
    #: Fields that name the picture; the first that a row has counts.
    image_keys: tuple[str, ...]
    version: int = 1

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Those of the base."""
        return self.base.suffixes

    @property
    def ignored(self) -> tuple[str, ...]:
        """Those of the base."""
        return _ignored(self.base)

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Group every file and cut the result, `rows` groups a split.

        Raises `SourceError` where pictures are embedded in the rows.
        """
        plan = self.base.plan(root, files, prepare_to, rows)
        return _rewritten(plan, prepare_to, "by-image", rows, lambda splits: self._lines(root, splits))

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield groups, and what could not be read."""
        for raw in read_lines(root, split):
            written = (raw.row or {})[_MEMBERS]
            members = tuple(_member(*fields) for fields in written)
            yield members[0] if members[0].row is None else replace(raw, row={}, members=members)

    def _lines(self, root: Location, splits: list[Split]) -> Iterator[tuple[bytes, int]]:
        passes = 1 + _size(root, splits[0]) // _HELD
        for turn in range(passes):
            groups: dict[str, list[bytes]] = {}
            for raw in _rows(self.base, root, splits):
                name = self._name(raw)
                if name is None:
                    if turn == 0:
                        yield _group("", [_json(raw, splits[0].file)]), 1
                elif xxhash.xxh3_64_intdigest(name.encode("utf-8", "replace")) % passes == turn:
                    groups.setdefault(name, []).append(_json(raw, splits[0].file))
            for name, members in groups.items():
                yield _group(name, members), len(members)

    def _name(self, raw: Raw) -> str | None:
        for key in self.image_keys:
            value = (raw.row or {}).get(key)
            if isinstance(value, str | int) and not isinstance(value, bool) and str(value):
                return str(value)
        return None


@dataclass(frozen=True)
class QuestionsApart:
    """Rows of `base` whose parallel lists hold n values each, as n rows whose lists hold one."""

    base: Reader
    lists: tuple[str, ...]
    version: int = 1

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Those of the base."""
        return self.base.suffixes

    @property
    def ignored(self) -> tuple[str, ...]:
        """Those of the base."""
        return _ignored(self.base)

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Take the rows of every file apart and cut the result; raises `SourceError` where pictures are embedded."""
        plan = self.base.plan(root, files, prepare_to, rows)
        return _rewritten(plan, prepare_to, "apart", rows, lambda splits: self._lines(root, splits))

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield rows of one question each; rows whose lists do not match come whole, for `parse` to refuse."""
        return read_lines(root, split)

    def _lines(self, root: Location, splits: list[Split]) -> Iterator[tuple[bytes, int]]:
        for raw in _rows(self.base, root, splits):
            if raw.row is None:
                yield _faulty(raw), 1
                continue
            row = orjson.loads(_json(raw, splits[0].file))[1]
            values = [row.get(name) for name in self.lists]
            lengths = {len(value) if isinstance(value, list) else 0 for value in values}
            if len(lengths) != 1 or lengths == {0}:
                yield prepared_line(raw.locator, row), 1
                continue
            for place in range(lengths.pop()):
                one = {name: [row[name][place]] for name in self.lists}
                yield prepared_line(f"{raw.locator},question={place}", {**row, **one}), 1


def _rewritten(
    plan: Plan, prepare_to: Location, name: str, rows: int, lines: Callable[[list[Split]], Iterator[tuple[bytes, int]]]
) -> Plan:
    """Return the plan of what `lines` makes of the splits of each file: lines, and how many raw rows each holds.

    What the base had prepared is deleted: nobody will read it any more.
    """
    splits: list[Split] = []
    for file, _ in plan.files:
        own = [split for split in plan.splits if split.file == file]
        prepared = prepare_to / f"{xxhash.xxh3_64_hexdigest(file.encode())}.{name}.jsonl"
        counts: list[int] = []
        with prepared.write_whole() as stream:
            for line, count in lines(own) if own else ():
                stream.write(line)
                counts.append(count)
        for split in scan_prepared(prepared, file, rows):
            members = tuple(counts[split.first : split.first + split.rows])
            splits.append(replace(split, members=members if max(members) > 1 else ()))
        for base in {split.prepared for split in own if split.prepared is not None}:
            Location(base).delete()
    return Plan(tuple(splits), plan.files)


def _ignored(base: Reader) -> tuple[str, ...]:
    return tuple(getattr(base, "ignored", ()))


def _size(root: Location, split: Split) -> int:
    """Return the bytes of the file that a split is read from."""
    return (root / split.file if split.prepared is None else Location(split.prepared)).size()


def _rows(base: Reader, root: Location, splits: list[Split]) -> Iterator[Raw]:
    for split in splits:
        yield from base.read(root, split)


def _faulty(raw: Raw) -> bytes:
    """Return the prepared line of a row that could not be read."""
    fault: Fault = ("unexpected_row", "the reader gave neither a row nor a reason")
    if raw.error is not None:
        fault = (raw.error.reason, raw.error.detail, raw.snippet)
    return prepared_line(raw.locator, None, fault)


def _group(name: str, members: list[bytes]) -> bytes:
    return prepared_line(f"image={name}", {_MEMBERS: [orjson.Fragment(member) for member in members]})


def _json(raw: Raw, file: str) -> bytes:
    """Return a raw row as ``[locator, row, digest, repeat, fault]``; raises `SourceError` where JSON cannot hold it."""
    fault = None if raw.error is None else (raw.error.reason, raw.error.detail, raw.snippet)
    try:
        return packed([raw.locator, raw.row, raw.digest, raw.repeat, fault])
    except TypeError as error:
        raise SourceError(
            f"{file} {raw.locator}: a row that holds more than JSON can, such as an embedded picture, cannot be "
            f"regrouped ({error}); leave the option group_by_image as it is"
        ) from error


def _member(locator: str, row: dict[str, Any] | None, digest: str, repeat: int, fault: list[Any] | None) -> Raw:
    """Return a raw row as the base gave it: grouped or not, it has the same id."""
    if row is None:
        error = None if fault is None else Quarantine(fault[0], fault[1])
        return Raw(locator, None, digest, repeat, error, "" if fault is None else fault[2])
    return Raw(locator, row, digest, repeat, None, orjson.dumps(row)[:SNIPPET].decode("utf-8", "replace"))
