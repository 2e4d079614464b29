"""`infinity-mm ingest`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from infinity_mm.cli.options import (
    console,
    json_option,
    licenses_option,
    no_download_option,
    policy_option,
    print_json,
    ray_options,
    work_option,
)
from infinity_mm.cli.own import own_help, source_options

if TYPE_CHECKING:
    from infinity_mm.licenses import LicensePolicy
    from infinity_mm.recipe import SourceUse


@click.command(epilog=own_help("infinity-mm ingest"))
@source_options
@work_option(required=True)
@no_download_option
@policy_option
@licenses_option
@ray_options
@json_option
def ingest(
    use: SourceUse,
    work: str,
    no_download: bool,
    policy: tuple[str, ...],
    licenses: LicensePolicy | None,
    address: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Read one SOURCE into unified records, alone: WORK/records/SOURCE/part-*.parquet.

    Rows that cannot be read go to WORK/quarantine/SOURCE/ with a reason. `infinity-mm sources` lists
    the sources; `infinity-mm sources SOURCE` says which files it expects. Pictures that a source gives by URL are
    downloaded first, each once, to WORK/downloads/; the same command again asks for what failed. DIR_OR_URI may be
    hf://datasets/OWNER/NAME: the commit that WORK saw first is read.
    """
    from infinity_mm.cli.tables import books_table, download_table
    from infinity_mm.download.params import parse_params
    from infinity_mm.fs import Location
    from infinity_mm.pipeline.ingest_only import ingest_only
    from infinity_mm.pipeline.run import RunOptions

    download = parse_params(policy, enabled=not no_download)
    manifest = ingest_only(use, Location.of(work), RunOptions(address, workers), download, licenses)
    if as_json:
        print_json(manifest.model_dump(mode="json"))
    else:
        console().print(books_table(manifest))
        if manifest.download is not None:
            console().print(download_table(manifest.download))
