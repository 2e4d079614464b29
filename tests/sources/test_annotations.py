"""Annotations in one JSON object: dialogs that point into lists, pictures with the instances marked in them."""

import json

import pytest

from infinity_mm.fs import Location
from infinity_mm.sources.families.annotations import INSTANCES, LISTED, ImagesAndInstances, IndexedDialogs

SIZES = (1, 2, 1000)


def rows_of(reader, tmp_path, content):
    """Return (locator, row, reason) of every raw row; the same however the file is cut."""
    (tmp_path / "a.json").write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    root, found = Location.of(tmp_path), []
    for size in SIZES:
        plan = reader.plan(root, ("a.json",), Location.of(tmp_path / f"prepared-{size}"), size)
        raws = [list(reader.read(root, split)) for split in plan.splits]
        assert [len(some) for some in raws] == [split.rows for split in plan.splits]
        found.append([(raw.locator, raw.row, raw.error and raw.error.reason) for some in raws for raw in some])
    assert found[0] == found[1] == found[2]
    return found[0]


def dialogs(*rounds, split="train", questions=("q0", "q1"), answers=("a0", "a1", "a2")):
    rows = [{"image_id": n, "caption": f"c{n}", "dialog": turns} for n, turns in enumerate(rounds)]
    return {"data": {"dialogs": rows, "questions": list(questions), "answers": list(answers)}, "split": split}


@pytest.mark.parametrize("indent", [None, 1])
def test_dialogs_find_the_texts_that_stand_behind_them(tmp_path, indent):
    turn = {"question": 1, "answer": 2, "gt_index": 0, "answer_options": list(range(100))}
    tree = dialogs([turn, {"question": 0, "answer": 0}], [{"question": 0}], split="val2018")
    found = rows_of(IndexedDialogs(), tmp_path, json.dumps(tree, indent=indent))
    assert [(locator, reason) for locator, _, reason in found] == [("item=0", None), ("item=1", None)]
    assert found[0][1] == {
        "image_id": 0,
        "caption": "c0",
        "dialog": [{"question": "q1", "answer": "a2"}, {"question": "q0", "answer": "a0"}],
        "split": "val2018",
    }
    assert found[1][1]["dialog"] == [{"question": "q0"}]


def test_texts_may_stand_before_the_dialogs(tmp_path):
    tree = dialogs([{"question": 0, "answer": 1}])
    tree = {"split": tree["split"], "data": dict(reversed(tree["data"].items()))}
    assert rows_of(IndexedDialogs(), tmp_path, tree)[0][1]["dialog"] == [{"question": "q0", "answer": "a1"}]


@pytest.mark.parametrize("place", [2, -1, "0", True, None, 1.0, [0]])
def test_an_index_that_names_no_text_says_so(tmp_path, place):
    found = rows_of(IndexedDialogs(), tmp_path, dialogs([{"question": place, "answer": 0}]))
    turn = found[0][1]["dialog"][0]
    assert turn["answer"] == "a0"
    assert turn.get("question") == (None if place is None else {"index": place, "of": 2})


def test_a_text_that_cannot_be_read_leaves_the_others_where_they_are(tmp_path):
    content = json.dumps(dialogs([{"question": 0, "answer": 0}, {"question": 1, "answer": 1}])).replace('"a0"', "nul")
    turns = rows_of(IndexedDialogs(), tmp_path, content)[0][1]["dialog"]
    assert turns == [{"question": "q0", "answer": {"index": 0, "of": 3}}, {"question": "q1", "answer": "a1"}]


def test_dialogs_before_a_cut_are_told_one_by_one(tmp_path):
    whole = json.dumps(dialogs([{"question": 0, "answer": 0}], [{"question": 1, "answer": 1}]))
    lost = rows_of(IndexedDialogs(), tmp_path, whole[: whole.index('"questions"')])
    assert [reason for _, _, reason in lost] == [None, None, "malformed_json"]
    assert lost[0][1]["dialog"][0]["question"] == {"index": 0, "of": 0}
    half = rows_of(IndexedDialogs(), tmp_path, whole[: whole.index('"a2"')])
    assert [row and row["dialog"][0]["answer"] for _, row, _ in half] == ["a0", "a1", None]


@pytest.mark.parametrize("content", ["[]", "{}", '{"data": {"questions": []}}', '{"data": {"dialogs": {}}}'])
def test_a_file_without_dialogs_is_one_fault(tmp_path, content):
    assert [reason for _, _, reason in rows_of(IndexedDialogs(), tmp_path, content)] == ["unexpected_row"]


def test_a_dialog_that_is_none_costs_itself(tmp_path):
    tree = dialogs([{"question": 0, "answer": 0}])
    tree["data"]["dialogs"] += [7, {"dialog": "none"}, {"dialog": [7]}]
    found = rows_of(IndexedDialogs(), tmp_path, tree)
    assert [reason for _, _, reason in found] == [None, "unexpected_row", None, None]
    assert [row["dialog"] for _, row, _ in found[2:]] == ["none", [7]]


def marked(**keys):
    tree = {
        "anns": {
            "10": {"id": 10, "image_id": 1, "utf8_string": "a"},
            "11": {"id": 11, "image_id": 2, "utf8_string": "b"},
            "12": {"id": 12, "image_id": 1, "utf8_string": "c"},
        },
        "imgs": {"1": {"id": 1, "file_name": "1.jpg"}, "2": {"id": 2, "file_name": "2.jpg"}, "3": {"id": 3}},
        "imgToAnns": {"1": [10, 12], "2": [11]},
    }
    return tree | keys


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("order", [("imgs", "anns", "imgToAnns"), ("anns", "imgToAnns", "imgs")])
def test_pictures_find_their_instances_in_any_order_and_layout(tmp_path, indent, order):
    tree = marked()
    found = rows_of(ImagesAndInstances(), tmp_path, json.dumps({key: tree[key] for key in order}, indent=indent))
    assert [(locator, reason) for locator, _, reason in found] == [(f"imgs={n}", None) for n in (1, 2, 3)]
    rows = [row for _, row, _ in found]
    assert [[one["id"] for one in row[INSTANCES]] for row in rows] == [[10, 12], [11], []]
    assert [row[LISTED] for row in rows] == [2, 1, None]
    assert [row["__key__"] for row in rows] == ["1", "2", "3"]


def test_instances_without_a_picture_are_told(tmp_path):
    found = rows_of(ImagesAndInstances(), tmp_path, marked(imgs={"2": {"id": 2, "file_name": "2.jpg"}}))
    assert [locator for locator, _, _ in found] == ["imgs=2", "imgs=1"]
    assert "file_name" not in found[1][1]
    assert [one["id"] for one in found[1][1][INSTANCES]] == [10, 12]


def test_an_instance_or_a_picture_that_cannot_be_read_costs_itself(tmp_path):
    content = json.dumps(marked()).replace('"utf8_string": "c"', '"utf8_string": nul').replace('{"id": 3}', "[3]")
    found = rows_of(ImagesAndInstances(), tmp_path, content)
    assert [(locator, reason) for locator, _, reason in found] == [
        ("anns=12", "malformed_json"),
        ("imgs=1", None),
        ("imgs=2", None),
        ("imgs=3", "unexpected_row"),
    ]
    assert (len(found[1][1][INSTANCES]), found[1][1][LISTED]) == (1, 2)


def test_a_cut_among_the_pictures_leaves_no_instance_untold(tmp_path):
    whole = json.dumps(marked())
    found = rows_of(ImagesAndInstances(), tmp_path, whole[: whole.index('"2": {"id": 2')])
    assert [(locator, reason) for locator, _, reason in found] == [
        ("imgs=1", None),
        ("item=1", "malformed_json"),
        ("imgs=2", None),
    ]
    assert "file_name" not in found[2][1]


@pytest.mark.parametrize("content", ["[]", "{}", '{"anns": {}}', '{"imgs": []}'])
def test_a_file_without_pictures_is_one_fault(tmp_path, content):
    assert [reason for _, _, reason in rows_of(ImagesAndInstances(), tmp_path, content)] == ["unexpected_row"]
