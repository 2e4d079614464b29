"""`infinity-mm download`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from infinity_mm.cli.options import (
    console,
    json_option,
    policy_option,
    print_json,
    ray_options,
    work_option,
)
from infinity_mm.cli.own import own_help, source_options

if TYPE_CHECKING:
    from infinity_mm.recipe import SourceUse


@click.command(epilog=own_help("infinity-mm download"))
@source_options
@work_option(required=True)
@policy_option
@ray_options
@json_option
def download(
    use: SourceUse,
    work: str,
    policy: tuple[str, ...],
    address: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Download the pictures that SOURCE gives by URL, and ingest nothing.

    Each distinct URL is fetched once: original bytes go to WORK/downloads/*/*.tar, how each URL ended to the
    Parquet beside it. Ends with a table of the outcomes; that URLs failed is no failure of the command. Run it again
    to ask once more for what may have been a passing failure; `infinity-mm ingest` or `run` with the same WORK
    use what is there.
    """
    from infinity_mm.cli.tables import download_table
    from infinity_mm.download.params import parse_params
    from infinity_mm.fs import Location
    from infinity_mm.pipeline.ingest_only import download_only
    from infinity_mm.pipeline.run import RunOptions

    report = download_only(use, Location.of(work), RunOptions(address, workers), parse_params(policy))
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        console().print(download_table(report))
