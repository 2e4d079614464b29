"""Lists of what must go, whoever asked for it: ids of rows, addresses and digests of pictures.

A row that a list names is dropped before deduplication, so what it had displaced comes back: the result is that of
a run over input without it. Records stay where they were ingested; exports, mixtures and synthesis never see it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import xxhash

from infinity_mm.errors import RecipeError
from infinity_mm.frozen import NamedFile
from infinity_mm.fs import Location

_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: Lines at fault that an error shows.
_SHOWN = 3


class TakedownFile(NamedFile):
    """One list of a recipe, written there as its path alone.

    Text, UTF-8, one entry per line; blank lines and those that begin with # mean nothing.
    """

    #: Of the entries; filled in when the recipe is loaded, so that a changed list is another recipe.
    digest: str = ""


@dataclass(frozen=True)
class Takedown:
    """Entries of one or several lists."""

    #: Ids of records, 32 hex digits.
    ids: frozenset[str] = frozenset()
    #: SHA-256 of the file of a picture, or of its pixels as the ingest attributes have it, 64 hex digits.
    hashes: frozenset[str] = frozenset()
    #: As the records' image uris have them.
    urls: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """32 hex digits; the same for the same entries in any order."""
        return xxhash.xxh3_128_hexdigest(self.text())

    def text(self) -> bytes:
        """Return the entries as a list that `parse_takedown` reads, sorted."""
        return "\n".join(sorted([*self.ids, *self.hashes, *self.urls])).encode()

    def reason(self, identity: str, uris: Iterable[str], hashes: Iterable[str]) -> str | None:
        """Return what of a row a list names, or None; `hashes` are those of its pictures, of files and of pixels."""
        if identity in self.ids:
            return f"id {identity}"
        named = [f"url {uri}" for uri in uris if uri in self.urls]
        named += [f"sha256 {digest}" for digest in hashes if digest in self.hashes]
        return named[0] if named else None


def parse_takedown(text: str, name: str) -> Takedown:
    """Return the entries of a list: ids, SHA-256 digests, or addresses (with ``://``), whatever their order.

    Raises `RecipeError` naming the first lines that are none of these: a typing error must not leave a row in.
    """
    ids, hashes, urls, wrong = set(), set(), set(), []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        if _ID.fullmatch(entry.lower()):
            ids.add(entry.lower())
        elif _SHA256.fullmatch(entry.lower()):
            hashes.add(entry.lower())
        elif "://" in entry:
            urls.add(entry)
        else:
            wrong.append(f"line {number}: {entry!r:.80}")
    if wrong:
        raise RecipeError(
            f"{name}: {len(wrong)} lines are no takedown: expected the id of a record (32 hex digits), the SHA-256 of "
            f"a picture (64 hex digits), or a URL; got {'; '.join(wrong[:_SHOWN])}"
        )
    return Takedown(frozenset(ids), frozenset(hashes), frozenset(urls))


def read_takedowns(files: Sequence[TakedownFile]) -> Takedown:
    """Return the entries of several lists together; raises `StoreError` for one that cannot be read."""
    parsed = [_read(Location(use.file)) for use in files]
    return Takedown(
        frozenset().union(*(one.ids for one in parsed)),
        frozenset().union(*(one.hashes for one in parsed)),
        frozenset().union(*(one.urls for one in parsed)),
    )


def _read(place: Location) -> Takedown:
    try:
        return parse_takedown(place.read_bytes().decode("utf-8"), str(place))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{place} is no text in UTF-8: {error}") from error


def located(use: TakedownFile, place: Location) -> TakedownFile:
    """Return the list with its place and its digest; raises `RecipeError` where there is none."""
    if not place.exists() or place.is_dir():
        raise RecipeError(f"takedown: no file at {place}")
    return use.model_copy(update={"file": place.uri, "digest": _read(place).digest})
