"""Looking into own data before any work: does what the map says exist, and are there URLs to download?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.nearest import nearest
from infinity_mm.sources.base import Sample, Source
from infinity_mm.sources.families.cut import BrokenOff, parse_row, pieces
from infinity_mm.sources.families.listing import list_files
from infinity_mm.sources.own.families import Family
from infinity_mm.sources.own.parse import lookup
from infinity_mm.sources.own.pictures import OwnPictures
from infinity_mm.sources.own.rows import OwnRows
from infinity_mm.sources.own.spec import OwnSpec, build, columns_of, find_family

#: Files that are looked into, and rows of each: more of them only while a column of the map has not been seen.
FILES = 8
ROWS = 50
MOST_ROWS = 5_000


@dataclass
class _Seen:
    """What the first rows of some files have."""

    columns: dict[str, None]
    urls: bool = False


def check(spec: OwnSpec, root: Location, urls: bool | None = None) -> OwnSpec:
    """Return the spec with `urls` decided: as asked, or by whether the first rows give pictures by URL.

    Reads the beginning of a few files. Raises `SourceError` as `build` does, where no file is found, where a column of
    the map is in none of them, and where no field of the family can be found; the message lists the files' columns.
    """
    source, family = build(spec), find_family(spec.family)
    found = tuple(one.path for one in list_files(source, root, source.card.files))
    seen = _look(source, root, found, spec, family)
    if seen.columns:
        _check_map(spec, family, seen, found)
        _check_needs(spec, family, seen, found)
    mapped = any(known.kind == "url" and known.name in dict(spec.map) for known in family.fields)
    return replace(spec, urls=urls if urls is not None else seen.urls or mapped)


def _look(source: Source, root: Location, files: tuple[str, ...], spec: OwnSpec, family: Family) -> _Seen:
    seen = _Seen({})
    columns = columns_of(family, spec)
    wanted = [columns[name][0] for name, _ in spec.map if name in columns]
    for file in files[:: -(-len(files) // FILES)][:FILES]:
        for number, row in enumerate(islice(first_rows(source, root, file), MOST_ROWS)):
            if (
                number >= ROWS
                and all(column in seen.columns for column in wanted)
                and _is_enough(family, columns, seen)
            ):
                break
            seen.columns |= dict.fromkeys(_names(row))
            seen.columns |= dict.fromkeys(column for column in wanted if lookup(row, column) is not None)
            if number < ROWS and not seen.urls:
                sample = source.parse(row)
                seen.urls = isinstance(sample, Sample) and any(ref.url is not None for ref in sample.images)
    return seen


def _is_enough(family: Family, columns: Mapping[str, tuple[str, ...]], seen: _Seen) -> bool:
    """True where the columns that were seen give one set of the fields that the family needs."""
    present = {name for name, places in columns.items() if any(place in seen.columns for place in places)}
    return any(present.issuperset(needed) for needed in family.needs)


def _names(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the columns of a row and the keys inside those that are objects; members of a tar count as columns."""
    if "__key__" in row and isinstance(row.get("json"), Mapping):
        texts = row.get("texts")
        yield from _names(row["json"])
        yield from texts if isinstance(texts, Mapping) else ()
        return
    for name, value in row.items():
        yield str(name)
        if isinstance(value, Mapping):
            yield from (f"{name}.{key}" for key in value)


def _check_map(spec: OwnSpec, family: Family, seen: _Seen, files: Iterable[str]) -> None:
    for name, columns in columns_of(family, spec).items():
        if name in dict(spec.map) and columns[0] not in seen.columns:
            raise SourceError(
                f"{spec.name}: map {name}={columns[0]}: no column {columns[0]!r} in {_short(files)}, which has "
                f"{_listed(seen)}; {nearest(columns[0], _top(seen))}"
            )


def _check_needs(spec: OwnSpec, family: Family, seen: _Seen, files: Iterable[str]) -> None:
    columns = columns_of(family, spec)
    if _is_enough(family, columns, seen):
        return
    sets = " or ".join(" and ".join(needed) for needed in family.needs)
    asked = dict.fromkeys(name for needed in family.needs for name in needed if columns[name])
    usual = "; ".join(f"{name} in {', '.join(columns[name])}" for name in asked)
    raise SourceError(
        f"{spec.name}: family {family.name} needs {sets}; looked for {usual}, but {_short(files)} has {_listed(seen)}. "
        f"Say where they are with --map {family.needs[0][0]}=COLUMN (map: in a recipe), or take another family "
        f"(`infinity-mm sources --families`)"
    )


def _top(seen: _Seen) -> list[str]:
    return [name for name in seen.columns if "." not in name or name.partition(".")[0] not in seen.columns]


def _listed(seen: _Seen) -> str:
    names = sorted(_top(seen))
    return ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")


def _short(files: Iterable[str]) -> str:
    names = list(files)
    return names[0] if len(names) == 1 else f"{names[0]} (the first of {len(names)} files)"


def first_rows(source: Source, root: Location, file: str) -> Iterator[Mapping[str, Any]]:
    """Yield the first rows of a file as its reader would give them, without cutting the file."""
    if isinstance(source.reader, OwnRows | OwnPictures):
        return source.reader.first(root, file, MOST_ROWS)
    return _first_captions(root / file)


def _first_captions(location: Location) -> Iterator[Mapping[str, Any]]:
    """Yield the first caption with its keys and those of the first image beside it; or the first of a bare list."""
    found: dict[str, Mapping[str, Any]] = {}
    try:
        for piece in pieces(location, ("images", "annotations")):
            row = parse_row(piece.text)[0] if piece.text is not None and piece.key is None else None
            if isinstance(row, dict) and piece.inside not in found:
                found[piece.inside] = row
            if "" in found or len(found) == 2:
                break
    except BrokenOff:
        pass
    if found:
        yield {**found.get("images", {}), **(found.get("annotations") or found.get("") or {})}
