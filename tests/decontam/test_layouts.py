"""Evaluation sets in the files that their publishers, the hub and VLMEvalKit give: what of them is found unasked.

Each layout is written here, with two items, from the published column names and folders; pictures are drawn.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infinity_mm.decontam.build import BuildJob, build
from infinity_mm.decontam.index import read_hashes, read_manifest
from infinity_mm.decontam.params import IndexParams
from infinity_mm.fs import Location
from infinity_mm.progress import Reporter
from tests.decontam.sets import encoded, scenes, write_tsv

Rows = list[dict[str, Any]]
FIRST, SECOND = (encoded(image, "JPEG", quality=92) for image in scenes(2))
ASKED = ("What is on the roof?", "Who stands there?")


@dataclass(frozen=True)
class Layout:
    """How an evaluation set is written, and what of it must be in the index."""

    name: str
    #: Writes it below a folder and returns what the user names: the input and the folders of pictures.
    write: Callable[[Path], tuple[Path, tuple[str, ...]]]
    items: tuple[str, ...]
    pictures: int = 2
    questions: int = 2
    answers: int = 2
    unreadable: dict[str, int] = field(default_factory=dict)


def inside(data: bytes) -> dict[str, object]:
    """A picture as `datasets` writes it."""
    return {"bytes": data, "path": None}


def hub(
    *rows: dict[str, Any], name: str = "data/test-00000-of-00001.parquet"
) -> Callable[..., tuple[Path, tuple[str, ...]]]:
    """A data set of the hub, in Parquet; other splits may lie beside it."""

    def write(folder: Path) -> tuple[Path, tuple[str, ...]]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(list(rows)), folder / name)
        return folder, ()

    return write


def tsv(name: str, *rows: dict[str, Any]) -> Callable[..., tuple[Path, tuple[str, ...]]]:
    """A table of VLMEvalKit: a picture that an earlier row has is its index."""

    def write(folder: Path) -> tuple[Path, tuple[str, ...]]:
        folder.mkdir()
        write_tsv(folder / name, list(rows))
        return folder / name, ()

    return write


def files(name: str, tree: object, *roots: str, **pictures: bytes) -> Callable[..., tuple[Path, tuple[str, ...]]]:
    """The publisher's own annotations beside folders of pictures."""

    def write(folder: Path) -> tuple[Path, tuple[str, ...]]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(tree))
        for place, data in pictures.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_bytes(data)
        return path, roots

    return write


def two(**columns: tuple[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two rows, column by column."""
    return tuple({name: values[row] for name, values in columns.items()} for row in (0, 1))  # type: ignore[return-value]


BOTH = (inside(FIRST), inside(SECOND))
CHOICES = {"A": ("a", "a"), "B": ("b", "b"), "C": ("c", ""), "D": ("d", "")}

LAYOUTS = {
    "mmbench-hub": Layout(
        "mmbench_en",
        hub(*two(index=(1, 2), question=ASKED, hint=("nan", "nan"), answer=("A", "B"), **CHOICES, category=("x", "y"),
                 image=BOTH, source=("s", "s"), **{"L2-category": ("l", "l")}, comment=("nan", "nan"),
                 split=("dev", "dev"))),
        ("1", "2"),
    ),
    "mmbench-tsv": Layout(
        "mmbench_dev_en",
        tsv("MMBench_DEV_EN.tsv", *two(index=(241, 1_000_241), question=ASKED, hint=("", ""), **CHOICES,
            answer=("A", "B"), category=("x", "y"), image=(FIRST, "241"), source=("s", "s"),
            **{"l2-category": ("l", "l")}, comment=("", ""), split=("dev", "dev"))),
        ("241", "1000241"),
    ),
    "mmstar-hub": Layout(
        "mmstar",
        hub(*two(index=(0, 1), question=ASKED, image=(FIRST, SECOND), answer=("A", "B"), category=("x", "y"),
                 l2_category=("l", "l"), meta_info=({"source": "MMBench"}, {"source": "MMMU"})),
            name="mmstar.parquet"),
        ("0", "1"),
    ),
    "mmmu-hub": Layout(
        "mmmu",
        hub(*two(id=("validation_Art_1", "validation_Art_2"), question=("What is in <image 1>?", ASKED[1]),
                 options=("['a', 'b']", "[]"), explanation=("", ""), image_1=BOTH, image_2=(inside(SECOND), None),
                 image_3=(None, None), img_type=("['Photo']", "['Photo']"), answer=("A", "B")),
            name="Art/validation-00000-of-00001.parquet"),
        ("validation_Art_1", "validation_Art_2"),
        pictures=3,
    ),
    "mathvista-hub": Layout(
        "mathvista",
        hub(*two(pid=("1", "2"), question=ASKED, image=("images/1.jpg", "images/2.jpg"), decoded_image=BOTH,
                 choices=(None, ["a", "b"]), unit=(None, None), answer=("1", "a"), query=("Hint: ...", "Hint: ..."),
                 metadata=({"split": "testmini"}, {"split": "testmini"})),
            name="data/testmini-00000-of-00001.parquet"),
        ("1", "2"),
    ),
    "mathvista-files": Layout(
        "mathvista_testmini",
        files("data/testmini.json",
              {pid: {"pid": pid, "question": ask, "image": f"images/{pid}.jpg", "answer": "1", "query": "Hint: ..."}
               for pid, ask in zip("12", ASKED, strict=True)}, "..",
              **{"images/1.jpg": FIRST, "images/2.jpg": SECOND}),
        ("1", "2"),
    ),
    "hallusionbench-hub": Layout(
        "hallusionbench",
        hub(*two(category=("VD", "VS"), subcategory=("illusion", "chart"), visual_input=("1", "2"), set_id=("0", "0"),
                 figure_id=("0", "0"), sample_note=("circle", "x"), question_id=("0", "0"), question=ASKED,
                 gt_answer_details=("Same.", "Other."), gt_answer=("1", "0"),
                 filename=("./hallusion_bench/VD/illusion/0_0.png", "./hallusion_bench/VS/chart/0_0.png"), image=BOTH),
            name="data/image-00000-of-00001.parquet"),
        ("VD/illusion/0/0/0", "VS/chart/0/0/0"),
    ),
    "hallusionbench-files": Layout(
        "hallusionbench",
        files("HallusionBench.json",
              list(two(category=("VD", "VS"), subcategory=("illusion", "chart"), visual_input=("1", "2"),
                       set_id=("0", "0"), figure_id=("0", "0"), sample_note=("circle", "x"), question_id=("0", "0"),
                       question=ASKED, gt_answer_details=("Same.", "Other."), gt_answer=("1", "0"),
                       filename=("./hallusion_bench/VD/illusion/0_0.png", "./hallusion_bench/VS/chart/0_0.png"))),
              "unpacked", **{"unpacked/VD/illusion/0_0.png": FIRST, "unpacked/VS/chart/0_0.png": SECOND}),
        ("VD/illusion/0/0/0", "VS/chart/0/0/0"),
    ),
    "hallusionbench-tsv": Layout(
        "hallusionbench",
        tsv("HallusionBench.tsv", *two(index=("VD_illusion_0_0_0", "VS_chart_0_0_0"), question=ASKED,
            answer=("yes", "no"), image=(FIRST, SECOND), category=("VD", "VS"), **{"l2-category": ("i", "c")})),
        ("VD_illusion_0_0_0", "VS_chart_0_0_0"),
    ),
    "ai2d-hub": Layout(
        "ai2d", hub(*two(question=ASKED, options=(["a"], ["b"]), answer=("0", "1"), image=BOTH)),
        ("data/test-00000-of-00001.parquet#row=0", "data/test-00000-of-00001.parquet#row=1"),
    ),
    "ocrbench-hub": Layout(
        "ocrbench",
        hub(*two(dataset=("IIIT5K", "svt"), question=ASKED, question_type=("Regular", "Regular"),
                 answer=(["CENTRE"], ["under"]), image=BOTH)),
        ("data/test-00000-of-00001.parquet#row=0", "data/test-00000-of-00001.parquet#row=1"),
    ),
    "ocrbench-files": Layout(
        "ocrbench",
        files("OCRBench.json",
              list(two(dataset_name=("IIIT5K", "IC13_857"), id=(211, 211), question=ASKED,
                       image_path=("IIIT5K/test/137_3.png", "IC13_857/imgs/000000212.jpg"), answers=("TIMES", "x"),
                       type=("Regular Text Recognition", "Regular Text Recognition"))), "OCRBench_Images",
              **{"OCRBench_Images/IIIT5K/test/137_3.png": FIRST,
                 "OCRBench_Images/IC13_857/imgs/000000212.jpg": SECOND}),
        ("IIIT5K/211", "IC13_857/211"),
    ),
    "mmvet-hub": Layout(
        "mmvet",
        hub(*two(question_id=("v1_0", "v1_1"), image=BOTH, question=ASKED, answer=("x", "y"),
                 image_source=("u", "u"), capability=("ocr", "math"))),
        ("v1_0", "v1_1"),
    ),
    "mmvet-files": Layout(
        "mmvet",
        files("mm-vet.json",
              {f"v1_{n}": {"imagename": f"v1_{n}.png", "question": ask, "answer": "x", "imagesource": "u",
                           "capability": ["ocr"]} for n, ask in enumerate(ASKED)},
              **{"images/v1_0.png": FIRST, "images/v1_1.png": SECOND}),
        ("v1_0", "v1_1"),
    ),
    "chartqa-hub": Layout(
        "chartqa", hub(*two(type=("human_test", "augmented_test"), question=ASKED, answer=("14", "3"), image=BOTH)),
        ("data/test-00000-of-00001.parquet#row=0", "data/test-00000-of-00001.parquet#row=1"),
    ),
    "chartqa-m4": Layout(
        "chartqa", hub(*two(image=BOTH, query=ASKED, label=(["14"], ["3"]), human_or_machine=(0, 1))),
        ("data/test-00000-of-00001.parquet#row=0", "data/test-00000-of-00001.parquet#row=1"),
    ),
    "chartqa-files": Layout(
        "chartqa",
        files("test/test_human.json", list(two(imgname=("a.png", "b.png"), query=ASKED, label=("14", "3"))), "png",
              **{"test/png/a.png": FIRST, "test/png/b.png": SECOND}),
        ("test_human.json#item=0", "test_human.json#item=1"),
    ),
    "docvqa-hub": Layout(
        "docvqa",
        hub(*two(questionId=("49153", "24580"), question=ASKED, question_types=(["form"], ["layout"]), image=BOTH,
                 docId=(14465, 7), ucsf_document_id=("x", "y"), ucsf_document_page_no=("1", "2"),
                 answers=(["0.28"], ["a", "b"]), data_split=("val", "val")),
            name="DocVQA/validation-00000-of-00006.parquet"),
        ("49153", "24580"),
        answers=3,
    ),
    "docvqa-files": Layout(
        "docvqa",
        files("val_v1.0_withQT.json",
              {"dataset_name": "SP-DocVQA", "dataset_version": "1.0", "dataset_split": "val", "data": list(
                  two(questionId=(49153, 24580), question=ASKED, question_types=(["form"], ["layout"]), docId=(1, 2),
                      image=("documents/pybv0228_81.png", "documents/xx.png"), answers=(["0.28"], ["a"]),
                      data_split=("val", "val")))}, "spdocvqa_images",
              **{"spdocvqa_images/pybv0228_81.png": FIRST, "spdocvqa_images/xx.png": SECOND}),
        ("49153", "24580"),
    ),
    "infovqa-hub": Layout(
        "infovqa",
        hub(*two(questionId=("98313", "98315"), question=ASKED, answers=(["2"], ["3"]), answer_type=(["n"], ["n"]),
                 image=BOTH, image_url=("http://a", "http://b"), ocr=("{}", "{}"), data_split=("val", "val"),
                 **{"operation/reasoning": (["c"], [])}), name="InfographicVQA/validation-00000-of-00012.parquet"),
        ("98313", "98315"),
    ),
    "infovqa-files": Layout(
        "infovqa",
        files("infographicsVQA_val_v1.0_withQT.json",
              {"dataset_name": "infographicVQA", "dataset_version": "val_2.0", "dataset_split": "val", "data": list(
                  two(questionId=(98313, 98315), question=ASKED, image_local_name=("37313.jpeg", "2.jpeg"),
                      image_url=("http://a/b.jpg", "http://a/c.jpg"), ocr_output_file=("37313.json", "2.json"),
                      answers=(["2"], ["3"]), data_split=("val", "val")))}, "infographicsvqa_images",
              **{"infographicsvqa_images/37313.jpeg": FIRST, "infographicsvqa_images/2.jpeg": SECOND}),
        ("98313", "98315"),
    ),
    "textvqa-hub": Layout(
        "textvqa",
        hub(*two(image_id=("003a8ae2ef43b901", "b"), question_id=(34602, 34603), question=ASKED,
                 question_tokens=(["what"], ["who"]), image=BOTH, answers=(["a"], ["b"]), set_name=("val", "val"),
                 ocr_tokens=([], ["x"])), name="data/validation-00000-of-00003.parquet"),
        ("34602", "34603"),
    ),
    "textvqa-files": Layout(
        "textvqa",
        files("TextVQA_0.5.1_val.json",
              {"dataset_type": "val", "dataset_name": "textvqa", "dataset_version": "0.5.1", "data": list(
                  two(question=ASKED, image_id=("003a8ae2ef43b901", "b"), image_classes=(["x"], ["y"]),
                      flickr_original_url=("http://a", "http://b"), answers=(["a"], ["b"]), question_id=(34602, 34603),
                      set_name=("val", "val")))}, "train_images",
              **{"train_images/003a8ae2ef43b901.jpg": FIRST, "train_images/b.jpg": SECOND}),
        ("34602", "34603"),
    ),
    "vqav2-hub": Layout(
        "vqav2",
        hub(*two(question_type=("what", "who"), multiple_choice_answer=("down", "man"),
                 answers=([{"answer": "down", "answer_id": 1}], [{"answer": "man", "answer_id": 1}]),
                 image_id=(262148, 262149), answer_type=("other", "other"), question_id=(262148000, 262149001),
                 question=ASKED, image=BOTH), name="data/validation-00000-of-00068.parquet"),
        ("262148000", "262149001"),
    ),
    "vqav2-test-files": Layout(
        "vqav2",
        files("v2_OpenEnded_mscoco_test2015_questions.json",
              {"info": {}, "task_type": "Open-Ended", "data_type": "mscoco", "license": {},
               "data_subtype": "test2015", "questions": list(
                   two(image_id=(262144, 2), question=ASKED, question_id=(262144000, 2000)))}, "test2015",
              **{"test2015/COCO_test2015_000000262144.jpg": FIRST, "test2015/COCO_test2015_000000000002.jpg": SECOND}),
        ("262144000", "2000"),
        answers=0,
    ),
    "okvqa-hub": Layout(
        "ok_vqa",
        hub(*two(question_id=("2971475", "2"), image=BOTH, question=ASKED, answers=(["race", "race"], ["a"]),
                 question_type=("one", "two"), answer_type=("other", "other")),
            name="data/val2014-00000-of-00002.parquet"),
        ("2971475", "2"),
        answers=3,
    ),
    "okvqa-files": Layout(
        "okvqa",
        files("OpenEnded_mscoco_val2014_questions.json",
              {"info": {}, "task_type": "Open-Ended", "license": {}, "data_subtype": "val2014", "data_type": "mscoco",
               "questions": list(two(image_id=(297147, 2), question=ASKED, question_id=(2971475, 20)))}, "val2014",
              **{"val2014/COCO_val2014_000000297147.jpg": FIRST, "val2014/COCO_val2014_000000000002.jpg": SECOND}),
        ("2971475", "20"),
        answers=0,
    ),
    "coco_karpathy-hub": Layout(
        "coco_karpathy_test",
        hub(*two(question_id=("COCO_val2014_000000203564.jpg", "COCO_val2014_000000000002.jpg"), image=BOTH,
                 question=("Please carefully observe the image.",) * 2, answer=(["A clock.", "A bike."], ["x"]),
                 id=(203564, 2), license=(4, 1), file_name=("COCO_val2014_000000203564.jpg", "x.jpg"))),
        ("203564", "2"),
        questions=0,
        answers=3,
    ),
    "coco_karpathy-yerevann": Layout(
        "coco_karpathy",
        files("test.json",
              list(two(filepath=("val2014", "val2014"), sentids=([1], [2]), imgid=(0, 14), split=("test", "test"),
                       filename=("COCO_val2014_000000391895.jpg", "COCO_val2014_000000060623.jpg"),
                       sentences=(["A man."], ["A girl."]), cocoid=(391895, 60623), url=("http://a", "http://b"))),
              "coco", **{"coco/val2014/COCO_val2014_000000391895.jpg": FIRST,
                         "coco/val2014/COCO_val2014_000000060623.jpg": SECOND}),
        ("391895", "60623"),
        questions=0,
    ),
    "coco_karpathy-files": Layout(
        "coco_karpathy",
        files("dataset_coco.json",
              {"images": [
                  {"filepath": place, "sentids": [number], "filename": f"COCO_{place}_{number:012}.jpg", "imgid": number,
                   "split": split, "cocoid": number,
                   "sentences": [{"tokens": ["a"], "raw": f"A {number}.", "imgid": number, "sentid": number}]}
                  for number, (place, split) in enumerate(
                      [("val2014", "test"), ("train2014", "train"), ("val2014", "restval"), ("val2014", "test")])],
               "dataset": "coco"}, ".",
              **{f"{place}/COCO_{place}_{number:012}.jpg": data for number, (place, data) in enumerate(
                  [("val2014", FIRST), ("train2014", FIRST), ("val2014", FIRST), ("val2014", SECOND)])}),
        ("0", "3"),
        questions=0,
    ),
    "scienceqa-hub": Layout(
        "scienceqa",
        hub(*two(image=(inside(FIRST), None), question=ASKED, choices=(["a", "b"], ["c", "d"]), answer=(0, 1),
                 hint=("", "Read."), task=("closed choice",) * 2, grade=("grade2",) * 2, subject=("s",) * 2,
                 topic=("t",) * 2, category=("c",) * 2, skill=("k",) * 2, lecture=("", ""), solution=("", ""))),
        ("data/test-00000-of-00001.parquet#row=0", "data/test-00000-of-00001.parquet#row=1"),
        pictures=1,
        answers=0,
    ),
    "scienceqa-files": Layout(
        "scienceqa_test",
        files("data/scienceqa/problems.json",
              {number: {"question": f"{ASKED[0]} {number}", "choices": ["a", "b"], "answer": 0, "hint": "",
                        "image": image, "task": "closed choice", "grade": "grade2", "subject": "s", "topic": "t",
                        "category": "c", "skill": "k", "lecture": "", "solution": "", "split": split}
               for number, split, image in (("1", "train", "image.png"), ("4", "test", "image.png"),
                                            ("5", "test", None), ("6", "val", "image.png"))}, "images",
              **{f"data/scienceqa/images/{split}/{number}/image.png": data for number, split, data in (
                  ("1", "train", FIRST), ("4", "test", SECOND), ("6", "val", FIRST))}),
        ("4", "5"),
        pictures=1,
        answers=0,
    ),
    "scienceqa-tsv": Layout(
        "scienceqa_test",
        tsv("ScienceQA_TEST.tsv", *two(index=(4, 5), question=ASKED, hint=("", ""), **CHOICES, answer=("A", "B"),
            category=("x", "y"), image=(FIRST, SECOND), split=("test", "test"))),
        ("4", "5"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_a_published_layout_is_read_without_being_told(tmp_path, name):
    layout = LAYOUTS[name]
    place, roots = layout.write(tmp_path / "set")
    out = Location.of(str(tmp_path / "index"))
    params = IndexParams(answers=True)
    entry = build(BuildJob(layout.name, str(place), out, params, {}, roots, 1), Reporter(quiet=True))
    assert entry.unreadable == layout.unreadable
    assert entry.rows == entry.items == len(layout.items)
    hashes = entry.hashes
    assert hashes.get("photo", 0) + hashes.get("rendered", 0) == hashes.get("pixels", 0) == layout.pictures
    assert hashes.get("question", 0) == layout.questions
    assert hashes.get("answer", 0) == layout.answers
    table = read_hashes(out, read_manifest(out), [layout.name])
    assert set(table.column("item").to_pylist()) == set(layout.items)


def test_training_data_beside_an_evaluation_set_is_left_out_unless_named(tmp_path, capsys):
    rows = two(image=BOTH, question=ASKED, choices=(["a"], ["b"]), answer=(0, 0))
    for split in ("train", "validation", "test"):
        hub(*rows, name=f"data/{split}-00000-of-00001.parquet")(tmp_path / "set")

    def built(name: str, place: Path) -> int:
        job = BuildJob(name, str(place), Location.of(str(tmp_path / "index")), IndexParams(), {}, (), 1)
        return build(job, Reporter(quiet=False)).rows

    assert built("scienceqa", tmp_path / "set") == 4
    assert "training data: data/train-00000-of-00001.parquet" in capsys.readouterr().err
    assert built("scienceqa_again", tmp_path / "set/data/train-00000-of-00001.parquet") == 2
    assert built("mine", tmp_path / "set") == 6
