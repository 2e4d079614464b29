"""`infinity-mm status`."""

from __future__ import annotations

import click
from rich.table import Table

from infinity_mm.cli.options import console, json_option, print_json


@click.command()
@click.argument("work")
@json_option
def status(work: str, as_json: bool) -> None:
    """Say how far the run in WORK has come: per pass the partitions done and to do."""
    from infinity_mm.fs import Location
    from infinity_mm.status import read_status
    from infinity_mm.store import Store

    found = read_status(Store(Location.of(work)))
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    table = Table(title=f"{work}: {found.state}", title_justify="left")
    for column in ("pass", "done", "of"):
        table.add_column(column, justify="left" if column == "pass" else "right")
    for line in found.passes:
        table.add_row(line.name, f"{line.done:,}", f"{line.total:,}")
    out = console()
    out.print(table)
    out.print(found.advice, markup=False, soft_wrap=True)
