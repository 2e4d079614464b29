"""Cutting a JSON file into its elements without parsing them.

A parser of the whole file gives up at the first fault, and every row behind it is lost. Here only strings, brackets
and commas are looked at; each element is parsed by itself afterwards, so that an invalid byte or a
bottomless nesting costs one row. Memory is bounded by the longest element, time is linear in the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from infinity_mm.fs import Location

_CHUNK = 1 << 20
#: Levels of a row. No publisher needs ten; serialisers and recursive readers give up between 250 and 1,000.
MAX_DEPTH = 100

#: A string, up to its closing quote or to the end of what was read, or one structural character.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)'
_TOKEN = re.compile(_STRING + rb"|[\[\]{},:]", re.S)
#: The same without what only separates: all that matters inside an element.
_NESTING = re.compile(_STRING + rb"|[\[\]{}]", re.S)
#: What Python's json writes for floats that JSON does not have.
_NO_NUMBER = re.compile(rb"NaN|Infinity")
_END, _QUOTE, _COMMA = 0, ord('"'), ord(",")
_OPENING, _CLOSING = b"[{", b"]}"


class BrokenOff(Exception):
    """The file ends, or stops being JSON, where more was expected."""


@dataclass(frozen=True)
class Piece:
    """An element of an array, a member of the top-level object, or the announcement of an array."""

    #: Key of the array or object that the piece stands in; "" on the top level itself.
    inside: str
    #: Key of a member of an object; None for an element of an array.
    key: str | None
    #: The element's JSON; None where the array under `inside` begins.
    text: bytes | None


def pieces(location: Location, arrays: Collection[str] = (), objects: Collection[str] = ()) -> Iterator[Piece]:
    """Yield the elements of a top-level array, or the members of a top-level object.

    Members whose key is in `arrays` and whose value is an array are announced and yielded element by
    element. Members of the top level whose key is in `objects` and whose value is an object are yielded member by
    member, the `arrays` among them again by element. Raises `BrokenOff` after what could be told apart.
    """
    with location.reading(), location.open_input() as stream:
        scanner = _Scanner(stream)
        first = scanner.token(_TOKEN)
        if scanner.before().removeprefix(b"\xef\xbb\xbf").strip() or first not in _OPENING:
            raise BrokenOff("neither an array nor an object begins here")
        if first == ord("["):
            yield from _elements(scanner, "")
        else:
            yield from _members(scanner, arrays, objects, "")
        scanner.finish()


def _elements(scanner: _Scanner, inside: str) -> Iterator[Piece]:
    end = _COMMA
    while end == _COMMA:
        text, end = scanner.value()
        # `[]` has no element, and a comma before the closing bracket makes none.
        if text or end == _COMMA:
            yield Piece(inside, None, text)
    if end != ord("]"):
        raise BrokenOff("an array is closed like an object")


def _members(scanner: _Scanner, arrays: Collection[str], objects: Collection[str], inside: str) -> Iterator[Piece]:
    end = _COMMA
    while end == _COMMA:
        scanner.mark()
        found = scanner.token(_TOKEN)
        if found == ord("}"):
            return
        name = scanner.text() if found == _QUOTE else b""
        if found != _QUOTE or scanner.token(_TOKEN) != ord(":"):
            raise BrokenOff("expected a key and a colon")
        key = _key(name)
        scanner.mark()
        if key in arrays and scanner.peek() == b"[":
            scanner.token(_TOKEN)
            yield Piece(key, None, None)
            yield from _elements(scanner, key)
            scanner.mark()
            end = scanner.token(_TOKEN)
        elif key in objects and scanner.peek() == b"{":
            scanner.token(_TOKEN)
            yield from _members(scanner, arrays, (), key)
            scanner.mark()
            end = scanner.token(_TOKEN)
        else:
            text, end = scanner.value()
            yield Piece(inside, key, text)
    if end != ord("}"):
        raise BrokenOff("an object is not closed")


def _key(text: bytes) -> str:
    try:
        return str(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text.strip()[1:-1].decode("utf-8", "backslashreplace")


class _Scanner:
    """A window on a stream: from the mark, where the current element begins, to the last byte read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._text = b""
        self._mark = self._begin = self._at = 0

    def token(self, pattern: re.Pattern[bytes]) -> int:
        """Step behind the next token; return its first byte, 0 at the end of the file."""
        while True:
            found = pattern.search(self._text, self._at)
            if found is not None:
                kind = self._text[found.start()]
                if kind != _QUOTE or found[1]:
                    self._begin, self._at = found.start(), found.end()
                    return kind
            # An open string is read again with at least as much behind it, so a long one costs twice its length.
            self._at = len(self._text) if found is None else found.start()
            if not self._more():
                self._begin = self._at = len(self._text)
                return _END

    def value(self) -> tuple[bytes, int]:
        """Step behind the next element and what ends it; return both. Raises `BrokenOff` at the end of the file."""
        self.mark()
        depth = 0
        while True:
            kind = self.token(_NESTING if depth else _TOKEN)
            if kind in _OPENING:
                depth += 1
            elif kind in _CLOSING and depth:
                depth -= 1
            elif kind == _END:
                raise BrokenOff(f"the file ends inside an element, {depth} levels deep")
            elif not depth and (kind == _COMMA or kind in _CLOSING):
                return self.before().strip(), kind

    def peek(self) -> bytes:
        """Return the next byte that is no white space; b"" at the end of the file."""
        while not (rest := self._text[self._at : self._at + 64].lstrip()):
            self._at = min(self._at + 64, len(self._text))
            if self._at == len(self._text) and not self._more():
                return b""
        return rest[:1]

    def mark(self) -> None:
        """Let the current element begin here."""
        self._mark = self._at

    def before(self) -> bytes:
        """Return what stands between the mark and the last token."""
        return self._text[self._mark : self._begin]

    def text(self) -> bytes:
        """Return what stands between the mark and the end of the last token."""
        return self._text[self._mark : self._at].strip()

    def finish(self) -> None:
        """Raise `BrokenOff` if anything but white space is left."""
        self.mark()
        if self.peek():
            raise BrokenOff("there is text behind the end")

    def _more(self) -> bool:
        chunk = self._stream.read(max(_CHUNK, len(self._text) - self._mark))
        self._text = self._text[self._mark :] + chunk
        self._at -= self._mark
        self._begin -= self._mark
        self._mark = 0
        return bool(chunk)


def parse_row(text: bytes) -> tuple[Any, str | None]:
    """Return (value, None) of one row's JSON, or (None, what is wrong with it).

    NaN and Infinity are read as null: Python's json writes them, so they stand wherever pandas had no value.
    """
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and (depth := _depth(text)) > MAX_DEPTH:
        return None, f"nested {depth} levels deep, more than {MAX_DEPTH}"
    try:
        return orjson.loads(text), None
    except orjson.JSONDecodeError as error:
        if _NO_NUMBER.search(text) is not None and (value := _without_nan(text)) is not None:
            return value, None
        return None, str(error)


def _without_nan(text: bytes) -> Any:
    """Return the value of a JSON text with NaN, Infinity and -Infinity as null; None where more is wrong with it."""
    try:
        # What orjson cannot write back (lone surrogates, integers of more than 64 bits) is no row either.
        return orjson.loads(orjson.dumps(json.loads(text, parse_constant=lambda name: None)))
    except (ValueError, TypeError):
        return None


def _depth(text: bytes) -> int:
    deepest = depth = 0
    for token in _NESTING.finditer(text):
        kind = text[token.start()]
        if kind in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif kind in _CLOSING:
            depth -= 1
    return deepest
