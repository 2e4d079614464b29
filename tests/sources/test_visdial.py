"""VisDial: rounds as turns, and which of two names of a COCO picture is there."""

import json
from io import BytesIO

import pytest
from PIL import Image

from infinity_mm.fs import Location
from infinity_mm.images import ImageLimits
from infinity_mm.pipeline.ingest import Ingestor, Made
from infinity_mm.sources.base import Quarantine, Raw
from infinity_mm.sources.images import ImageStore
from infinity_mm.sources.options import with_options
from infinity_mm.sources.visdial import SOURCE


def png():
    stream = BytesIO()
    Image.linear_gradient("L").save(stream, "PNG")
    return stream.getvalue()


def row(*rounds, image_id=9, split="train", **keys):
    return {"image_id": image_id, "caption": "a cat", "dialog": [dict(turn) for turn in rounds], "split": split} | keys


def turn(number, **keys):
    return {"question": f"q{number}", "answer": f"a{number}"} | keys


def parse(row, **options):
    return with_options(SOURCE, options).parse(row)


def texts(sample):
    return [(message.role, message.content) for message in sample.messages]


def test_rounds_are_turns_and_the_picture_stands_in_the_first():
    sample = parse(row(turn(1), turn(2)))
    assert texts(sample) == [
        ("user", "<image>\nq1"),
        ("assistant", "a1"),
        ("user", "q2"),
        ("assistant", "a2"),
    ]
    assert (sample.source_id, sample.extra) == ("9", {"caption": "a cat", "split": "train"})
    assert sample.notes == ()


def test_the_caption_becomes_a_first_turn_by_option():
    sample = parse(row(turn(1)), caption_turn=True)
    assert texts(sample)[:2] == [("user", "<image>\nPlease describe the image."), ("assistant", "a cat")]
    assert texts(sample)[2:] == [("user", "q1"), ("assistant", "a1")]
    assert sample.notes == ()
    refused = parse(row(turn(1), caption=None), caption_turn=True)
    assert (refused.reason, refused.source_id) == ("missing_field", "9")


def test_the_last_round_of_a_test_dialog_is_left_out():
    sample = parse(row(turn(1), {"question": "q2"}, split="test2018"))
    assert len(sample.messages) == 2
    assert sample.notes == ("unanswered_round_left_out",)
    assert parse(row({"question": "q1"})).detail == "dialog: no round has an answer"


@pytest.mark.parametrize(
    ("changed", "reason", "told"),
    [
        ({"image_id": "x"}, "missing_field", "image_id: expected an integer"),
        ({"image_id": True}, "missing_field", "image_id"),
        ({"image_id": -1}, "missing_field", "image_id"),
        ({"dialog": None}, "missing_field", "dialog: expected a list"),
        ({"dialog": []}, "missing_field", "no round has an answer"),
        ({"dialog": [7]}, "unexpected_row", "round 1: expected an object"),
        ({"dialog": [turn(1), {"answer": "a"}]}, "missing_field", "round 2: no question"),
        ({"dialog": [turn(1, answer={"index": 7, "of": 3})]}, "unexpected_row", "index 7 names none of the file's 3"),
        ({"dialog": [turn(1, answer=5)]}, "missing_field", "round 1: no answer"),
    ],
)
def test_what_is_wrong_is_named(changed, reason, told):
    found = parse(row(turn(1)) | changed)
    assert isinstance(found, Quarantine)
    assert found.reason == reason
    assert told in found.detail


@pytest.mark.parametrize("half", ["train", "val"])
def test_the_record_names_the_half_of_coco_that_has_the_picture(tmp_path, half):
    name = f"COCO_{half}2014_000000000009.jpg"
    (tmp_path / f"{half}2014").mkdir()
    (tmp_path / f"{half}2014" / name).write_bytes(png())
    ingestor = Ingestor(SOURCE, ImageStore(Location.of(tmp_path), SOURCE.image_roots), ImageLimits())
    made = ingestor.interpret("visdial_1.0_train.json", Raw("item=0", row(turn(1)), "d"))
    assert isinstance(made, Made)
    assert [image["uri"] for image in made.record["images"]] == [name]
    lost = ingestor.interpret("visdial_1.0_train.json", Raw("item=1", row(turn(1), image_id=8), "e"))
    assert lost["reason"] == "missing_image"
    assert "COCO_train2014_000000000008.jpg" in lost["detail"]
    assert "COCO_val2014_000000000008.jpg" in lost["detail"]


def test_a_damaged_picture_under_the_first_name_is_no_reason_to_take_the_second(tmp_path):
    (tmp_path / "COCO_train2014_000000000009.jpg").write_bytes(b"cut")
    (tmp_path / "COCO_val2014_000000000009.jpg").write_bytes(png())
    ingestor = Ingestor(SOURCE, ImageStore(Location.of(tmp_path), SOURCE.image_roots), ImageLimits())
    made = ingestor.interpret("visdial_1.0_train.json", Raw("item=0", row(turn(1)), "d"))
    assert made["reason"] == "undecodable_image"
    assert made["detail"].startswith("COCO_train2014_000000000009.jpg: ")


def test_pictures_of_2018_have_one_name():
    assert parse(row(turn(1), split="val2018")).images[0].path == "VisualDialog_val2018_000000000009.jpg"
    assert parse(row(turn(1), split="val2018")).images[0].alternatives == ()


def test_real_dialogs_give_ten_rounds_each(samples, tmp_path):
    root = Location.of(samples / "visdial")
    plan = SOURCE.reader.plan(root, SOURCE.card.files, Location.of(tmp_path), 7)
    made = [SOURCE.parse(raw.row) for split in plan.splits for raw in SOURCE.reader.read(root, split)]
    assert len(made) == 50
    assert {len(sample.messages) for sample in made} == {20}
    whole = json.loads((samples / "visdial/visdial_1.0_val_50dialogs.json").read_text())["data"]
    for sample, dialog in zip(made, whole["dialogs"], strict=True):
        answers = [message.content for message in sample.messages if message.role == "assistant"]
        assert answers == [whole["answers"][turn["answer"]] for turn in dialog["dialog"]]
