"""What is found before any work: files that are not there, pictures that are not, and rows that are none."""

import json

import pytest

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.pipeline import preflight
from infinity_mm.pipeline.preflight import check_inputs, check_sample, sample_pictures, unmatched
from infinity_mm.recipe import Recipe, SourceUse


def row(number: int, image: str | None) -> dict[str, object]:
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": f"Thing {number}"}]
    return {"id": str(number), "conversations": turns} | ({} if image is None else {"image": image})


@pytest.fixture
def root(tmp_path):
    """300 rows of a LLaVA file; the pictures of every tenth are not there."""
    (tmp_path / "images").mkdir()
    for number in range(300):
        if number % 10:
            (tmp_path / f"images/{number}.jpg").write_bytes(b"not decoded here")
    (tmp_path / "chat.json").write_text(json.dumps([row(number, f"{number}.jpg") for number in range(300)]))
    return tmp_path


def use(root, **keys: object) -> SourceUse:
    return SourceUse.model_validate({"name": "llava_cc3m_595k", "root": Location.of(root).uri, **keys})


def test_a_sample_says_how_many_pictures_are_there_and_names_the_first_that_is_not(root):
    found = sample_pictures(use(root), None)
    assert found.rows == found.named == 200
    assert 170 <= found.found < 200
    assert found.refused == {"missing_image": 200 - found.found}
    assert f"{found.found} of 200 sampled pictures found; first missing: " in found.line()
    assert "0.jpg is in none of 'images', 'images.zip'" in found.line()
    assert sample_pictures(use(root), None) == found, "the same files, the same sample"
    assert check_sample(use(root), found) is None


def test_more_lost_rows_than_a_run_allows_is_a_fault_that_says_where_to_look(root):
    found = sample_pictures(use(root), None)
    problem = check_sample(use(root, max_quarantined=0.01), found)
    assert problem is not None
    for words in (
        "max_quarantined=0.01",
        "images (there)",
        "images.zip (not there)",
        "huggingface.co/datasets/liuhaotian",
    ):
        assert words in problem


def test_text_urls_and_refused_rows_are_told_apart(root):
    rows = [row(1, None) | {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, [1, 2]]
    (root / "chat.json").write_text(json.dumps(rows))
    found = sample_pictures(use(root), None)
    assert (found.rows, found.named) == (2, 0)
    assert found.refused == {"unexpected_row": 1}
    assert (
        "1 of 2 sampled rows would go to quarantine (unexpected_row 1; first: expected a JSON object, got list)"
        in found.line()
    )


def test_questions_that_were_put_together_are_counted_apart(tmp_path):
    questions = {str(n): {"question": f"What is {n}?", "answer": "a", "imageId": "7"} for n in range(3)}
    (tmp_path / "train_balanced_questions.json").write_text(json.dumps(questions))
    given = SourceUse(name="gqa", root=Location.of(tmp_path).uri, options={"group_by_image": True})
    found = sample_pictures(given, None)
    assert (found.rows, found.refused) == (3, {"missing_image": 3})


def test_files_that_are_too_large_to_stream_are_named(root, monkeypatch):
    monkeypatch.setattr(preflight, "STREAMED", 100)
    found = sample_pictures(use(root), None)
    assert found.rows == 0
    assert found.line() == "not sampled for their size: chat.json"


def test_names_with_brackets_are_sampled_too(tmp_path):
    folder = tmp_path / "tiny[1](cauldron)"
    folder.mkdir()
    turns = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    (folder / "train.jsonl").write_text(json.dumps({"id": "1", "conversations": turns}) + "\n")
    given = SourceUse(name="llava_onevision", root=Location.of(tmp_path).uri)
    assert sample_pictures(given, None).rows == 1


def test_every_source_without_files_is_named_with_what_was_expected_and_how_to_get_it(tmp_path, root):
    empty = tmp_path / "empty"
    empty.mkdir()
    names = ("gqa", "docvqa", "infinity_mm")
    uses = tuple(SourceUse(name=name, root=Location.of(empty).uri) for name in names)
    with pytest.raises(SourceError) as fault:
        check_inputs(Recipe(name="r", sources=(use(root), *uses)))
    lines = str(fault.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == list(names)
    assert "train_balanced_questions.json" in lines[0]
    assert str(empty) in lines[0]
    assert "cs.stanford.edu" in lines[0]
    assert "sign up and download at https://rrc.cvc.uab.es" in lines[1]
    assert "accept the terms at https://huggingface.co/datasets/BAAI/Infinity-MM" in lines[2]


def test_published_names_that_match_nothing(tmp_path):
    (tmp_path / "train.jsonl").write_text("{}\n")
    assert unmatched(SourceUse(name="docdownstream", root=Location.of(tmp_path).uri)) == ("val.jsonl",)
