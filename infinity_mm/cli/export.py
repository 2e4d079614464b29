"""`infinity-mm export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

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


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@work_option(required=True)
@click.option("--name", "names", multiple=True, metavar="N", help="Only this export of the recipe; repeatable.")
@set_option
@licenses_option
@ray_options
@json_option
def export(
    recipe: Path,
    work: str,
    names: tuple[str, ...],
    overrides: tuple[str, ...],
    licenses: LicensePolicy | None,
    address: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Write shards again from what is curated in WORK.

    Finished passes are not repeated: with an unchanged recipe only missing shards are written, and with
    another `export` section only the shards. With --name the other exports stay as they are, in the manifest too.
    """
    from infinity_mm.cli.tables import summary_lines
    from infinity_mm.errors import RecipeError
    from infinity_mm.fs import Location
    from infinity_mm.nearest import nearest
    from infinity_mm.pipeline.run import RunOptions, run
    from infinity_mm.recipe import load_recipe

    loaded = with_licenses(load_recipe(recipe, overrides), licenses)
    known = [use.name for use in loaded.export]
    for name in names:
        if name not in known:
            raise RecipeError(f"{recipe}: no export {name!r}; {nearest(name, known)}")
    folder = Location.of(work)
    manifest = run(loaded, folder, RunOptions(address, workers), names or None)
    if as_json:
        print_json([report.model_dump() for report in manifest.exports if not names or report.name in names])
        return
    out = console()
    for line in summary_lines(manifest, folder):
        out.print(line, markup=False, soft_wrap=True)
