"""`infinity-mm dedup`: deduplication on its own, without a recipe or Ray."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import click

from infinity_mm.cli.dedup_images import images, pairs
from infinity_mm.cli.options import console, json_option, print_json
from infinity_mm.cli.sizes import size_option

if TYPE_CHECKING:
    from infinity_mm.fs import Location

TEXT_HELP = """Find near-duplicate texts in Parquet files, and say of each which kept row it duplicates.

\b
Example:
  infinity-mm dedup text --input 'data/*.parquet' --text-column text --id-column id --out dups
then keep what removed.parquet does not name, for example in SQL:
  SELECT * FROM 'data/*.parquet' WHERE id NOT IN (SELECT id FROM 'dups/removed.parquet')

removed.parquet has one row per duplicate: id, winner (the id of the kept row that it lost to) and similarity,
the true Jaccard similarity of their shingle sets, at or above the threshold. A winner is never removed itself, so
chains of similar texts are not followed. Of two duplicates the one with the lower priority stays, then the one with
the smaller id. Texts are compared without case, punctuation and markup of pictures; those shorter than
a shingle must be equal.

Where one kept text would stand for more than --max-cluster removed ones the job stops before it writes anything, and
shows some of them: texts made from one template are similar though their values differ. Run it again with another
limit and it goes on from there.

The result does not depend on the order of rows or files, on --workers or --memory, nor on interruptions: run a
stopped command again and it goes on. Intermediate files take about 0.8 GB per million texts of 225 words, and
are removed at the end.
"""


@click.group()
def dedup() -> None:
    """Find duplicates in data of your own: verified, in bounded memory, resumable."""


@dedup.command(help=TEXT_HELP)
@click.option("--input", "pattern", required=True, metavar="GLOB", help="Parquet files: path, folder, glob, or URI.")
@click.option("--text-column", required=True, metavar="C", help="Column of texts (string). Null texts are kept.")
@click.option("--id-column", required=True, metavar="I", help="Column of unique ids (string or integer).")
@click.option("--out", required=True, metavar="DIR", help="Where removed.parquet and summary.json go.")
@click.option("--threshold", default=0.7, show_default=True, help="Jaccard similarity that makes a duplicate.")
@click.option("--shingle", type=click.Choice(["word", "char"]), default="word", show_default=True, help="Shingles of.")
@click.option("--ngram", type=int, metavar="N", help="Words or characters of a shingle [default: 5 or 13].")
@click.option("--permutations", default=128, show_default=True, help="MinHash permutations at most.")
@click.option("--recall", default=0.999, show_default=True, help="Chance to find a pair exactly at the threshold.")
@click.option("--hash", "scheme", type=click.Choice(["poly", "sha1"]), default="poly", show_default=True,
              help="Hash of a shingle; sha1 is datasketch's and ten times slower.")  # fmt: skip
@click.option("--priority-column", metavar="P", help="Column of integers; of duplicates, the lowest is kept.")
@click.option("--max-cluster", type=click.IntRange(min=1), default=1_000, show_default=True, metavar="N",
              help="Removed texts that one kept text may stand for.")  # fmt: skip
@click.option("--seed", default=1, show_default=True, help="Seed of the permutations, as datasketch's.")
@click.option("--memory", default="1GiB", callback=size_option, metavar="SIZE", show_default=True,
              help="Memory for what grows with the input.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Threads [default: all processors].")
@click.option("--spill", metavar="DIR", help="Local folder for intermediate files [default: OUT/.spill].")
@click.option("--resume/--no-resume", default=True, show_default=True, help="Go on where a stopped run was.")
@json_option
def text(
    pattern: str,
    text_column: str,
    id_column: str,
    out: str,
    threshold: float,
    shingle: Literal["word", "char"],
    ngram: int | None,
    permutations: int,
    recall: float,
    scheme: Literal["poly", "sha1"],
    priority_column: str | None,
    max_cluster: int,
    seed: int,
    memory: int,
    workers: int | None,
    spill: str | None,
    resume: bool,
    as_json: bool,
) -> None:
    """Run the command; `TEXT_HELP` says what it does."""
    target = _prepared(out)
    from infinity_mm.dedup.text.inputs import Columns
    from infinity_mm.dedup.text.job import Request, run
    from infinity_mm.dedup.text.params import NGRAMS, parse_params
    from infinity_mm.fs import Location
    from infinity_mm.progress import Reporter

    values: dict[str, object] = {"threshold": threshold, "permutations": permutations, "recall": recall, "seed": seed}
    values |= {"shingle": shingle, "ngram": NGRAMS[shingle] if ngram is None else ngram, "hash": scheme}
    params = parse_params(values)
    request = Request(
        pattern=pattern,
        columns=Columns(text_column, id_column, priority_column),
        out=target,
        spill=None if spill is None else Location.of(spill),
        memory=memory,
        workers=workers or os.cpu_count() or 1,
        resume=resume,
        max_cluster=max_cluster,
    )
    summary = run(request, params, Reporter())
    if as_json:
        print_json(summary)
        return
    _print(summary, str(target / "removed.parquet"))


def _prepared(out: str) -> Location:
    """Return the place of the results; what is set here must be set before arrays and kernels are imported."""
    from infinity_mm.dedup.kernels.cache import keep_code_in
    from infinity_mm.dedup.kernels.lean import run_lean

    run_lean()
    from infinity_mm.fs import Location

    target = Location.of(out)
    if target.is_local:
        keep_code_in(f"{target.path}/.compiled")
    return target


def _print(summary: dict[str, Any], path: str) -> None:
    """Print what was found to stdout."""
    counts = f"{summary['removed']:,} removed ({summary['removed_equal']:,} equal to their winner)"
    lines = [
        f"{summary['rows']:,} texts: {counts}, {summary['kept']:,} kept",
        f"{path} names each removed row and its winner",
    ]
    console().print("\n".join(lines), markup=False, soft_wrap=True)


dedup.add_command(images)
dedup.add_command(pairs)
