"""`infinity-mm sources`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from infinity_mm.cli.options import console, json_option, print_json
from infinity_mm.cli.own import family_lines
from infinity_mm.sources.own.families import FAMILIES


@click.command()
@click.argument("name", required=False)
@click.option("--markdown", is_flag=True, help="Print the catalogue as a table in Markdown.")
@click.option(
    "--update",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Renew the table that stands between the markers in FILE (README.md).",
)
@click.option("--families", is_flag=True, help="List the families of own data instead: rows, fields, a command each.")
@json_option
def sources(name: str | None, markdown: bool, update: Path | None, families: bool, as_json: bool) -> None:
    """List the catalogue, or show one source: layout, traps, licence, access, and a command to start with.

    Sizes and stages are those of the papers; the licence is the publisher's for the annotations, and pictures may
    have another. `access` says what stands before the files: nothing (open), a form on the hub (gated), a
    registration elsewhere, or that the publisher withdrew them.

    With --families, show the layouts of files that need no source of the catalogue (or only the one named NAME), and
    how to say which column holds what.
    """
    if families:
        _show_families(name, as_json)
        return
    if name is not None and (markdown or update is not None):
        raise click.UsageError("--markdown and --update take the whole catalogue; leave out the name")
    from infinity_mm.access import how_to_get, start_command
    from infinity_mm.cli.cards import card_lines, cards_table, markdown_table, with_table
    from infinity_mm.sources.catalogue import load, names
    from infinity_mm.sources.options import describe_options

    found = [load(each) for each in ([name] if name else names())]
    cards = [source.card for source in found]
    if update is not None:
        update.write_text(with_table(update.read_text(encoding="utf-8"), markdown_table(cards)), encoding="utf-8")
    elif as_json:
        print_json(
            [
                asdict(source.card)
                | {
                    "licence": source.card.license,
                    "image_roots": source.image_roots,
                    "downloads": source.downloads,
                    "how_to_get": how_to_get(source.card),
                    "start": start_command(source.card),
                    "options": [asdict(option) for option in describe_options(source)],
                }
                for source in found
            ]
        )
    elif markdown:
        click.echo(markdown_table(cards), nl=False)
    elif name is None:
        console().print(cards_table(cards))
    else:
        out = console()
        for line in card_lines(found[0]):
            out.print(line, markup=False, soft_wrap=True)


def _show_families(name: str | None, as_json: bool) -> None:
    from infinity_mm.sources.own.spec import find_family

    chosen = FAMILIES if name is None else (find_family(name),)
    if as_json:
        print_json([asdict(family) | {"command": family.command} for family in chosen])
        return
    out = console()
    for family in chosen:
        for line in family_lines(family):
            out.print(line, markup=False, soft_wrap=True)
