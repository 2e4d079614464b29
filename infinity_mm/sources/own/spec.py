"""What a user says about own data, and the source that is made of it; no registry, no code of the user's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from infinity_mm.errors import SourceError
from infinity_mm.nearest import nearest
from infinity_mm.record import IMAGE_ONLY, Category
from infinity_mm.sources.base import Card, Reader, Source
from infinity_mm.sources.conversation import Tags
from infinity_mm.sources.families.joined import CaptionsAndImages
from infinity_mm.sources.own.families import NAMES, TAGS, Family, Kind, family_named
from infinity_mm.sources.own.parse import OwnParse
from infinity_mm.sources.own.pictures import OwnPictures
from infinity_mm.sources.own.rows import NO_ROWS, OwnRows

#: Raised whenever the same rows and map would give other samples.
VERSION = 1
#: Where pictures are looked up if nothing is said: beside the annotations, and where they often lie.
IMAGE_ROOTS = ("", "images", "image", "images.zip", "images.tar")
#: Kinds whose columns also stand beside the rows of a file that is one object.
_NOT_TELLING: tuple[Kind, ...] = ("id", "license", "language", "system")
_CATEGORIES: tuple[str, ...] = get_args(Category)


@dataclass(frozen=True)
class OwnSpec:
    """A source of own data."""

    name: str
    family: str
    #: Field of the family -> column of the files; fields that are not named are looked for under their usual names.
    map: tuple[tuple[str, str], ...] = ()
    license: str = "unknown"
    #: None takes the family's.
    category: Category | None = None
    language: str = "und"
    files: tuple[str, ...] = ()
    #: Folders, zips or tars in which pictures given by path are looked up, in order; () takes `IMAGE_ROOTS`.
    image_roots: tuple[str, ...] = field(default=())
    #: True where pictures are given by URL: they are downloaded before ingestion.
    urls: bool = False


def build(spec: OwnSpec) -> Source:
    """Return the source of a spec; pure.

    Raises `SourceError` for an unknown family or category, and for a field that the family does not have, naming the
    nearest known ones.
    """
    family = find_family(spec.family)
    if spec.category is not None and spec.category not in _CATEGORIES:
        raise SourceError(f"category {spec.category!r}; {nearest(spec.category, _CATEGORIES)}")
    if spec.category is not None and (spec.category == IMAGE_ONLY) != (family.category == IMAGE_ONLY):
        raise SourceError(
            f"family {family.name} with category {spec.category!r}: {IMAGE_ONLY} is the category of the family "
            "image_only, and its only one; leave the category out"
        )
    for name, column in spec.map:
        if family.field(name) is None:
            fields = [known.name for known in family.fields]
            raise SourceError(f"family {family.name} has no field {name!r}; {nearest(name, fields)}")
        if not column:
            raise SourceError(f"map: {name}= names no column; write {name}=COLUMN, or leave it out")
    parse = _parse(family, spec)
    return Source(
        card=Card(
            name=spec.name,
            title=f"own data, {family.says}",
            family=family.name,
            category=spec.category or family.category,
            license=spec.license,
            row_licenses=True,
            paper_size={},
            stages={},
            files=spec.files or family.files,
            language=spec.language,
            unique_ids=False,  # nobody promised that they are
        ),
        reader=_reader(family, spec, parse),
        parse=parse,
        version=VERSION,
        parameters=repr(parse),
        image_roots=spec.image_roots or IMAGE_ROOTS,
        downloads=spec.urls,
    )


def find_family(name: str) -> Family:
    """Return a family by name; raises `SourceError` naming the nearest known names."""
    family = family_named(name)
    if family is None:
        raise SourceError(f"no family {name!r}; {nearest(name, NAMES)} (`infinity-mm sources --families` lists all)")
    return family


def columns_of(family: Family, spec: OwnSpec) -> dict[str, tuple[str, ...]]:
    """Return field -> the columns that it is looked for in; tags have none.

    Where the map says that pictures are URLs and names no other place of them, no other place is looked at.
    """
    mapped = dict(spec.map)
    kinds = {known.kind for known in family.fields if known.name in mapped}
    found = {}
    for known in family.fields:
        usual = () if known.kind == "images" and "url" in kinds else known.usual
        if known.kind not in TAGS:
            found[known.name] = (mapped[known.name],) if known.name in mapped else usual
    return found


def _parse(family: Family, spec: OwnSpec) -> OwnParse:
    mapped = dict(spec.map)
    columns: dict[Kind, tuple[str, ...]] = {}
    tags: dict[Kind, str] = {}
    for known in family.fields:
        if known.kind in TAGS:
            tags[known.kind] = mapped.get(known.name, "")
        else:
            columns[known.kind] = columns_of(family, spec)[known.name]
    tag = {kind: tags.get(kind, "") for kind in TAGS}
    spelled = Tags(tag["role"], tag["content"], tag["user"], tag["assistant"], tag["system_role"])
    return OwnParse(tuple(sorted(columns.items())), spelled, family.image_needed, family.layout)


def _reader(family: Family, spec: OwnSpec, parse: OwnParse) -> Reader:
    if family.layout == "coco":
        return CaptionsAndImages()
    named = {column for kind, columns in parse.columns if kind not in _NOT_TELLING for column in columns}
    known = sorted(named | {column.partition(".")[0] for column in named})
    rows = OwnRows(family.suffixes, tuple(known), () if spec.files else NO_ROWS)
    return OwnPictures(rows) if family.layout == "pictures" else rows
