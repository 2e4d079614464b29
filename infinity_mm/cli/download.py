"""`infinity-mm download`."""

from __future__ import annotations

import click

from infinity_mm.cli.options import (
    console,
    json_option,
    policy_option,
    print_json,
    ray_options,
    source_option,
    work_option,
)


@click.command()
@click.argument("source")
@click.option("--root", required=True, metavar="DIR_OR_URI", help="Folder that holds the publisher's files.")
@work_option(required=True)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the URLs of the first N raw rows.")
@click.option("--files", multiple=True, metavar="GLOB", help="Annotation files, relative to the root; repeatable.")
@source_option
@policy_option
@ray_options
@json_option
def download(
    source: str,
    root: str,
    work: str,
    limit: int | None,
    files: tuple[str, ...],
    options: tuple[str, ...],
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
    from infinity_mm.recipe import SourceUse
    from infinity_mm.sources.options import parse_options

    use = SourceUse(name=source, root=Location.of(root).uri, limit=limit, files=files, options=parse_options(options))
    report = download_only(use, Location.of(work), RunOptions(address, workers), parse_params(policy))
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        console().print(download_table(report))
