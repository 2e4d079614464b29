"""`infinity-mm plan`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from infinity_mm.cli.options import (
    console,
    json_option,
    licenses_option,
    print_json,
    ray_options,
    set_option,
    with_licenses,
    work_option,
)

if TYPE_CHECKING:
    from infinity_mm.licenses import LicensePolicy
    from infinity_mm.pipeline.forecast import SourcePlan


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@work_option()
@click.option("--pilot", type=click.IntRange(min=1), metavar="N", help="Run N rows of each source aside and predict.")
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    metavar="N",
    help="Rows of each source whose pictures are looked up; 0 for none.",
)
@set_option
@licenses_option
@ray_options
@json_option
def plan(
    recipe: Path,
    work: str | None,
    pilot: int | None,
    sample: int,
    overrides: tuple[str, ...],
    licenses: LicensePolicy | None,
    address: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Check RECIPE and say what a run would do, without doing it.

    Finds every mistake that can be found before work starts (exit status 2): unknown keys, missing roots,
    roots without annotation files, rows whose pictures are not there, impossible thresholds, a model that no engine
    here can run. With --pilot, runs N rows of every source in a temporary folder and predicts rows, disk, tokens and
    GPU-hours.
    """
    from infinity_mm.errors import SourceError
    from infinity_mm.fs import Location
    from infinity_mm.pipeline.forecast import forecast, preview
    from infinity_mm.pipeline.run import RunOptions
    from infinity_mm.recipe import load_recipe

    loaded = with_licenses(load_recipe(recipe, overrides), licenses)
    found = preview(loaded, Location.of(work or f"runs/{loaded.name}"), sample)
    problems = [line.problem for line in found.sources if line.problem is not None]
    predicted = forecast(loaded, pilot, RunOptions(address, workers)) if pilot and not problems else None
    if as_json:
        print_json({"plan": found.model_dump(), "forecast": predicted.model_dump() if predicted else None})
    else:
        out = console()
        out.print(plan_table(f"{loaded.name}: {found.work}", found.sources))
        refused = (f"  {name}: left out: {reason}" for name, reason in found.refused.items())
        warned = (f"  warning: {warning}" for warning in found.warnings)
        for text in (*source_lines(found.sources), *refused, *(f"  {stage}" for stage in found.stages), *warned):
            out.print(text, markup=False, soft_wrap=True)
        for text in predicted.lines() if predicted is not None else ():
            out.print(text, markup=False, soft_wrap=True)
    if problems:
        raise SourceError("\n".join(problems))


def plan_table(title: str, lines: Sequence[SourcePlan]) -> Table:
    """Return what is known of every source before a run."""
    table = Table(title=title, title_justify="left")
    for column in ("source", "annotation files", "MB", "rows", "partitions", "done"):
        table.add_column(column, justify="left" if column == "source" else "right")
    for line in lines:
        rows = "not counted yet" if line.rows is None else f"{line.rows:,}"
        parts = ["", ""] if line.partitions is None else [f"{line.partitions:,}", f"{line.done:,}"]
        table.add_row(line.source, f"{line.files:,}", f"{line.bytes / 1e6:,.1f}", rows, *parts)
    return table


def source_lines(lines: Sequence[SourcePlan]) -> Iterator[str]:
    """Yield where each source's files and pictures are, and what a sample of its rows found there."""
    for line in lines:
        yield f"  {line.source}: {line.root}"
        if line.files_absent:
            yield f"    published names without a file here: {', '.join(line.files_absent)}"
        absent = f"; not there: {', '.join(line.picture_roots_absent)}" if line.picture_roots_absent else ""
        yield f"    pictures are looked up in: {', '.join(place or '.' for place in line.picture_roots)}{absent}"
        if line.pictures is not None:
            yield f"    {line.pictures.line()}"
