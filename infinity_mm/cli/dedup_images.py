"""`infinity-mm dedup images`."""

from __future__ import annotations

import os

import click

from infinity_mm.cli.options import console, json_option, print_json


@click.command()
@click.option(
    "--input", "pattern", required=True, metavar="GLOB_OR_DIR", help="Pictures, or Parquet files; may be a URI."
)
@click.option("--out", required=True, metavar="DIR", help="Folder for the results; run again to resume.")
@click.option("--radius", type=click.IntRange(0, 16), default=8, show_default=True, help="Bits of 64 that may differ.")
@click.option("--decode", type=click.Choice(["scaled", "full"]), default="scaled", show_default=True)
@click.option("--keep", type=click.Choice(["largest", "first"]), default="largest", show_default=True)
@click.option("--image-column", default="image", show_default=True, help="Of Parquet input.")
@click.option("--id-column", default="id", show_default=True, help="Of Parquet input.")
@click.option("--max-cluster", type=click.IntRange(min=1), default=100_000, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Threads; default: all cores.")
@json_option
def images(
    pattern: str,
    out: str,
    radius: int,
    decode: str,
    keep: str,
    image_column: str,
    id_column: str,
    max_cluster: int,
    workers: int | None,
    as_json: bool,
) -> None:
    """Find pictures that are the same: copies, re-encoded or resized.

    Writes OUT/removed.parquet (id, winner, distance), OUT/unreadable.parquet (id, reason, detail) and OUT/summary.json;
    the input stays as it is. The id of a file is its path below the folder. Every removed picture passed the
    check against its own winner, and no winner is removed.

    A perceptual hash within --radius proposes a pair; thumbnails and aspect ratios must agree too. Blank pictures, and
    pages, charts and drawings (mostly one tone), share hashes by the thousand: they must be equal in pixels.

    Example: infinity-mm dedup images --input photos/ --radius 8 --out runs/photos
    """
    from infinity_mm.dedup.image.inputs import Columns
    from infinity_mm.dedup.image.job import Job, deduplicate_images
    from infinity_mm.dedup.image.params import ImageParams
    from infinity_mm.fs import Location
    from infinity_mm.progress import Reporter

    params = ImageParams(radius=radius, decode=decode, keep=keep, max_cluster=max_cluster)  # type: ignore[arg-type]
    job = Job(pattern, Columns(image_column, id_column), params, Location.of(out), workers or os.cpu_count() or 1)
    summary = deduplicate_images(job, Reporter(as_json))
    if as_json:
        print_json(summary)
        return
    lost = sum(summary["unreadable"].values())
    console().print(
        f"{summary['pictures']:,} pictures: {summary['kept']:,} kept, {summary['removed']:,} removed, "
        f"{lost:,} not read. "
        f"{out}/removed.parquet names each removed one and its winner.",
        markup=False,
        soft_wrap=True,
    )
