"""Questions joined with annotations, captions with pictures."""

import json

import pytest

from infinity_mm.errors import SourceError
from infinity_mm.sources.base import Quarantine
from infinity_mm.sources.families.joined import CaptionsAndImages, QuestionsAndAnnotations
from infinity_mm.sources.vqav2 import SOURCE as VQAV2
from tests.sources.reading import rows_of, same_for_all_sizes


def test_questions_are_joined_by_id_not_by_position(tmp_path):
    questions = [{"question_id": n, "image_id": n, "question": f"q{n}"} for n in range(4)]
    answers = [{"question_id": n, "answers": [f"a{n}"]} for n in (3, 1, 0)]
    head = {"data_subtype": "val2014"}
    (tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json").write_text(json.dumps({"questions": questions, **head}))
    (tmp_path / "v2_mscoco_val2014_annotations.json").write_text(json.dumps({"annotations": answers, **head}))
    found = same_for_all_sizes(QuestionsAndAnnotations(), tmp_path, ("*.json",))
    joined = [f[4]["annotation"] and f[4]["annotation"]["answers"] for f in found]
    assert joined == [["a0"], ["a1"], None, ["a3"]]


def test_captions_are_joined_with_images(tmp_path):
    tree = {
        "images": [{"id": 7, "file_name": "7.jpg"}],
        "annotations": [{"image_id": 7, "caption": "x"}, {"image_id": 8, "caption": "y"}],
    }
    (tmp_path / "captions.json").write_text(json.dumps(tree))
    found = same_for_all_sizes(CaptionsAndImages(), tmp_path, ("*.json",))
    assert [f[4]["image"] and f[4]["image"]["file_name"] for f in found] == ["7.jpg", None]


def test_captions_before_a_cut_are_kept_and_a_broken_one_costs_itself(tmp_path):
    tree = {
        "images": [{"id": 7, "file_name": "7.jpg"}],
        "annotations": [{"image_id": 7, "caption": c} for c in ("a", "b", "c")],
    }
    whole = json.dumps(tree)
    (tmp_path / "captions.json").write_text(whole.replace('"a"', "nul")[:-10])
    found = same_for_all_sizes(CaptionsAndImages(), tmp_path, ("*.json",))
    assert [f[5] for f in found] == ["malformed_json", None, "malformed_json"]
    assert found[1][4]["image"]["file_name"] == "7.jpg"
    (tmp_path / "captions.json").write_text('{"images": []}')
    assert [f[5] for f in same_for_all_sizes(CaptionsAndImages(), tmp_path, ("*.json",))] == ["unexpected_row"]


def test_answers_without_questions_are_an_error_and_the_subtype_may_stand_anywhere(tmp_path):
    (tmp_path / "v2_mscoco_val2014_annotations.json").write_text(
        '{"annotations": [{"question_id": 1}, {"question_id": nul}]}'
    )
    with pytest.raises(SourceError, match="no file of questions"):
        rows_of(QuestionsAndAnnotations(), tmp_path, 10, ("*.json",))
    (tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json").write_text(
        '{"questions": [{"question_id": 1}, {"question_id": 2}], "data_subtype": "val2014"}'
    )
    found = same_for_all_sizes(QuestionsAndAnnotations(), tmp_path, ("*.json",))
    assert [f[4]["data_subtype"] for f in found[:2]] == ["val2014", "val2014"]
    assert [f[4]["annotation"] for f in found[:2]] == [{"question_id": 1}, None]
    assert [(f[1], f[5]) for f in found[2:]] == [("annotations.item=1", "malformed_json")]


def test_annotations_without_a_question_are_told_whichever_half_is_short(tmp_path):
    questions = [{"question_id": n, "image_id": n, "question": "q"} for n in (1, 2, 1)]
    answers = [{"question_id": n, "answers": [{"answer": f"a{place}"}]} for place, n in enumerate((1, 7, 1, 7))]
    for split in ("train", "val"):
        (tmp_path / f"{split}_annotations.json").write_text(json.dumps({"annotations": answers}))
    (tmp_path / "train_questions.json").write_text(json.dumps({"questions": questions}))
    found = same_for_all_sizes(QuestionsAndAnnotations(), tmp_path, ("*.json",))
    outcomes = [(file, locator, VQAV2.parse(row)) for file, locator, _, _, row, _ in found]
    told = [(file, locator, made.source_id) for file, locator, made in outcomes if isinstance(made, Quarantine)]
    assert {made.reason for _, _, made in outcomes if isinstance(made, Quarantine)} == {"unjoined_annotation"}
    assert told == [
        ("train_questions.json", "item=1", "2"),
        ("train_questions.json", "annotations.item=0", "1"),
        ("train_questions.json", "annotations.item=1", "7"),
        ("train_questions.json", "annotations.item=3", "7"),
        *(
            ("val_annotations.json", f"annotations.item={n}", key)
            for n, key in ((0, "1"), (1, "7"), (2, "1"), (3, "7"))
        ),
    ]
    joined = [made.messages[1].content for _, _, made in outcomes if not isinstance(made, Quarantine)]
    assert joined == ["a2", "a2"], "of two annotations the last counts, for each question that asks for it"
