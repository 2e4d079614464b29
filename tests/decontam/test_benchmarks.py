"""The columns of published evaluation sets, and of others."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infinity_mm.decontam.benchmarks import KNOWN, Columns, choose_columns, known, picture_names
from infinity_mm.decontam.index import read_hashes, read_manifest
from infinity_mm.errors import UsageError
from infinity_mm.fs import Location
from tests.decontam.sets import encoded, find, leaks, make, scenes, write_tsv


@pytest.mark.parametrize(
    ("name", "columns", "expected"),
    [
        ("mmbench_dev_en", "index question hint A B C D answer category image l2-category split",
         Columns(("image",), "question", ("index",), "answer")),
        ("mmmu", "id question options explanation image_1 image_2 image_3 img_type answer",
         Columns(("image_1", "image_2", "image_3"), "question", ("id",), "answer")),
        ("mathvista", "pid question image decoded_image choices unit answer query metadata",
         Columns(("decoded_image",), "question", ("pid",), "answer")),
        ("chartqa", "imgname query label", Columns(("imgname",), "query", (), "label")),
        ("docvqa", "questionId question question_types image docId answers",
         Columns(("image",), "question", ("questionId",), "answers")),
        ("coco_karpathy", "filepath sentids filename imgid split sentences cocoid",
         Columns(("filename",), None, ("cocoid",), "sentences")),
        ("mine", "uid prompt pictures", Columns((), "prompt", ("uid",))),
    ],
)  # fmt: skip
def test_columns_as_published_are_found(name, columns, expected):
    assert choose_columns(name, columns.split(), {}) == expected


def test_given_columns_go_before_known_ones():
    there = ["image", "thumb", "question", "index"]
    assert choose_columns("mmbench", there, {"image": "thumb"}).images == ("thumb",)
    with pytest.raises(UsageError, match="did you mean 'thumb'"):
        choose_columns("mmbench", there, {"image": "thum"})


def test_names_are_told_apart():
    assert known("vqav2-val").name == "vqav2"
    assert known("mmmu_pro").name == "mmmu"
    assert known("mmbenchmark").name == ""
    assert len({one.name for one in KNOWN}) == len(KNOWN) == 16
    assert known("ok_vqa_val2014").name == known("ok-vqa").name == "okvqa"
    assert known("hallusion_bench").name == "hallusionbench"
    row = {"image_id": 42, "question_id": 420001, "question": "What?"}
    assert picture_names("vqav2", row)[0] == "COCO_val2014_000000000042.jpg"
    assert picture_names("textvqa", row) == ()


def test_questions_of_vqav2_find_their_pictures_by_number(tmp_path):
    (tmp_path / "val2014").mkdir()
    (tmp_path / "val2014/COCO_val2014_000000000042.jpg").write_bytes(encoded(scenes(1)[0], "JPEG"))
    questions = {
        "info": {},
        "questions": [{"image_id": 42, "question_id": 420001 + n, "question": f"Is it {n}?"} for n in range(3)],
    }
    (tmp_path / "questions.json").write_text(json.dumps(questions))
    from infinity_mm.decontam.build import BuildJob, build
    from infinity_mm.decontam.params import IndexParams
    from infinity_mm.progress import Reporter

    out = Location.of(str(tmp_path / "index"))
    job = BuildJob("vqav2", str(tmp_path / "questions.json"), out, IndexParams(), {}, ("val2014",), 1)
    entry = build(job, Reporter(quiet=True))
    assert (entry.rows, entry.hashes) == (3, {"photo": 3, "pixels": 3, "question": 3})


def test_several_pictures_of_an_item_repeated_ids_and_answers(tmp_path):
    first, second, third = (encoded(image) for image in scenes(3))
    rows = [
        {"id": "a", "question": "Compare <image 1> with <image 2>.", "image_1": {"bytes": first}, "image_2": {"bytes": second}, "answer": "B"},
        {"id": "a", "question": "And this?", "image_1": {"bytes": third}, "image_2": None, "answer": "C"},
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set.parquet")
    entry = make("mmmu", tmp_path / "set.parquet", tmp_path / "index", answers="yes")
    assert entry.hashes == {"photo": 3, "pixels": 3, "question": 2, "answer": 2}
    index = Location.of(str(tmp_path / "index"))
    table = read_hashes(index, read_manifest(index), ["mmmu"]).to_pylist()
    assert {row["item"] for row in table} == {"a", "a#2"}
    assert [row["tokens"] for row in table if row["kind"] == "question"] == [2, 2]  # numbered places are no words


def test_fields_that_span_lines_and_lists_of_pictures_in_tables(tmp_path):
    import base64

    images = [base64.b64encode(encoded(image, "JPEG")).decode() for image in scenes(2)]
    rows = [
        {"index": 1, "hint": "A hint\nof two lines, \"quoted\".", "question": "Which of the two?", "image": str(images)},
        {"index": 2, "hint": "", "question": "Where?", "image": "9"},
    ]  # fmt: skip
    write_tsv(tmp_path / "MMMU_DEV_VAL.tsv", rows)
    entry = make("mmmu", tmp_path / "MMMU_DEV_VAL.tsv", tmp_path / "index")
    assert (entry.rows, entry.items, entry.hashes) == (2, 2, {"photo": 2, "pixels": 2, "question": 2})
    assert entry.unreadable == {"missing_image": 1}


def test_published_questions_of_mathvista_are_found_in_rows_that_ask_them(samples, tmp_path):
    folder = samples / "mathvista_benchmark"
    entry = make("mathvista", folder, tmp_path / "index")
    assert (entry.items, entry.unreadable) == (40, {"missing_image": 40})
    asked = json.loads((folder / "testmini_40.json").read_text())
    rows = [
        {"id": pid, "conversations": [{"from": "human", "value": f"<image>\nHint: answer.\nQuestion: {row['question']}"}]}
        for pid, row in asked.items()
    ]  # fmt: skip
    (tmp_path / "train.json").write_text(json.dumps(rows))
    find(tmp_path / "index", tmp_path / "train.json", tmp_path / "out")
    told = leaks(tmp_path / "out")
    assert len(told) == 33  # the other seven questions have fewer than eight tokens
    assert all(item == pid or asked[item]["question"] == asked[pid]["question"] for pid, (item, _) in told.items())
    find(tmp_path / "index", samples / "textvqa", tmp_path / "other")
    assert leaks(tmp_path / "other") == {}
