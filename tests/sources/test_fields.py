"""What parsers that several sources share keep of a row."""

import gzip
import json

from infinity_mm.fs import Location
from infinity_mm.sources.base import Sample
from infinity_mm.sources.catalogue import load
from infinity_mm.sources.fields import parse_docowl, parse_text_turns, parse_webdataset

TURNS = [{"role": "user", "content": "<|image|>q"}, {"role": "assistant", "content": "a"}]


def test_a_documents_token_without_a_picture_is_a_placeholder_that_the_structure_filter_sees():
    for image in ([], None, "None"):
        sample = parse_docowl({"image": image, "messages": TURNS, "task_name": "t"})
        assert isinstance(sample, Sample)
        assert (sample.images, sample.messages[0].content, sample.extra) == ((), "<image>q", {"task_name": "t"})
    with_picture = parse_docowl({"image": ["a.png"], "messages": TURNS})
    assert with_picture.notes == ("placeholder_respelled",)


def test_fields_that_no_schema_names_are_kept_and_bytes_are_not():
    more = {"tags": ["x"], "conversations_new": None, "thumb": b"\x00", "quality": {"score": 1.5}}
    kept = {"tags": ["x"], "quality": {"score": 1.5}}
    turns = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    tree = {"id": "1", "conversations": turns, **more}
    assert parse_webdataset({"json": tree, "images": ()}).extra == kept
    assert parse_text_turns(tree).extra == kept
    assert parse_docowl({"image": [], "messages": TURNS, **more}).extra == kept
    pair = {"id": 3, "prompt": "<|image|>q", "chosen": TURNS, "rejected": TURNS[:1], "task_category": "c"}
    assert parse_text_turns(pair).extra == {"rejected": TURNS[:1], "task_category": "c"}


def test_packed_lines_are_found_without_their_published_name(tmp_path):
    row = {"id": "1", "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}
    (tmp_path / "copy.jsonl.gz").write_bytes(gzip.compress(json.dumps(row).encode()))
    source, where = load("llava_mix665k"), Location.of(tmp_path)
    plan = source.reader.plan(where, source.card.files, where / ".prepared", 10)
    assert [raw.row for split in plan.splits for raw in source.reader.read(where, split)] == [row]
