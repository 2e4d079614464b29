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
    source_option,
    work_option,
)

if TYPE_CHECKING:
    from infinity_mm.licenses import LicensePolicy


@click.command()
@click.argument("source")
@click.option(
    "--root",
    required=True,
    metavar="DIR_OR_URI",
    help="Folder or URI (s3://, gs://, hf://datasets/OWNER/NAME) of the publisher's files.",
)
@work_option(required=True)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read only the first N raw rows.")
@click.option("--files", multiple=True, metavar="GLOB", help="Annotation files, relative to the root; repeatable.")
@source_option
@no_download_option
@policy_option
@licenses_option
@ray_options
@json_option
def ingest(
    source: str,
    root: str,
    work: str,
    limit: int | None,
    files: tuple[str, ...],
    options: tuple[str, ...],
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
    from infinity_mm.recipe import SourceUse
    from infinity_mm.sources.options import parse_options

    use = SourceUse(
        name=source,
        root=Location.of(root).uri,
        limit=limit,
        files=files,
        options=parse_options(options),
        max_quarantined=1.0,
    )
    download = parse_params(policy, enabled=not no_download)
    manifest = ingest_only(use, Location.of(work), RunOptions(address, workers), download, licenses)
    if as_json:
        print_json(manifest.model_dump(mode="json"))
    else:
        console().print(books_table(manifest))
        if manifest.download is not None:
            console().print(download_table(manifest.download))
