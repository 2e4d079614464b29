"""Own data of every family, from files to records."""

import base64
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sources.own.making import ingest, lines, pictures, png, talk, tar

DATA_URL = "data:image/png;base64," + base64.b64encode(png(9)).decode()
ASKED = [("u", "<image>\nWhat?"), ("a", "A cat.")]


def chat(question="<image>\nWhat?", answer="A cat."):
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def parts(*content):
    return chat([*content, {"type": "text", "text": "\nWhat?"}], [{"type": "text", "text": "A cat."}])


@pytest.mark.parametrize(
    "row",
    [
        {"messages": chat(), "images": ["0.png"]},
        {"messages": chat(), "images": "0.png"},
        {"messages": chat(), "images": [{"path": "0.png", "bytes": None}]},
        {"messages": chat(), "images": '["0.png"]'},
        {"messages": chat(), "images": [DATA_URL]},
        {"messages": chat(), "images": [base64.b64encode(png(9)).decode()]},
        {"messages": chat(), "images": [{"bytes": base64.b64encode(png(9)).decode()}]},
        {"messages": chat("What?"), "images": ["0.png"]},
        {"messages": json.dumps(chat()), "image": "0.png"},
        {"messages": parts({"type": "image"}), "images": ["0.png"]},
        {"messages": parts({"type": "image", "text": None}), "images": ["0.png"]},
        {"messages": parts({"type": "image", "index": 0}), "images": ["0.png"]},
        {"messages": parts({"type": "image", "image": "0.png"})},
        {"messages": parts({"type": "image", "image": "file://ROOT/0.png"})},
        {"messages": parts({"type": "image_url", "image_url": {"url": DATA_URL}}), "images": []},
        {"messages": parts({"type": "image", "source": {"type": "base64", "data": DATA_URL.partition(",")[2]}})},
        {"conversations": [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."}], "images": ["0.png"]},
        {"conversations": [["<image>\nWhat?", "A cat."]], "images": ["0.png"]},
        {"conversations": [["user", "<image>\nWhat?"], ["assistant", "A cat."]], "images": ["0.png"]},
        {"messages": {"role": ["user", "assistant"], "content": ["<image>\nWhat?", "A cat."]}, "images": ["0.png"]},
        {"prompt": chat()[:1], "completion": chat()[1:], "images": ["0.png"]},
        {"prompt": "<image>\nWhat?", "completion": "A cat.", "images": ["0.png"]},
        {"chosen": chat(), "rejected": chat(answer="No."), "images": ["0.png"]},
    ],
)  # fmt: skip
def test_the_forms_of_a_chat_give_the_same_record(tmp_path, row):
    pictures(tmp_path / "d", "0.png")
    lines(tmp_path / "d/train.jsonl", json.loads(json.dumps(row).replace("ROOT", str(tmp_path / "d"))))
    (record,) = ingest(tmp_path / "d", "chat_messages")
    assert talk(record) == ASKED
    assert [(image["width"], image["format"]) for image in record["images"]] == [(32, "png")]


def test_systems_come_first_and_other_fields_are_kept(tmp_path):
    lines(
        tmp_path / "train.jsonl",
        {"id": 7, "messages": chat("q"), "system": "Be kind.", "tools": "[]", "score": 0.5},
        {"id": "b", "messages": [{"role": "system", "content": "Own."}, *chat("q")], "system": "Be kind."},
    )
    first, second = ingest(tmp_path, "chat_messages")
    assert talk(first) == [("s", "Be kind."), ("u", "q"), ("a", "A cat.")]
    assert talk(second) == [("s", "Own."), ("u", "q"), ("a", "A cat.")]
    assert (first["source_id"], json.loads(first["extra"])) == ("7", {"tools": "[]", "score": 0.5})


@pytest.mark.parametrize(
    ("row", "reason", "word"),
    [
        ({"messages": [*chat(), {"role": "tool", "content": "{}"}]}, "unexpected_row", "turn 2: role 'tool'"),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": [{}]}]}, "unexpected_row", "tool calls"),
        ({"conversations": [{"from": "observation", "value": "x"}]}, "unexpected_row", "tool calls"),
        ({"messages": parts({"type": "video", "video": "a.mp4"})}, "unexpected_row", "'video'"),
        ({"messages": chat(), "images": ["absent.png"]}, "missing_image", "absent.png"),
        ({"messages": chat(), "images": ["/etc/passwd"]}, "unsafe_path", "/etc/passwd"),
        ({"messages": chat(), "images": "data:image/png;base64,A"}, "undecodable_image", "base64"),
        ({"messages": chat(), "images": 3}, "unexpected_row", "int"),
        ({"messages": "[" * 900 + "]" * 900}, "unexpected_row", "levels"),
        ({"messages": chat(), "images": "[" * 900 + "]" * 900}, "missing_image", "[[["),
        ({"messages": None}, "missing_field", "messages"),
    ],
)
def test_what_is_refused_and_why(tmp_path, row, reason, word):
    lines(tmp_path / "train.jsonl", {"messages": chat("q")}, row)
    (found,) = ingest(tmp_path, "chat_messages")[1:]
    assert found.get("reason") == reason
    assert word in found["detail"]


def test_the_words_of_turns_can_be_told(tmp_path):
    lines(tmp_path / "a.jsonl", {"talk": [{"speaker": "Kunde", "says": "q"}, {"speaker": "Laden", "says": "a"}]})
    words = {"role": "speaker", "content": "says", "user": "Kunde", "assistant": "Laden", "messages": "talk"}
    assert talk(ingest(tmp_path, "chat_messages", map=words)[0]) == [("u", "q"), ("a", "a")]


def test_half_present_pictures_cost_their_own_rows(tmp_path):
    pictures(tmp_path, "images/0.png", "images/2.png")
    lines(tmp_path / "a.jsonl", *({"messages": chat(), "images": [f"{n}.png"]} for n in range(4)))
    found = ingest(tmp_path, "chat_messages")
    assert [row.get("reason") for row in found] == [None, "missing_image", None, "missing_image"]
    assert "1.png" in found[1]["detail"]


def test_hub_tables_with_types_of_their_own(tmp_path):
    image = {"bytes": png(1), "path": "a.png"}
    table = pa.table(
        {
            "image": pa.array([[image], [image, image], None]),
            "id": pa.array([1.0, None, 3.5]),
            "question": pa.array(["What?", "Both?", "None?"], pa.large_string()),
            "answer": pa.array(["A cat.", "A cat.", "No."]).dictionary_encode(),
            "source": pa.array(["x", None, "y"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "0000.parquet")
    first, second, third = ingest(tmp_path, "hf_parquet_image")
    assert talk(first) == ASKED
    assert talk(second)[0] == ("u", "<image>\n<image>\nBoth?")
    assert talk(third) == [("u", "None?"), ("a", "No.")]
    assert [row["source_id"] for row in (first, second, third)] == ["1", "", "3.5"]
    assert json.loads(first["extra"]) == {"source": "x"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "What?", "answer": "red"}, [("u", "What?"), ("a", "red")]),
        ({"question": "What?", "answers": ["red", "blue", "blue "]}, [("u", "What?"), ("a", "blue")]),
        ({"question": "What?", "answers": [{"answer": "red"}]}, [("u", "What?"), ("a", "red")]),
        ({"question": "Is it?", "answer": True}, [("u", "Is it?"), ("a", "Yes")]),
        ({"question": "How many?", "answer": 3.0}, [("u", "How many?"), ("a", "3")]),
        ({"instruction": "Add.", "input": "1 and 2", "output": "3"}, [("u", "Add.\n1 and 2"), ("a", "3")]),
        ({"question": "", "answer": "red"}, [("!", "missing_field")]),
        ({"question": "What?", "answer": None}, [("!", "missing_field")]),
    ],
)
def test_questions_and_answers(tmp_path, row, said):
    (tmp_path / "a.json").write_text(json.dumps({"info": {}, "data": [row]}))
    assert talk(ingest(tmp_path, "one_file_qa")[0]) == said


@pytest.mark.parametrize(
    ("answer", "letter"), [(1, "B"), ("1", "B"), ("B", "B"), ("(b)", "B"), ("blue", "B"), (["blue"], "B"), (2, None)]
)
def test_choices_become_letters(tmp_path, answer, letter):
    lines(tmp_path / "a.jsonl", {"question": "Which?", "choices": ["red", "blue"], "answer": answer})
    (record,) = ingest(tmp_path, "one_file_qa")
    if letter is None:
        assert record["reason"] == "missing_field"
        return
    question, said = talk(record)
    assert question[1].startswith("Which?\nA. red\nB. blue\n")
    assert said == ("a", letter)


def test_pairs_by_path_and_by_url(tmp_path):
    pictures(tmp_path, "0.png")
    url = "https://example.org/a.png"
    lines(
        tmp_path / "a.jsonl",
        {"image": "0.png", "url": url, "caption": " A cat. "},
        {"url": url, "text": "x"},
        {"text": "x"},
    )
    first, second, third = ingest(tmp_path, "image_text_pairs")
    assert talk(first) == [("u", "<image>\nPlease describe the image."), ("a", "A cat.")]
    assert first["category"] == "caption"
    assert (second["reason"], third["reason"]) == ("download_failed", "missing_field")


def test_text_only(tmp_path):
    lines(tmp_path / "a.jsonl", {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]})
    (record,) = ingest(tmp_path, "text_only")
    assert (talk(record), record["category"], record["images"]) == ([("u", "q"), ("a", "a")], "text_instruct", [])


def test_tars_of_samples(tmp_path):
    turns = json.dumps({"id": "x", "conversations": chat()}).encode()
    tar(
        tmp_path / "0.tar", a__json=turns, a__png=png(1), b__jpg=png(2), b__txt=b"A cat.\n", b__cls=b"3",
        c__json=b'{"caption": "A dog."}', c__0__png=png(3), d__png=png(4), e__txt=b"alone",
    )  # fmt: skip
    found = ingest(tmp_path, "webdataset_tar")
    described = ("u", "<image>\nPlease describe the image.")
    assert [talk(row) for row in found] == [
        ASKED,
        [described, ("a", "A cat.")],
        [described, ("a", "A dog.")],
        [("!", "unexpected_row")],
        [("u", "Please describe the image."), ("a", "alone")],
    ]
    assert [row["source_id"] for row in found] == ["x", "b", "c", "", "e"]
    assert found[0]["images"][0]["uri"] == "a.png"


def test_coco_and_karpathy(tmp_path):
    pictures(tmp_path, "train/0.png")
    tree = {
        "images": [{"id": 5, "file_name": "0.png", "coco_url": "https://example.org/0.png", "license": 4}],
        "annotations": [{"id": 1, "image_id": 5, "caption": "A cat. "}, {"id": 2, "image_id": 6, "caption": "Lost."}],
    }
    (tmp_path / "captions_mine.json").write_text(json.dumps(tree))
    (tmp_path / "instances_mine.json").write_text(json.dumps({"images": [], "annotations": [{"bbox": [1]}]}))
    found, lost = ingest(tmp_path, "coco_captions", image_roots=("train",))
    assert talk(found) == [("u", "<image>\nPlease describe the image."), ("a", "A cat.")]
    assert (found["source_id"], lost["reason"]) == ("1", "unjoined_annotation")
    (by_url, _) = ingest(tmp_path, "coco_captions", map={"url": "coco_url"})
    assert by_url["reason"] == "download_failed"
    (tmp_path / "captions_mine.json").write_text(json.dumps([{"image": "train/0.png", "caption": ["One.", "Two."]}]))
    (listed,) = ingest(tmp_path, "coco_captions")
    assert talk(listed)[1] == ("a", "One.")
    assert json.loads(listed["extra"]) == {"caption": ["One.", "Two."]}


def test_rows_have_their_own_licence_and_language(tmp_path):
    lines(
        tmp_path / "a.jsonl", {"messages": chat("q"), "lic": "MIT", "lang": "de"}, {"messages": chat("q"), "lic": None}
    )
    keys = {"map": {"license": "lic", "language": "lang"}, "license": "CC0-1.0", "language": "en"}
    first, second = ingest(tmp_path, "chat_messages", **keys)
    assert (first["license"], first["language"]) == ("MIT", "de")
    assert (second["license"], second["language"]) == ("CC0-1.0", "en")


def test_keys_inside_objects(tmp_path):
    lines(tmp_path / "a.jsonl", {"data": {"turns": chat("q"), "n": 3}, "meta": {"key": 9}})
    (record,) = ingest(tmp_path, "chat_messages", map={"messages": "data.turns", "id": "meta.key"})
    assert (talk(record), record["source_id"]) == ([("u", "q"), ("a", "A cat.")], "9")
