"""Readers around a reader: the rows of one picture as one row, or the questions of one row as rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson
import xxhash

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.sources.base import Plan, Raw, Reader, Split
from infinity_mm.sources.families.lines import KEY, Fault, prepared_line, read_lines, scan_prepared

#: Under which a grouped row holds the rows of its picture; the picture's name stands under `KEY`.
GROUPED = "__rows__"
#: Bytes of rows that are held at once while they are grouped.
_HELD = 256 << 20


@dataclass(frozen=True)
class GroupedByImage:
    """Rows of `base` that name the same picture, as one row ``{"__key__": name, "__rows__": [...]}``.

    Groups stand in the order of their first rows (within each pass) and never reach over files. Rows that
    cannot be read or name no picture stay alone. A file with more than 256 MB of rows is read once per
    256 MB, each time for another share of its pictures, so memory stays bounded.
    """

    base: Reader
    #: Fields that name the picture; the first that a row has counts.
    image_keys: tuple[str, ...]
    version: int = 1

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Those of the base."""
        return self.base.suffixes

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Group every file and cut the result; raises `SourceError` where pictures are embedded in the rows."""
        plan = self.base.plan(root, files, prepare_to, rows)
        return _rewritten(plan, prepare_to, "by-image", rows, lambda splits: self._lines(root, splits))

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield groups."""
        return read_lines(root, split)

    def _lines(self, root: Location, splits: list[Split]) -> Iterator[bytes]:
        passes = 1 + sum(split.stop - split.start for split in splits) // _HELD
        for turn in range(passes):
            groups: dict[str, list[bytes]] = {}
            for raw in _rows(self.base, root, splits):
                name = None if raw.row is None else self._name(raw)
                if name is None:
                    if turn == 0:
                        yield _alone(raw)
                elif xxhash.xxh3_64_intdigest(name.encode("utf-8", "replace")) % passes == turn:
                    groups.setdefault(name, []).append(_json(raw, splits[0].file))
            for name, members in groups.items():
                yield prepared_line(f"image={name}", {KEY: name, GROUPED: [orjson.Fragment(row) for row in members]})

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

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Take the rows of every file apart and cut the result; raises `SourceError` where pictures are embedded."""
        plan = self.base.plan(root, files, prepare_to, rows)
        return _rewritten(plan, prepare_to, "apart", rows, lambda splits: self._lines(root, splits))

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield rows of one question each; rows whose lists do not match come whole, for `parse` to refuse."""
        return read_lines(root, split)

    def _lines(self, root: Location, splits: list[Split]) -> Iterator[bytes]:
        for raw in _rows(self.base, root, splits):
            values = [(raw.row or {}).get(name) for name in self.lists]
            lengths = {len(value) if isinstance(value, list) else 0 for value in values}
            if raw.row is None or len(lengths) != 1 or lengths == {0}:
                yield _alone(raw)
                continue
            row = orjson.loads(_json(raw, splits[0].file))
            for place in range(lengths.pop()):
                one = {name: [row[name][place]] for name in self.lists}
                yield prepared_line(f"{raw.locator},question={place}", {**row, **one})


def _rewritten(
    plan: Plan, prepare_to: Location, name: str, rows: int, lines: Callable[[list[Split]], Iterator[bytes]]
) -> Plan:
    """Return the plan of what `lines` makes of the splits of each file."""
    splits: list[Split] = []
    for file, _ in plan.files:
        own = [split for split in plan.splits if split.file == file]
        prepared = prepare_to / f"{xxhash.xxh3_64_hexdigest(file.encode())}.{name}.jsonl"
        with prepared.write_whole() as stream:
            for line in lines(own) if own else ():
                stream.write(line)
        splits += scan_prepared(prepared, file, rows)
    return Plan(tuple(splits), plan.files)


def _rows(base: Reader, root: Location, splits: list[Split]) -> Iterator[Raw]:
    for split in splits:
        yield from base.read(root, split)


def _alone(raw: Raw) -> bytes:
    """Return the prepared line of a row as it is, or of what is wrong with it."""
    if raw.row is not None:
        return prepared_line(raw.locator, dict(raw.row))
    fault: Fault | None = None if raw.error is None else (raw.error.reason, raw.error.detail, raw.snippet)
    return prepared_line(raw.locator, None, fault)


def _json(raw: Raw, file: str) -> bytes:
    try:
        return orjson.dumps(raw.row)
    except TypeError as error:
        raise SourceError(
            f"{file} {raw.locator}: rows with embedded pictures cannot be regrouped ({error}); leave the option "
            "group_by_image as it is, and let deduplication in image mode merge conversations"
        ) from error
