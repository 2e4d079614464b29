"""Tables of the hub under the catalogue's names: rows written from their documented schemas, with types of their own."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infinity_mm.fs import Location
from infinity_mm.images import ImageLimits
from infinity_mm.pipeline.ingest import Ingestor, Made
from infinity_mm.sources.base import Sample
from infinity_mm.sources.catalogue import load
from infinity_mm.sources.families.either import OrTables
from infinity_mm.sources.families.joined import QuestionsAndAnnotations
from infinity_mm.sources.images import ImageStore
from tests.sources.own.making import lines, png

IMAGE = {"bytes": png(3), "path": "a.png"}
TURNS = [{"from": "human", "value": "<image>\nq"}, {"from": "gpt", "value": "a"}]
ASKED = {"question": "What?", "image": IMAGE, "question_id": 7}

#: Source -> row of its copy on the hub, and the last turn that it must give.
COPIES = {
    "vqav2": (ASKED | {"answers": [{"answer": "net", "answer_id": 1}], "image_id": 9.0}, "net"),
    "ok_vqa": (ASKED | {"answers": ["x", "y", "y"]}, "y"),
    "textvqa": (ASKED | {"answers": ["nokia", "nokia"], "image_id": "0054c9"}, "nokia"),
    "vizwiz_vqa": (ASKED | {"answers": ["a", "b", "a"], "category": "other"}, "a"),
    "docvqa": ({"questionId": "337", "question": "What?", "image": IMAGE, "answers": ["0.28"]}, "0.28"),
    "infographic_vqa": ({"questionId": "3", "question": "What?", "image": IMAGE, "answers": ["3"]}, "3"),
    "coco_caption": ({"image": IMAGE, "question": "Caption?", "answer": ["A cat. ", "Cat."], "id": 9}, "A cat."),
    "textcaps": ({"image": IMAGE, "image_id": "aa", "caption_str": ["A sign."], "reference_strs": ["A"]}, "A sign."),
    "vizwiz_caption": ({"image": IMAGE, "image_id": 3, "caption": ["x", "y"]}, "x"),
    "a_okvqa": (ASKED | {"choices": ["a", "b"], "correct_choice_idx": 1, "direct_answers": "['a', 'b']"}, "B"),
    "ocr_vqa": ({"image": IMAGE, "image_id": "1", "questions": ["Who?", "What?"], "answers": ["me", "x"]}, "x"),
    "scienceqa_image": ({"image": IMAGE, "question": "q", "choices": ["a", "b"], "answer": 0, "hint": ""}, "A"),
    "gqa": ({"id": "0733", "imageId": "23", "question": "q?", "answer": "y", "fullAnswer": "Y.", "image": IMAGE}, "y"),
    "st_vqa": (ASKED | {"answers": ["a"]}, "a"),
    "llava_onevision": ({"id": 1.0, "image": IMAGE, "conversations": TURNS, "data_source": "x"}, "a"),
    "llava_mix665k": ({"id": "1", "images": [IMAGE], "messages": TURNS}, "a"),
    "allava": ({"id": None, "image": [IMAGE], "conversations": json.dumps(TURNS)}, "a"),
    "docmatix": ({"images": [IMAGE], "texts": [{"user": "q", "assistant": "a", "source": "s"}]}, "a"),
}


def odd_types(table: pa.Table) -> pa.Table:
    """Return the table with large strings, and dictionaries where a column is text."""
    columns = []
    for column in table.columns:
        if pa.types.is_string(column.type):
            column = column.cast(pa.large_string()).combine_chunks().dictionary_encode()
        columns.append(column)
    return pa.table(columns, names=table.column_names)


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("name", COPIES)
def test_a_documented_hub_copy_gives_its_record(tmp_path, name, odd):
    row, last = COPIES[name]
    root = tmp_path / "root"
    (root / "data").mkdir(parents=True)
    table = pa.Table.from_pylist([row])
    pq.write_table(odd_types(table) if odd else table, root / "data/train-00000-of-00001.parquet")
    source, where = load(name), Location.of(root)
    plan = source.reader.plan(where, source.card.files, Location.of(tmp_path / "prepared"), 10)
    (raw,) = (raw for split in plan.splits for raw in source.reader.read(where, split))
    made = Ingestor(source, ImageStore(where, source.image_roots), ImageLimits()).interpret("f", raw)
    assert isinstance(made, Made), made
    assert made.record["messages"][-1] == {"role": "assistant", "content": last}
    assert [image["width"] for image in made.record["images"]] == [32]
    assert sum(message["content"].count("<image>") for message in made.record["messages"]) == 1


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
@pytest.mark.parametrize("name", ["textvqa", "vizwiz_vqa", "docvqa", "gqa", "st_vqa", "a_okvqa", "ocr_vqa"])
def test_copies_as_json_lines_under_any_suffix(tmp_path, name, suffix):
    row = {**COPIES[name][0], "image": "a.png", "imageId": "a", "file_path": "a.png", "image_id": 3}
    lines(tmp_path / f"train.{suffix}", row, {**row, "n": 1})
    source, where = load(name), Location.of(tmp_path)
    plan = source.reader.plan(where, source.card.files, where / ".prepared", 10)
    rows = [raw.row for split in plan.splits for raw in source.reader.read(where, split)]
    assert [found and found.get("n") for found in rows] == [None, 1]
    assert isinstance(source.parse(rows[0]), Sample)


#: Sets with a layout of their own that are also passed on as finished conversations.
CONVERTED = (
    "a_okvqa", "coco_caption", "coco_text", "docvqa", "gqa", "infographic_vqa", "ocr_vqa", "ok_vqa", "scienceqa_image",
    "st_vqa", "textcaps", "textvqa", "visdial", "vizwiz_caption", "vizwiz_vqa", "vqav2",
)  # fmt: skip


@pytest.mark.parametrize("name", CONVERTED)
def test_conversations_are_read_as_such_whatever_the_set(tmp_path, name):
    llava = {"id": 7, "image": "a.png", "conversations": TURNS, "image_wh": [[32, 32]]}
    cauldron = {"images": [IMAGE], "texts": [{"user": "q", "assistant": "a", "source": name}]}
    source, made = load(name), {}
    for copy in ("llava", "cauldron"):
        root = tmp_path / copy
        root.mkdir()
        (root / "a.png").write_bytes(png(3))
        if copy == "llava":
            lines(root / "set_train_10k.jsonl", llava)
        else:
            pq.write_table(pa.Table.from_pylist([cauldron]), root / "train-00000-of-00001.parquet")
        where = Location.of(root)
        plan = source.reader.plan(where, source.card.files, Location.of(tmp_path / "prepared"), 10)
        (raw,) = (raw for split in plan.splits for raw in source.reader.read(where, split))
        made[copy] = Ingestor(source, ImageStore(where, source.image_roots), ImageLimits()).interpret("f", raw)
    for result in made.values():
        assert isinstance(result, Made), result
        assert [message["content"] for message in result.record["messages"]] == ["<image>\nq", "a"]
        assert result.record["category"] == source.card.category
    assert {copy: result.record["source_id"] for copy, result in made.items()} == {"llava": "7", "cauldron": ""}
    assert json.loads(made["llava"].record["extra"]) == {"image_wh": [[32, 32]]}
    assert json.loads(made["cauldron"].record["extra"]) == {"source": name}


def test_one_object_is_a_row_unless_it_is_keyed_or_wraps_its_rows(tmp_path):
    row = {"question_id": "7", "question": "q?", "answers": ["a"]}
    for name, tree, rows in (
        ("row.jsonl", row, [row]),
        ("row.json", row, [row]),
        ("keyed.json", {"7": row}, [row | {"__key__": "7"}]),
        ("wrapped.jsonl", {"data": [row, row], "version": 1}, [row, row]),
    ):
        (tmp_path / name).write_text(json.dumps(tree))
        source, where = load("textvqa"), Location.of(tmp_path)
        plan = source.reader.plan(where, (name,), where / ".prepared", 10)
        assert [raw.row for split in plan.splits for raw in source.reader.read(where, split)] == rows, name


@pytest.mark.parametrize("name", ["textvqa", "vizwiz_vqa"])
def test_questions_and_annotations_of_a_conversion_are_joined(tmp_path, name):
    asked = [{"question": "q", "image_id": "a", "question_id": n} for n in (0, 1)]
    answered = [{"question_id": 0, "answers": [{"answer": "x"}]}, {"question_id": 7, "answers": []}]
    (tmp_path / "train_questions_vqa_format.json").write_text(json.dumps({"questions": asked}))
    (tmp_path / "train_annotations_vqa_format.json").write_text(json.dumps({"annotations": answered}))
    source, where = load(name), Location.of(tmp_path)
    plan = source.reader.plan(where, source.card.files, where / ".prepared", 10)
    samples = [source.parse(raw.row) for split in plan.splits for raw in source.reader.read(where, split)]
    assert samples[0].messages[-1].content == "x"
    assert [lost.reason for lost in samples[1:]] == ["unjoined_annotation", "unjoined_annotation"]
    assert [lost.source_id for lost in samples[1:]] == ["1", "7"]


def test_published_names_go_before_tables(tmp_path):
    root = Location.of(tmp_path)
    pq.write_table(pa.table({"question": ["q"]}), tmp_path / "a.parquet")
    (tmp_path / "x_questions.json").write_text(json.dumps({"questions": [{"question_id": 1, "question": "q"}]}))
    (tmp_path / "x_annotations.json").write_text(json.dumps({"annotations": [{"question_id": 1, "answers": []}]}))
    reader = OrTables(QuestionsAndAnnotations())

    def files(*patterns):
        return [name for name, _ in reader.plan(root, patterns, root / ".prepared", 10).files]

    assert files("x_*.json") == ["x_questions.json"]
    assert files("*.parquet") == ["a.parquet"]
    assert files("*") == ["x_questions.json", "a.parquet"]
    plan = reader.plan(root, ("*",), root / ".prepared", 10)
    rows = [raw.row for split in plan.splits for raw in reader.read(root, split)]
    assert ["annotation" in row for row in rows] == [True, False]
