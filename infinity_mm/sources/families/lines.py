"""JSON Lines by byte ranges, and JSON arrays or objects rewritten once as lines.

A file of lines is scanned once, for newlines and digests; each split then reads its own bytes. Other
JSON cannot be cut, so it is streamed through ijson and written as lines ``[locator, row]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ijson
import numpy as np
import orjson
import xxhash

from infinity_mm.fs import Location
from infinity_mm.sources.base import Quarantine, Raw, Split

_CHUNK = 1 << 20
SNIPPET = 4_096
#: Under which a row of an object keyed by id finds its key.
KEY = "__key__"
#: Bytes at the start of a file that decide whether it is JSON Lines.
_SNIFF = 1 << 20


def iterate_lines(location: Location, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, line without its newline) of the bytes from `start` to `stop`, streaming."""
    with location.open_input() as stream:
        stream.seek(start)
        rest, offset, left = b"", start, None if stop is None else stop - start
        while left is None or left > 0:
            chunk = stream.read(_CHUNK if left is None else min(_CHUNK, left))
            if not chunk:
                break
            left = None if left is None else left - len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield offset, line
                offset += len(line) + 1
        if rest:
            yield offset, rest


@dataclass(frozen=True)
class Scan:
    """What one streaming pass over a file of lines found."""

    splits: tuple[Split, ...]
    #: xxh3_128 of the whole content, 32 hex digits.
    digest: str


def scan_lines(location: Location, file: str, rows: int, prepared: bool = False) -> Scan:
    """Cut a file of lines into splits of `rows` non-blank lines."""
    whole = xxhash.xxh3_128()
    digests: list[int] = []
    marks: list[tuple[int, int]] = []  # (offset, physical line) of every non-blank line
    end = 0
    for number, (offset, line) in enumerate(iterate_lines(location)):
        whole.update(line)
        whole.update(b"\n")
        end = offset + len(line) + 1
        if line.strip():
            digests.append(xxhash.xxh3_64_intdigest(line.strip()))
            marks.append((offset, number))
    repeats = find_repeats(digests)
    splits = []
    for start in range(0, len(marks), rows):
        stop = min(start + rows, len(marks))
        splits.append(
            Split(
                file=file,
                start=marks[start][0],
                stop=marks[stop][0] if stop < len(marks) else end,
                first=marks[start][1],
                rows=stop - start,
                repeats=tuple((place - start, n) for place, n in repeats if start <= place < stop),
                prepared=location.uri if prepared else None,
            )
        )
    return Scan(tuple(splits), whole.hexdigest())


def find_repeats(digests: list[int]) -> list[tuple[int, int]]:
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
        yield _prepared(text, repeat) if split.prepared else _line(text, f"line={number + 1}", repeat)


def _line(text: bytes, locator: str, repeat: int) -> Raw:
    digest = xxhash.xxh3_128_hexdigest(text)
    snippet = text[:SNIPPET].decode("utf-8", "replace")
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        fault = Quarantine("malformed_json", f"expected one JSON object, {error}")
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
    body = orjson.dumps(row)
    snippet = body[:SNIPPET].decode("utf-8", "replace")
    digest = xxhash.xxh3_128_hexdigest(body)
    if fault is not None:
        return Raw(locator, None, digest, repeat, Quarantine(fault[0], fault[1]), snippet)
    return as_raw(row, locator, digest, repeat, snippet)


def prepared_line(locator: str, row: Any, fault: tuple[str, str] | None = None) -> bytes:
    """Return one line of a prepared file."""
    return orjson.dumps([locator, row, fault], default=str) + b"\n"


def scan_prepared(location: Location, file: str, rows: int) -> tuple[Split, ...]:
    """Cut a prepared file; repeats are rows with equal content, whatever their locators."""
    digests = [xxhash.xxh3_64_intdigest(orjson.dumps(orjson.loads(line)[1:])) for _, line in iterate_lines(location)]
    repeats = find_repeats(digests)
    splits = scan_lines(location, file, rows, prepared=True).splits
    return tuple(
        Split(
            file, split.start, split.stop, split.first, split.rows,
            tuple((p - split.first, n) for p, n in repeats if split.first <= p < split.first + split.rows),
            split.prepared,
        )
        for split in splits
    )  # fmt: skip


def is_json_lines(location: Location) -> bool:
    """True if the first non-blank line is a whole JSON object and not a container of rows."""
    with location.open_input() as stream:
        head = stream.read(_SNIFF)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text.startswith(b"{"):
        return not text.startswith(b"[")
    first, newline, rest = text.partition(b"\n")
    if len(head) == _SNIFF and not newline:
        return False
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        # A broken first line of many, or the brace of a pretty-printed object?
        return len(first) > 2 and rest.lstrip().startswith(b"{")
    return True


def elements(location: Location, inside: tuple[str, ...]) -> Iterator[tuple[str, Any, tuple[str, str] | None]]:
    """Yield (locator, row, fault) of a JSON array, of the array under one of `inside`, or of an object's values.

    A syntax error ends the file: what stood before it is yielded, then one fault for the rest.
    """
    kind, path = _shape(location, inside)
    count = 0
    try:
        with location.open_input() as stream:
            if kind == "object":
                for key, value in ijson.kvitems(stream, path, use_float=True):
                    row = {**value, KEY: key} if isinstance(value, dict) else value
                    yield f"key={key}", row, None
                    count += 1
            else:
                for value in ijson.items(stream, path, use_float=True):
                    yield f"item={count}", value, None
                    count += 1
    except (ijson.JSONError, UnicodeDecodeError, OverflowError) as error:
        detail = f"the file breaks off or is no JSON after {count} rows: {error}"
        yield f"item={count}", None, ("malformed_json", detail[:400])


def _shape(location: Location, inside: tuple[str, ...]) -> tuple[str, str]:
    with location.open_input() as stream:
        head = stream.read(_SNIFF).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"["):
        return "array", "item"
    if inside and head.startswith(b"{"):
        try:
            with location.open_input() as stream:
                for prefix, event, value in ijson.parse(stream):
                    if prefix == "" and event == "map_key" and value in inside:
                        return "array", f"{value}.item"
        except (ijson.JSONError, UnicodeDecodeError):
            return "object", ""
    return "object", ""
