"""Options of the commands that read one source: of the catalogue by name, or own data by family and map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from infinity_mm.sources.own.families import FAMILIES, Family

if TYPE_CHECKING:
    from infinity_mm.recipe import SourceUse


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add SOURCE, ``--root``, ``--limit``, ``--files``, ``--option`` and the options of own data.

    The command is given the source that they name, looked into, as its argument `use`.
    """

    @wraps(command)
    def run(
        source: str | None,
        root: str,
        limit: int | None,
        files: tuple[str, ...],
        family: str | None,
        name: str | None,
        columns: tuple[str, ...],
        license_name: str | None,
        category: str | None,
        language: str | None,
        image_root: tuple[str, ...],
        urls: bool | None,
        options: tuple[str, ...],
        **others: Any,
    ) -> None:
        own = {"map": read_map(columns), "license": license_name, "category": category, "language": language,
               "image_root": image_root, "urls": urls}  # fmt: skip
        tree = {"name": source or name, "root": root, "limit": limit, "files": files, "family": family}
        _check_named(source, family, name, own)
        command(use=_look_into(tree, own, options), **others)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


_OPTIONS = (
    click.argument("source", required=False),
    click.option(
        "--root",
        required=True,
        metavar="DIR_OR_URI",
        help="Folder or URI (s3://, gs://, hf://datasets/OWNER/NAME) of the files.",
    ),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read only the first N raw rows."),
    click.option("--files", multiple=True, metavar="GLOB", help="Annotation files, relative to the root; repeatable."),
    click.option(
        "--family", metavar="FAMILY", help="Own data, instead of SOURCE: " + ", ".join(f.name for f in FAMILIES) + "."
    ),
    click.option("--name", metavar="NAME", help="Own data: what it is called, e.g. my_set."),
    click.option(
        "--map", "columns", multiple=True, metavar="FIELD=COLUMN", help="Own data: where a field is; repeatable."
    ),
    click.option("--license", "license_name", metavar="L", help="Own data: licence [default: unknown]."),
    click.option("--category", metavar="C", help="Own data: caption, general, text_instruct ... [default: by family]."),
    click.option("--language", metavar="L", help="Own data: language of the texts, BCP 47 [default: und]."),
    click.option(
        "--image-root", multiple=True, metavar="DIR", help="Own data: folder, zip or tar of the pictures; repeatable."
    ),
    click.option("--urls/--no-urls", default=None, help="Own data: pictures are URLs [default: by the first rows]."),
    click.option(
        "--option",
        "options",
        multiple=True,
        metavar="NAME=VALUE",
        help="How the source is read, as under its key options in a recipe, e.g. --option group_by_image=true; "
        "`infinity-mm sources SOURCE` lists its options; repeatable.",
    ),
)


def _check_named(source: str | None, family: str | None, name: str | None, own: Mapping[str, Any]) -> None:
    given = [key.replace("_", "-") for key, value in own.items() if value not in (None, {}, ())]
    if (source is None) == (family is None):
        raise click.UsageError("name a SOURCE of the catalogue, or own data with --family and --name")
    if family is None and (name or given):
        raise click.UsageError(f"--{(['name'] if name else given)[0]}: only with --family, for own data")
    if family is not None and not name:
        raise click.UsageError("--family: give the data a name as well, e.g. --name my_set")


def _look_into(tree: Mapping[str, Any], own: Mapping[str, Any], options: tuple[str, ...]) -> SourceUse:
    """Return the source; raises `SourceError` or `click.UsageError`."""
    from infinity_mm.fs import Location
    from infinity_mm.recipe import SourceUse
    from infinity_mm.sources.options import parse_options

    place = Location.of(tree["root"])
    if not place.is_dir():
        raise click.UsageError(f"--root: no folder at {place}")
    _check_category(own["category"])
    keys = {key: value for key, value in own.items() if value is not None} if tree["family"] is not None else {}
    return SourceUse.model_validate(
        {**tree, **keys, "root": place.uri, "options": parse_options(options), "max_quarantined": 1.0}
    ).checked()


def _check_category(category: str | None) -> None:
    from typing import get_args

    from infinity_mm.nearest import nearest
    from infinity_mm.record import Category

    if category is not None and category not in get_args(Category):
        raise click.UsageError(f"--category {category!r}: {nearest(category, get_args(Category))}")


def read_map(columns: tuple[str, ...]) -> dict[str, str]:
    """Return field -> column of ``field=column`` texts; raises `click.UsageError`."""
    found: dict[str, str] = {}
    for text in columns:
        field, equals, column = text.partition("=")
        if not equals or not field or not column:
            raise click.UsageError(f"--map {text!r}: expected FIELD=COLUMN, e.g. --map images=photos")
        if field in found:
            raise click.UsageError(f"--map: {field} is given twice, as {found[field]} and as {column}")
        found[field] = column
    return found


def own_help(program: str) -> str:
    """Return the part of a command's help that shows one command per family."""
    examples = "\n".join(f"  {family.command.replace('infinity-mm ingest', program)}" for family in FAMILIES)
    return (
        "Own data needs no code: name the family that its files are of, and the columns that have other names than "
        "usual. `infinity-mm sources --families` lists fields and usual names. One command per family:\n\n\b\n"
    ) + examples


def family_lines(family: Family) -> list[str]:
    """Return what people need to know of a family."""
    lines = [f"{family.name}: {family.says}", f"  row        {family.row}"]
    for field in family.fields:
        usual = f" [{', '.join(field.usual)}]" if field.usual else ""
        lines.append(f"  field      {field.name}: {field.says}{usual}")
    lines.append("  needs      " + " or ".join(" and ".join(needed) for needed in family.needs))
    plain = [suffix for suffix in family.suffixes if not suffix.endswith((".gz", ".zst", ".bz2"))]
    packed = "" if len(plain) == len(family.suffixes) else "; text also as .gz, .zst, .bz2"
    first = "pictures by their names (*.jpg, *.png, ...), *.zip, *.tar; where there are none, "
    first = first if family.layout == "pictures" else ""
    lines.append(f"  files      {first}{', '.join((*family.files, *(f'*{suffix}' for suffix in plain)))}{packed}")
    return [*lines, f"  start      {family.command}"]
