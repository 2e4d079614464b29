"""`infinity-mm decontaminate`: an index of evaluation sets, and own data against it; without a recipe or Ray."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from infinity_mm.cli.options import console, json_option, print_json

if TYPE_CHECKING:
    from infinity_mm.decontam.index import BenchmarkEntry
    from infinity_mm.decontam.params import MatchParams


_BUILD = """Add one evaluation set to an index that holds hashes, and neither pictures nor words.

Reads Parquet, VLMEvalKit's .tsv with pictures as base64, .csv, JSON, JSON Lines, tars of samples, or a folder of
pictures. Columns and folders are known for MMBench, MMStar, MMMU, MathVista, HallusionBench, AI2D, OCRBench, MM-Vet,
ChartQA, DocVQA, InfographicVQA, TextVQA, VQAv2, OK-VQA, ScienceQA (its test problems) and COCO's Karpathy split
(coco_karpathy, its test pictures), also under names such as mmbench_dev_en. Of these, files of training data beside
others are left out. Run a stopped command again and it goes on; the same name again replaces that set.

\b
Example:
  infinity-mm decontaminate build --name mmbench --input MMBench_DEV_EN.tsv --out benchmarks.index
"""

_CHECK = """Find the rows of your data that hold a picture or a question of an evaluation set.

Reads what `build` reads. Writes OUT/leaks.parquet (id, benchmark, item, kind, distance, overlap, tokens), one line
per row and benchmark, and OUT/summary.json; the input stays as it is. Pictures are hashed once: a larger index or
another threshold matches again without decoding.

A picture counts by itself if its pixels are equal, or if its perceptual hash is within --radius and neither is a
page, chart, drawing or blank. A question counts by itself if the row contains it, it is long enough, and it is no
template. All others count only where picture and question are of one item.

\b
Example:
  infinity-mm decontaminate check --index benchmarks.index --input train.json --image-root images --out leaks
"""


@click.group()
def decontaminate() -> None:
    """Find pictures and questions of evaluation sets in training data."""


@decontaminate.command(help=_BUILD)
@click.option("--name", required=True, help="The evaluation set: mmbench, mmstar, mmmu, mathvista ... or any other.")
@click.option("--input", "pattern", required=True, metavar="GLOB_OR_DIR", help="Your copy of it; may be a URI.")
@click.option("--out", required=True, metavar="INDEX_DIR", help="Folder of the index; made if absent, added to if not.")
@click.option("--image-column", metavar="C", help="Where the pictures are [default: as published].")
@click.option("--question-column", metavar="C", help="Where the questions are [default: as published].")
@click.option("--id-column", metavar="C", help="What names an item [default: as published, else its place].")
@click.option("--answer-column", metavar="C", help="With --answers [default: as published].")
@click.option("--answers/--no-answers", default=False, help="Hash answers too; `check` does not look at them.")
@click.option("--image-root", "image_roots", multiple=True, metavar="PATH", help="Folder, zip or tar of the pictures.")
@click.option("--ngram", type=click.IntRange(2, 32), default=8, show_default=True, help="Words of an n-gram.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Threads [default: all cores].")
@json_option
def build(
    name: str,
    pattern: str,
    out: str,
    image_column: str | None,
    question_column: str | None,
    id_column: str | None,
    answer_column: str | None,
    answers: bool,
    image_roots: tuple[str, ...],
    ngram: int,
    workers: int | None,
    as_json: bool,
) -> None:
    """Add one evaluation set to an index."""
    from infinity_mm.decontam.build import BuildJob
    from infinity_mm.decontam.build import build as run
    from infinity_mm.decontam.params import IndexParams
    from infinity_mm.fs import Location
    from infinity_mm.lock import exclusive
    from infinity_mm.progress import Reporter

    _keep_code(out)
    job = BuildJob(
        name=name,
        input=pattern,
        out=Location.of(out),
        params=IndexParams(ngram=ngram, answers=answers),
        columns={"image": image_column, "question": question_column, "id": id_column, "answer": answer_column},
        image_roots=image_roots,
        workers=workers or os.cpu_count() or 1,
    )
    with exclusive(job.out):
        entry = run(job, Reporter(as_json))
    if as_json:
        print_json(entry.model_dump(mode="json"))
    else:
        _tell_entry(name, entry)


@decontaminate.command(help=_CHECK)
@click.option("--index", required=True, metavar="DIR", help="An index that `build` made; may be a URI.")
@click.option("--input", "pattern", required=True, metavar="GLOB_OR_DIR", help="Rows or pictures; may be a URI.")
@click.option("--out", required=True, metavar="DIR", help="Folder for the results; run again to resume.")
@click.option("--benchmark", "benchmarks", multiple=True, help="Only this one of the index; repeatable.")
@click.option("--image-column", metavar="C", help="Where the pictures are [default: usual names].")
@click.option("--text-column", "texts", multiple=True, metavar="C", help="Texts or turns [default: usual]; repeatable.")
@click.option("--id-column", metavar="C", help="What names a row [default: usual names, else its place].")
@click.option("--image-root", "image_roots", multiple=True, metavar="PATH", help="Folder, zip or tar of the pictures.")
@click.option("--radius", type=click.IntRange(0, 16), default=4, show_default=True, help="Bits of 64 that may differ.")
@click.option("--min-overlap", type=float, default=0.8, show_default=True, help="Share of a question's n-grams.")
@click.option("--min-question-tokens", type=click.IntRange(min=1), default=8, show_default=True,
              help="Shorter questions count only together with the picture.")  # fmt: skip
@click.option("--max-pictures", type=click.IntRange(min=1), default=10, show_default=True,
              help="So do those asked about more pictures.")  # fmt: skip
@click.option("--require", type=click.Choice(["image", "text", "either", "both"]), default="either", show_default=True)
@click.option("--decode", type=click.Choice(["full", "scaled"]), default="full", show_default=True,
              help="scaled: large JPEGs three times as fast; hashes may differ by 2 bits.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Threads [default: all cores].")
@json_option
def check(
    index: str,
    pattern: str,
    out: str,
    benchmarks: tuple[str, ...],
    image_column: str | None,
    texts: tuple[str, ...],
    id_column: str | None,
    image_roots: tuple[str, ...],
    radius: int,
    min_overlap: float,
    min_question_tokens: int,
    max_pictures: int,
    require: str,
    decode: str,
    workers: int | None,
    as_json: bool,
) -> None:
    """Find the rows that leak."""
    _keep_code(out)
    from infinity_mm.decontam.check import CheckJob
    from infinity_mm.decontam.check import check as run
    from infinity_mm.fs import Location
    from infinity_mm.lock import exclusive
    from infinity_mm.progress import Reporter

    job = CheckJob(
        index=Location.of(index),
        input=pattern,
        out=Location.of(out),
        params=_thresholds(radius, min_overlap, min_question_tokens, max_pictures, require),
        benchmarks=benchmarks,
        image_column=image_column,
        text_columns=texts,
        id_column=id_column,
        image_roots=image_roots,
        decode=decode,
        workers=workers or os.cpu_count() or 1,
    )
    with exclusive(job.out):
        summary = run(job, Reporter(as_json))
    if as_json:
        print_json(summary)
    else:
        _tell(summary, out)


def _thresholds(radius: int, overlap: float, tokens: int, pictures: int, require: str) -> MatchParams:
    from pydantic import ValidationError

    from infinity_mm.decontam.params import MatchParams

    names = ("radius", "min_overlap", "min_question_tokens", "max_pictures", "require")
    values = (radius, overlap, tokens, pictures, require)
    try:
        return MatchParams.model_validate(dict(zip(names, values, strict=True)))
    except ValidationError as error:
        fault = error.errors()[0]
        raise click.UsageError(f"--{str(fault['loc'][0]).replace('_', '-')}: {fault['msg']}") from error


def _keep_code(out: str) -> None:
    from infinity_mm.dedup.kernels.cache import keep_code_in

    if "://" not in out:
        keep_code_in(f"{out}/.compiled")


def _tell(summary: dict[str, Any], out: str) -> None:
    from infinity_mm.fs import Location

    found = f"{summary['rows']:,} rows, {summary['leaking']:,} leak"
    lines = [f"{found}; {Location.of(out) / 'leaks.parquet'} names each, with its item"]
    for name, leak in summary["benchmarks"].items():
        parts = [f"{leak[kind]:,} by {kind.replace('_', ' ')}" for kind in ("image_and_question", "image", "question")]
        lines.append(f"  {name}: {leak['rows']:,} rows, {', '.join(parts)}")
    if summary["unreadable"]:
        lost = ", ".join(f"{reason} {count:,}" for reason, count in summary["unreadable"].items())
        lines.append(f"  not read: {lost}")
    console().print("\n".join(lines), markup=False, soft_wrap=True)


def _tell_entry(name: str, entry: BenchmarkEntry) -> None:
    columns = ", ".join(f"{column} ({role})" for column, role in entry.columns.items())
    lost = "; ".join(f"{reason} {count:,}" for reason, count in entry.unreadable.items())
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in entry.hashes.items())
    console().print(
        f"{name}: {entry.items:,} items from {columns}: {kinds}; {entry.bytes / 1e6:,.2f} MB"
        + (f"\nnot hashed: {lost}" if lost else ""),
        markup=False,
        soft_wrap=True,
    )
