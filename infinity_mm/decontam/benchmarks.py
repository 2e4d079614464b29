"""Evaluation sets as published: in which columns the pictures, questions and ids are, so that nobody must name them.

Column names are those of the hub's data sets, of VLMEvalKit's tables (``.tsv``, pictures as base64) and of the
publishers' own files; the first that a file has counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from infinity_mm.errors import UsageError
from infinity_mm.nearest import nearest
from infinity_mm.sources.families.lines import KEY

Role = Literal["id", "image", "question", "answer"]


@dataclass(frozen=True)
class Benchmark:
    """Where an evaluation set keeps what is hashed."""

    name: str
    title: str
    #: All columns named here that a file has hold pictures; of the others the first counts.
    image: tuple[str, ...]
    question: tuple[str, ...]
    #: Columns that name an item, alone or several together; the first that are all there count.
    id: tuple[str | tuple[str, ...], ...]
    answer: tuple[str, ...] = ("answer", "answers")
    #: Where files have a column `split`: what it says of the rows that belong to the evaluation set; () for any.
    splits: tuple[str, ...] = ()
    #: Keys under which files that are one object keep their rows, beside the usual ones.
    inside: tuple[str, ...] = ()


_FIGURE = ("category", "subcategory", "set_id", "figure_id", "question_id")
_MMMU = ("image", *(f"image_{number}" for number in range(1, 8)))

KNOWN: tuple[Benchmark, ...] = (
    Benchmark("mmbench", "MMBench", ("image",), ("question",), ("index",)),
    Benchmark("mmstar", "MMStar", ("image",), ("question",), ("index",)),
    Benchmark("mmmu", "MMMU", _MMMU, ("question",), ("id", "index")),
    Benchmark("mathvista", "MathVista", ("decoded_image", "image"), ("question",), ("pid", "index")),
    Benchmark("hallusionbench", "HallusionBench", ("image", "filename"), ("question",),
              ("index", _FIGURE), ("gt_answer_details", "gt_answer", "answer")),
    Benchmark("ai2d", "AI2D", ("image",), ("question",), ("index", "id")),
    Benchmark("ocrbench", "OCRBench", ("image", "image_path"), ("question",),
              ("index", ("dataset_name", "id"))),
    Benchmark("mmvet", "MM-Vet", ("image", "imagename"), ("question",), ("question_id", "index", "id")),
    Benchmark("chartqa", "ChartQA", ("image", "imgname"), ("question", "query"), ("index", "id"), ("answer", "label")),
    Benchmark("docvqa", "DocVQA", ("image",), ("question",), ("questionId", "index")),
    Benchmark("infovqa", "InfographicVQA", ("image", "image_local_name"), ("question",), ("questionId", "index")),
    Benchmark("textvqa", "TextVQA", ("image", "image_id"), ("question",), ("question_id", "index")),
    Benchmark("vqav2", "VQAv2", ("image",), ("question",), ("question_id", "index"),
              ("multiple_choice_answer", "answer", "answers")),
    Benchmark("okvqa", "OK-VQA", ("image",), ("question",), ("question_id", "index")),
    Benchmark("coco_karpathy", "COCO captions, Karpathy test", ("image", "filename", "file_name"), (),
              ("cocoid", "image_id", "id", "index"), ("caption", "sentences", "answer"), ("test",), ("images",)),
    Benchmark("scienceqa", "ScienceQA", ("image",), ("question",), ("index", "id"), splits=("test",)),
)  # fmt: skip
#: For evaluation sets that are not in the table.
ANY = Benchmark(
    "",
    "",
    ("image", "images", "decoded_image", "image_path", "image_1", "file_name", "filename"),
    ("question", "query", "prompt", "text"),
    ("id", "index", "question_id", "questionId", "qid", "pid", "uid"),
    ("answer", "answers", "label"),
)
#: Benchmarks whose questions, as published, give the number of a COCO picture and no name.
_COCO = ("vqav2", "okvqa")


@dataclass(frozen=True)
class Columns:
    """Columns of one file."""

    images: tuple[str, ...] = ()
    question: str | None = None
    #: Those that name an item together.
    id: tuple[str, ...] = ()
    answer: str | None = None


def known(name: str) -> Benchmark:
    """Return what is known of an evaluation set; a name may have a suffix: ``mmbench_dev_en`` is MMBench.

    Underscores and hyphens inside do not matter: ``ok-vqa`` is OK-VQA.
    """
    parts = name.lower().replace("-", "_").split("_")
    beginnings = {"".join(parts[:count]) for count in range(1, len(parts) + 1)}
    fitting = [one for one in KNOWN if one.name.replace("_", "") in beginnings]
    return max(fitting, key=lambda one: len(one.name)) if fitting else ANY


def choose_columns(name: str, there: Collection[str], given: Mapping[Role, str | None]) -> Columns:
    """Return the columns of a file: those `given`, else those known of the benchmark, else usual ones.

    `there` are the file's columns. Raises `UsageError` for a given column that is absent, and where neither pictures
    nor questions are found.
    """
    for role, column in given.items():
        if column is not None and column not in there:
            raise UsageError(f"--{role}-column: there is no column {column!r}; {nearest(column, sorted(there))}")
    benchmark = known(name)

    def first(role: Literal["image", "question", "answer"]) -> str | None:
        if (column := given.get(role)) is not None:
            return column
        usual: tuple[str, ...] = (*getattr(benchmark, role), *getattr(ANY, role))
        return next((column for column in usual if column in there), None)

    image = first("image")
    several = benchmark.image == _MMMU and given.get("image") is None
    images = tuple(column for column in _MMMU if column in there) if several else () if image is None else (image,)
    question = None if not benchmark.question and given.get("question") is None else first("question")
    if not images and question is None:
        raise UsageError(
            f"neither pictures nor questions found in the columns {', '.join(sorted(there))}; name them by "
            "--image-column and --question-column"
        )
    return Columns(images, question, _id_columns(benchmark, there, given.get("id")), first("answer"))


def _id_columns(benchmark: Benchmark, there: Collection[str], given: str | None) -> tuple[str, ...]:
    if given is not None:
        return (given,)
    groups = [(one,) if isinstance(one, str) else one for one in (*benchmark.id, *ANY.id)]
    return next((group for group in groups if all(column in there for column in group)), ())


def belongs(name: str, row: Mapping[str, object]) -> bool:
    """Return whether a row is of the evaluation set: its publisher may have put the training data beside it."""
    splits = known(name).splits
    return not splits or row.get("split") is None or row["split"] in splits


def picture_names(name: str, row: Mapping[str, object]) -> tuple[str, ...]:
    """Return under which names the picture of a row may lie, where its publisher's rows do not say; () for others.

    Questions of VQAv2 and OK-VQA give the number of a COCO picture, which is of one split only; problems of ScienceQA
    a name that is the same for all, in a folder for each.
    """
    benchmark = known(name).name
    number, image = row.get("image_id"), row.get("image")
    if benchmark in _COCO and str(number).isdecimal():
        padded = f"{str(number).zfill(12)}.jpg"
        return (*(f"COCO_{split}_{padded}" for split in ("val2014", "test2015", "train2014")), padded)
    if benchmark == "scienceqa" and isinstance(image, str) and row.get("split") and KEY in row:
        return (f"{row['split']}/{row[KEY]}/{image}",)
    return ()
