"""`infinity-mm run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from infinity_mm.cli.options import (
    console,
    json_option,
    licenses_option,
    no_download_option,
    print_json,
    ray_options,
    set_option,
    with_licenses,
    work_option,
)

if TYPE_CHECKING:
    from infinity_mm.licenses import LicensePolicy


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@work_option()
@set_option
@licenses_option
@no_download_option
@ray_options
@json_option
def run(
    recipe: Path,
    work: str | None,
    overrides: tuple[str, ...],
    licenses: LicensePolicy | None,
    no_download: bool,
    address: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Run RECIPE: ingest, filter, deduplicate, synthesise, mix, export.

    Run the same command again to resume: finished partitions are never done twice, and the result is
    the same as if nothing had happened. Ends with the books: per source the rows read, kept, dropped
    (by reason) and quarantined. The run folder defaults to runs/<name of the recipe>.
    """
    from infinity_mm.cli.tables import books_table, download_table, summary_lines
    from infinity_mm.fs import Location
    from infinity_mm.pipeline.run import RunOptions
    from infinity_mm.pipeline.run import run as run_recipe
    from infinity_mm.recipe import load_recipe

    loaded = with_licenses(
        load_recipe(recipe, (*overrides, "download.enabled=false") if no_download else overrides), licenses
    )
    folder = Location.of(work or f"runs/{loaded.name}")
    manifest = run_recipe(loaded, folder, RunOptions(address, workers))
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    out = console()
    out.print(books_table(manifest))
    if manifest.download is not None:
        out.print(download_table(manifest.download))
    for line in summary_lines(manifest, folder):
        out.print(line, markup=False, soft_wrap=True)
