"""JSON Lines by byte ranges, and JSON arrays or objects rewritten once as lines.

A file of lines is scanned once, for newlines and digests; each split then reads its own bytes. Other
JSON is taken apart element by element (`infinity_mm.sources.families.cut`) and written as lines ``[locator, row]``.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import xxhash

from infinity_mm.fs import Location
from infinity_mm.sources.base import Quarantine, Raw, Split
from infinity_mm.sources.families.cut import BrokenOff, parse_row, pieces

_CHUNK = 1 << 20
SNIPPET = 4_096
#: Under which a row of an object keyed by id finds its key.
KEY = "__key__"
#: Bytes at the start of a file that decide whether it is JSON Lines, and how far a first line that is longer
#: (rows with embedded pictures) is read on.
_SNIFF = 1 << 20
_LONGEST_FIRST_LINE = 64 << 20
#: Lines that are looked at where the first is no object.
_SNIFF_LINES = 32
_BOM = b"\xef\xbb\xbf"

#: Reason and detail, and the row as text where it could be told apart.
Fault = tuple[str, ...]


def iterate_lines(location: Location, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, line without its newline) of the bytes from `start` to `stop`, streaming."""
    with location.open_input() as stream:
        stream.seek(start)
        offset, left = start, None if stop is None else stop - start
        parts: list[bytes] = []  # of the line that is being read; joined once, however long it is
        while left is None or left > 0:
            chunk = stream.read(_CHUNK if left is None else min(_CHUNK, left))
            if not chunk:
                break
            left = None if left is None else left - len(chunk)
            head, *lines = chunk.split(b"\n")
            parts.append(head)
            for following in lines:
                line = b"".join(parts)
                yield offset, line
                offset += len(line) + 1
                parts = [following]
        if any(parts):
            yield offset, b"".join(parts)


@dataclass(frozen=True)
class Scan:
    """What one streaming pass over a file of lines found."""

    splits: tuple[Split, ...]
    #: xxh3_128 of the whole content, 32 hex digits.
    digest: str


def scan_lines(location: Location, file: str, rows: int, prepared: bool = False) -> Scan:
    """Cut a file of lines into splits of `rows` non-blank lines."""
    whole = xxhash.xxh3_128()

    def found() -> Iterator[tuple[int, int, bytes]]:
        for number, (offset, line) in enumerate(iterate_lines(location)):
            whole.update(line)
            whole.update(b"\n")
            if line.strip():
                yield offset, number, line

    splits = cut_rows(found(), file, rows, location.uri if prepared else None)
    return Scan(splits, whole.hexdigest())


def cut_rows(
    found: Iterable[tuple[int, int, bytes]], file: str, rows: int, prepared: str | None = None
) -> tuple[Split, ...]:
    """Return splits of `rows` rows of a file that is given as (offset, physical line, row without its newline)."""
    digests = array("Q")
    marks: list[tuple[int, int]] = []  # (offset, physical line) of every row that begins a split
    end = 0
    for offset, number, text in found:
        if len(digests) % rows == 0:
            marks.append((offset, number))
        digests.append(xxhash.xxh3_64_intdigest(text.strip()))
        end = offset + len(text) + 1
    repeats = find_repeats(digests)
    splits = []
    for index, (offset, number) in enumerate(marks):
        start, stop = index * rows, min((index + 1) * rows, len(digests))
        splits.append(
            Split(
                file=file,
                start=offset,
                stop=marks[index + 1][0] if index + 1 < len(marks) else end,
                first=number,
                rows=stop - start,
                repeats=repeats_within(repeats, start, stop),
                prepared=prepared,
            )
        )
    return tuple(splits)


def find_repeats(digests: Sequence[int]) -> list[tuple[int, int]]:
    """Return (position, n) for every position whose digest occurs for the n-th time after the first."""
    values = np.array(digests, np.uint64)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    found: list[tuple[int, int]] = []
    run, last = 0, -2
    for here in np.flatnonzero(ordered[1:] == ordered[:-1]).tolist():
        run = run + 1 if here == last + 1 else 1
        last = here
        found.append((int(order[here + 1]), run))
    return sorted(found)


def repeats_within(repeats: list[tuple[int, int]], start: int, stop: int) -> tuple[tuple[int, int], ...]:
    """Return the repeats at positions from `start` to `stop`, counted from `start`."""
    low, high = bisect_left(repeats, (start, 0)), bisect_left(repeats, (stop, 0))
    return tuple((place - start, n) for place, n in repeats[low:high])


def read_lines(root: Location, split: Split) -> Iterator[Raw]:
    """Yield the rows of a split of a JSON Lines file, or of a prepared file."""
    location = root / split.file if split.prepared is None else Location(split.prepared)
    repeats = dict(split.repeats)
    place = -1
    for number, (_, line) in enumerate(iterate_lines(location, split.start, split.stop), split.first):
        text = line.strip()
        if not text:
            continue
        place += 1
        repeat = repeats.get(place, 0)
        yield _prepared(text, repeat) if split.prepared else read_line(text, f"line={number + 1}", repeat)


def read_line(text: bytes, locator: str, repeat: int) -> Raw:
    """Return the row of one line of JSON Lines."""
    digest = xxhash.xxh3_128_hexdigest(text)
    text = text.removeprefix(_BOM)
    snippet = text[:SNIPPET].decode("utf-8", "replace")
    row, problem = parse_row(text)
    if problem is not None:
        fault = Quarantine("malformed_json", f"expected one JSON object, {problem}")
        return Raw(locator, None, digest, repeat, fault, snippet)
    return as_raw(row, locator, digest, repeat, snippet)


def as_raw(row: Any, locator: str, digest: str, repeat: int, snippet: str) -> Raw:
    """Return a raw row, or a quarantined one where it is no JSON object."""
    if not isinstance(row, dict):
        fault = Quarantine("unexpected_row", f"expected a JSON object, got {type(row).__name__}")
        return Raw(locator, None, digest, repeat, fault, snippet)
    return Raw(locator, row, digest, repeat, None, snippet)


def _prepared(text: bytes, repeat: int) -> Raw:
    locator, row, fault = orjson.loads(text)
    if fault is not None:
        reason, detail, *rest = fault
        digest = xxhash.xxh3_128_hexdigest(_content(row, fault))
        return Raw(locator, None, digest, repeat, Quarantine(reason, detail), rest[0] if rest else "")
    body = orjson.dumps(row)
    snippet = body[:SNIPPET].decode("utf-8", "replace")
    return as_raw(row, locator, xxhash.xxh3_128_hexdigest(body), repeat, snippet)


def _content(row: Any, fault: Any) -> bytes:
    """Return what two prepared lines share when they are repeats of each other: all but the locator."""
    return orjson.dumps([row, fault])


def prepared_line(locator: str, row: Any, fault: Fault | None = None) -> bytes:
    """Return one line of a prepared file; `row` is what `parse_row` accepts, None beside a fault."""
    return orjson.dumps([locator, row, fault]) + b"\n"


def packed(value: Any) -> bytes:
    """Return a value as JSON that takes no more memory than its length, for readers that keep many.

    orjson writes to a buffer of 4 KB and cuts it to size in place; what is cut off cannot hold the next buffer, so a
    hundred thousand short values kept as they come take 400 MB. Raises TypeError for what JSON cannot hold.
    """
    return bytes(memoryview(orjson.dumps(value)))


def scan_prepared(location: Location, file: str, rows: int) -> tuple[Split, ...]:
    """Cut a prepared file; repeats are rows with equal content, whatever their locators."""
    digests = [xxhash.xxh3_64_intdigest(_content(*orjson.loads(line)[1:])) for _, line in iterate_lines(location)]
    repeats = find_repeats(digests)
    splits = scan_lines(location, file, rows, prepared=True).splits
    return tuple(
        Split(
            file, split.start, split.stop, split.first, split.rows,
            repeats_within(repeats, split.first, split.first + split.rows),
            split.prepared,
        )
        for split in splits
    )  # fmt: skip


def is_json_lines(location: Location, inside: tuple[str, ...] = (), several: bool = False) -> bool:
    """True if the file holds a row on each line: because one of the first is a whole JSON object, or by its name.

    An object on the only line that has an array under one of the keys `inside` holds all rows in it. One that is keyed
    by id looks like a row: for sources that publish such files, ask for `several` whole objects, or one that has
    anything but objects in it.
    """
    with location.open_input() as stream:
        head = stream.read(_SNIFF)
        while len(head) < _LONGEST_FIRST_LINE and b"\n" not in head.lstrip() and (more := stream.read(len(head))):
            head += more
        ends = not stream.read(1)
    text = head.removeprefix(_BOM).lstrip()
    first, _, rest = text.partition(b"\n")
    if text.startswith(b"["):  # a whole array, though more follows, is a row of a wrong kind
        return not several and bool(rest.strip()) and parse_row(first.strip())[1] is None
    if not text.startswith(b"{"):
        return not several
    *lines, last = text.split(b"\n", _SNIFF_LINES)
    if ends and len(lines) < _SNIFF_LINES:
        lines.append(last)
    found = [parse_row(line.strip())[0] for line in lines if line.startswith(b"{")]
    rows = [row for row in found if isinstance(row, dict) and row]
    alone = rows[0] if ends and not rest.strip() and rows else None
    wraps = alone is not None and any(isinstance(alone.get(key), list) for key in inside)
    if several:
        plain = alone is not None and not all(isinstance(value, dict) for value in alone.values())
        return len(rows) > 1 or (plain and not wraps)
    return not wraps and (bool(rows) or location.name.lower().endswith((".jsonl", ".ndjson")))


def elements(
    location: Location, inside: tuple[str, ...], columns: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any, Fault | None]]:
    """Yield (locator, row, fault) of a JSON array, of the array under one of `inside`, or of an object's values.

    An element that is no JSON is one fault. Where the brackets do not match, what stood before is yielded, then
    one fault for the rest. An object whose first key is one of `columns` is one row.
    """
    chosen = _array_inside(location, inside)
    count = 0
    try:
        for piece in pieces(location, () if chosen is None else (chosen,)):
            if piece.text is None or piece.inside != (chosen or ""):
                continue
            if count == 0 and chosen is None and piece.key is not None and piece.key.lower() in columns:
                yield _whole(location)
                return
            yield _element(f"item={count}" if piece.key is None else f"key={piece.key}", piece.key, piece.text)
            count += 1
    except BrokenOff as error:
        yield (
            f"item={count}",
            None,
            ("malformed_json", f"the file breaks off or is no JSON after {count} rows: {error}"),
        )


def _whole(location: Location) -> tuple[str, Any, Fault | None]:
    if location.size() > _LONGEST_FIRST_LINE:
        return "item=0", None, ("unexpected_row", f"one row of {location.size()} bytes")
    return _element("item=0", None, location.read_bytes().removeprefix(_BOM))


def _element(locator: str, key: str | None, text: bytes) -> tuple[str, Any, Fault | None]:
    row, problem = parse_row(text)
    if problem is not None:
        return locator, None, malformed(text, problem)
    return locator, {**row, KEY: key} if isinstance(row, dict) and key is not None else row, None


def malformed(text: bytes, problem: str) -> Fault:
    """Return the fault of an element that is no JSON."""
    return "malformed_json", problem, text[:SNIPPET].decode("utf-8", "replace")


def _array_inside(location: Location, inside: tuple[str, ...]) -> str | None:
    """Return the first of the keys `inside` under which a top-level object has an array."""
    try:
        found = pieces(location, inside) if inside else iter(())
        return next((piece.inside for piece in found if piece.inside), None)
    except BrokenOff:
        return None
