"""`infinity-mm dedup images` and `dedup pairs`."""

from __future__ import annotations

import os
from typing import Any

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

    \b
    Example:
      infinity-mm dedup images --input photos/ --radius 8 --out dups
    """
    from infinity_mm.dedup.kernels.cache import keep_code_in

    keep_code_in(f"{out}/.compiled")
    from infinity_mm.dedup.image.inputs import Columns
    from infinity_mm.dedup.image.job import Job, deduplicate_images
    from infinity_mm.dedup.image.params import ImageParams
    from infinity_mm.fs import Location
    from infinity_mm.progress import Reporter

    params = ImageParams(radius=radius, decode=decode, keep=keep, max_cluster=max_cluster)  # type: ignore[arg-type]
    job = Job(pattern, Columns(image_column, id_column), params, Location.of(out), workers or os.cpu_count() or 1)
    summary = deduplicate_images(job, Reporter(as_json))
    _tell(summary, summary["pictures"], "pictures", out, as_json)


@click.command()
@click.option("--input", "pattern", required=True, metavar="GLOB", help="Parquet files: path, folder, glob, or URI.")
@click.option("--out", required=True, metavar="DIR", help="Folder for the results; run again to resume.")
@click.option("--id-column", default="id", show_default=True)
@click.option("--image-column", default="image", show_default=True, help="Bytes, {bytes, path}, or a list of them.")
@click.option("--messages-column", metavar="C", help="list<struct<role, content>>.")
@click.option("--question-column", metavar="C", help="Of single turns; leave out for captions.")
@click.option("--answer-column", metavar="C", help="Of single turns, or the caption.")
@click.option("--threshold", type=float, default=0.7, show_default=True, help="Jaccard similarity of the texts.")
@click.option("--radius", type=click.IntRange(0, 16), default=8, show_default=True, help="Bits of 64 that may differ.")
@click.option("--decode", type=click.Choice(["scaled", "full"]), default="scaled", show_default=True)
@click.option("--max-cluster", type=click.IntRange(min=1), default=100_000, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Threads; default: all cores.")
@json_option
def pairs(
    pattern: str,
    out: str,
    id_column: str,
    image_column: str,
    messages_column: str | None,
    question_column: str | None,
    answer_column: str | None,
    threshold: float,
    radius: int,
    decode: str,
    max_cluster: int,
    workers: int | None,
    as_json: bool,
) -> None:
    """Find rows of which pictures and text are those of another row.

    The same picture with another question stays, and so does the same question about another picture. Writes
    OUT/removed.parquet (id, winner, similarity, distance, reason), OUT/unreadable.parquet and OUT/summary.json.
    Prompts must be equal, answers equal or similar; pictures are compared as `dedup images` does.

    \b
    Example:
      infinity-mm dedup pairs --input 'vqa/*.parquet' --question-column question --answer-column answer --out dups
    """
    from infinity_mm.dedup.kernels.cache import keep_code_in

    keep_code_in(f"{out}/.compiled")
    from pydantic import ValidationError

    from infinity_mm.dedup.image.pairs import PairColumns, PairJob, deduplicate_pairs
    from infinity_mm.dedup.image.params import ImageParams
    from infinity_mm.dedup.params import DedupParams
    from infinity_mm.fs import Location
    from infinity_mm.progress import Reporter

    columns = PairColumns(id_column, image_column, messages_column, question_column, answer_column)
    try:
        texts = DedupParams(threshold=threshold)
    except ValidationError as error:
        raise click.UsageError(f"--threshold: {error.errors()[0]['msg']}, got {threshold}") from error
    images = ImageParams(radius=radius, decode=decode, max_cluster=max_cluster)  # type: ignore[arg-type]
    job = PairJob(pattern, columns, images, texts, Location.of(out), workers or os.cpu_count() or 1)
    summary = deduplicate_pairs(job, Reporter(as_json))
    _tell(summary, summary["rows"], "rows", out, as_json)


def _tell(summary: dict[str, Any], total: int, what: str, out: str, as_json: bool) -> None:
    from infinity_mm.fs import Location

    if as_json:
        print_json(summary)
        return
    lost = sum(summary["unreadable"].values())
    console().print(
        f"{total:,} {what}: {summary['kept']:,} kept, {summary['removed']:,} removed, {lost:,} not read. "
        f"{Location.of(out) / 'removed.parquet'} names each removed one and its winner.",
        markup=False,
        soft_wrap=True,
    )
