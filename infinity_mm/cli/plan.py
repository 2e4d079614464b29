"""`infinity-mm plan`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from infinity_mm.cli.options import console, json_option, print_json, ray_options, set_option, work_option


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@work_option()
@click.option("--pilot", type=click.IntRange(min=1), metavar="N", help="Run N rows of each source aside and predict.")
@set_option
@ray_options
@json_option
def plan(
    recipe: Path,
    work: str | None,
    pilot: int | None,
    overrides: tuple[str, ...],
    address: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Check RECIPE and say what a run would do, without doing it.

    Finds every mistake that can be found before work starts (exit status 2): unknown keys, missing roots,
    roots without annotation files, impossible thresholds, a model that no engine here can run. With --pilot,
    runs N rows of every source in a temporary folder and predicts rows, disk, tokens and
    GPU-hours.
    """
    from infinity_mm.fs import Location
    from infinity_mm.pipeline.forecast import forecast, preview
    from infinity_mm.pipeline.run import RunOptions
    from infinity_mm.recipe import load_recipe

    loaded = load_recipe(recipe, overrides)
    found = preview(loaded, Location.of(work or f"runs/{loaded.name}"))
    predicted = forecast(loaded, pilot, RunOptions(address, workers)) if pilot else None
    if as_json:
        print_json({"plan": found.model_dump(), "forecast": predicted.model_dump() if predicted else None})
        return
    out = console()
    table = Table(title=f"{loaded.name}: {found.work}", title_justify="left")
    for column in ("source", "annotation files", "MB", "rows", "partitions", "done"):
        table.add_column(column, justify="left" if column == "source" else "right")
    for line in found.sources:
        rows = "not counted yet" if line.rows is None else f"{line.rows:,}"
        parts = ["", ""] if line.partitions is None else [f"{line.partitions:,}", f"{line.done:,}"]
        table.add_row(line.source, f"{line.files:,}", f"{line.bytes / 1e6:,.1f}", rows, *parts)
    out.print(table)
    for text in found.stages:
        out.print(f"  {text}", markup=False, soft_wrap=True)
    if predicted is not None:
        for text in predicted.lines():
            out.print(text, markup=False, soft_wrap=True)
