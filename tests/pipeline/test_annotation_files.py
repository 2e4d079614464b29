"""VisDial, COCO-Text and MMC from files to books, in the layouts that their documents describe."""

import json

import pyarrow.parquet as pq
import pytest
import yaml

from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from tests.pipeline.conftest import picture

pytestmark = pytest.mark.usefixtures("shared_ray")


def visdial(root):
    turn = {"question": 0, "answer": 1, "gt_index": 0, "answer_options": [0, 1]}
    dialogs = [{"image_id": n, "caption": "c", "dialog": [turn, turn | {"question": n}]} for n in (0, 1, 2)]
    tree = {"version": "1.0", "data": {"dialogs": dialogs, "questions": ["q0", "q1"], "answers": ["a0", "a1"]}}
    (root / "visdial_1.0_train.json").write_text(json.dumps(tree | {"split": "train"}))
    for half, image in (("train", 0), ("val", 1), ("train", 2)):
        (root / f"{half}2014").mkdir(exist_ok=True)
        (root / f"{half}2014/COCO_{half}2014_{image:012d}.jpg").write_bytes(picture(image))


def coco_text(root):
    word = {"legibility": "legible", "language": "english", "bbox": [0, 0, 9, 9], "utf8_string": "STOP"}
    pictures = {
        str(n): {"id": n, "set": kind, "file_name": f"COCO_train2014_{n:012d}.jpg"}
        for n, kind in ((1, "train"), (2, "val"), (3, "test"))
    }
    marks = {str(n): word | {"id": n, "image_id": image} for n, image in ((10, 1), (11, 1), (12, 7))}
    tree = {"cats": {}, "anns": marks, "imgs": pictures, "imgToAnns": {"1": [10, 11], "2": []}, "info": {}}
    (root / "cocotext.v2.json").write_text(json.dumps(tree))
    (root / "train2014").mkdir()
    for n in (1, 2, 3):
        (root / f"train2014/COCO_train2014_{n:012d}.jpg").write_bytes(picture(10 + n))


def mmc_instruction(root):
    rows = [
        {"image_id": "1.png", "instruction": "What grows?", "answer": "Sales."},
        {"image_id": "1.png", "instruction": "What falls?", "answer": "[insert answer here]"},
        {"image_id": "image_benchmark-1.png", "instruction": "?", "label": "true", "task": "t"},
        {"image_id": "2.png", "instruction": "What is lost?", "answer": "The picture."},
    ]
    (root / "mmc_instruction_arxiv_text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "mmc_instruction_arxiv_images").mkdir()
    (root / "mmc_instruction_arxiv_images/1.png").write_bytes(picture(20))


def mmc_alignment(root):
    rows = [{"image_id": "1.png", "caption": "Figure 3: Loss."}, {"image_id": "1.png"}]
    lines = [json.dumps(row) for row in rows] + ['{"image_id": "cut']
    (root / "mmc_chart_text_alignment_arxiv_text.jsonl").write_text("\n".join(lines))
    (root / "images").mkdir()
    (root / "images/1.png").write_bytes(picture(30))


@pytest.mark.slow
def test_documented_schemas_from_files_to_books(tmp_path):
    sources = []
    for write in (visdial, coco_text, mmc_instruction, mmc_alignment):
        root = tmp_path / write.__name__
        root.mkdir()
        write(root)
        sources.append({"name": write.__name__, "root": str(root), "max_quarantined": 1.0})
    tree = {"name": "annotations", "sources": sources, "dedup": {"mode": "off"}, "partition_rows": 2}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(tree))
    work = tmp_path / "work"
    books = run(load_recipe(tmp_path / "r.yaml"), Location.of(work), RunOptions(quiet=True)).books
    assert {name: (book.rows, book.kept, book.quarantined) for name, book in books.items()} == {
        "visdial": (3, 2, {"ingest.unexpected_row": 1}),
        "coco_text": (4, 2, {"ingest.missing_field": 1, "ingest.unjoined_annotation": 1}),
        "mmc_instruction": (4, 1, {"ingest.missing_image": 1, "ingest.unexpected_row": 2}),
        "mmc_alignment": (3, 1, {"ingest.malformed_json": 1, "ingest.missing_field": 1}),
    }
    assert books["coco_text"].notes == {"suffix_mismatch": 2, "without_text": 1}
    assert books["mmc_alignment"].notes == {"caption_numbered": 1}
    parts = [pq.read_table(path).to_pylist() for path in sorted((work / "records/visdial").glob("*.parquet"))]
    assert [row["images"][0]["uri"] for part in parts for row in part] == [
        "COCO_train2014_000000000000.jpg",
        "COCO_val2014_000000000001.jpg",
    ]
