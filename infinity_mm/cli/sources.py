"""`infinity-mm sources`."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.table import Table

from infinity_mm.cli.options import console, json_option, print_json


@click.command()
@click.argument("name", required=False)
@json_option
def sources(name: str | None, as_json: bool) -> None:
    """List the catalogue, or show one source: layout, traps, options, and a command to start with."""
    from infinity_mm.sources.catalogue import load, names
    from infinity_mm.sources.options import describe_options

    found = [load(each) for each in ([name] if name else names())]
    cards = [source.card for source in found]
    if as_json:
        options = [[asdict(option) for option in describe_options(source)] for source in found]
        print_json(
            [asdict(card) | {"licence": card.license, "options": own} for card, own in zip(cards, options, strict=True)]
        )
        return
    out = console()
    if name is None:
        table = Table()
        for column in ("source", "family", "category", "papers' size", "stages", "access", "licence"):
            table.add_column(column, overflow="fold")
        for card in cards:
            sizes = ", ".join(f"{paper} {size}" for paper, size in card.paper_size.items())
            stages = ", ".join(f"{paper} {'/'.join(stage)}" for paper, stage in card.stages.items())
            table.add_row(card.name, card.family, card.category, sizes, stages, card.access, card.license)
        out.print(table)
        return
    card = cards[0]
    lines = [f"{card.name}: {card.title}", f"  family     {card.family}", f"  category   {card.category}"]
    lines += [f"  size       {size} ({paper})" for paper, size in card.paper_size.items()]
    lines += [f"  stages     {', '.join(stages)} ({paper})" for paper, stages in card.stages.items()]
    lines += [f"  licence    {card.license}", f"  access     {card.access}"]
    lines += [f"  hub        https://huggingface.co/datasets/{hub}" for hub in card.hub_ids]
    lines += [f"  where      {url}" for url in card.urls]
    lines += [f"  files      {pattern}" for pattern in card.files]
    lines += [f"  trap       {trap}" for trap in card.traps]
    for option in describe_options(found[0]):
        values = " | ".join(map(_written, option.values)) or "number"
        lines.append(f"  option     {option.name}: {values} (default {_written(option.default)})")
        lines.append(f"             {option.meaning}")
    lines.append(f"  start      infinity-mm ingest {card.name} --root DIR --work runs/{card.name} --limit 100")
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)


def _written(value: object) -> str:
    """Return a value as a recipe has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
