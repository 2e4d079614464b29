"""Evaluation sets of several forms, data that leaks them in known places, and data that does not."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from infinity_mm.decontam.index import MANIFEST, read_hashes, read_manifest
from infinity_mm.errors import StageError, StoreError, UsageError
from infinity_mm.fs import Location
from tests.decontam.sets import chart, encoded, find, leaks, make, noise, scenes, write_tsv

LONG = "How many of the blue umbrellas on the left side of the street are open?"
SHORT = "What is this?"
CAPTIONED = "Which one of the following captions does best describe the picture shown above?"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, charts, a blank picture, and questions: telling, short, asked of many pictures."""
    folder = tmp_path_factory.mktemp("sets")
    photos = scenes(8)
    rows = [
        {"index": 1, "question": LONG, "image": encoded(photos[0], "JPEG", quality=92), "answer": "two"},
        {"index": 2, "question": SHORT, "image": encoded(photos[1], "JPEG", quality=92), "answer": "a roof"},
        {"index": 3, "question": "What does the bar show?\nHint: read the axis.", "image": encoded(chart(120)), "answer": "3"},
        {"index": 4, "question": "What colour is it?", "image": encoded(Image.new("RGB", (64, 64), "white")), "answer": "white"},
        {"index": 5, "question": "Who is that?", "image": "2", "answer": "nobody"},
    ]  # fmt: skip
    rows += [{"index": 10 + n, "question": CAPTIONED, "image": noise(n), "answer": "A"} for n in range(12)]
    write_tsv(folder / "MMBench_DEV_EN.tsv", rows)
    make("mmbench", folder / "MMBench_DEV_EN.tsv", folder / "index")
    return folder / "index"


def planted() -> list[dict[str, object]]:
    photos = scenes(12)
    other = photos[9]
    return [
        {"id": "copy", "image": encoded(photos[0], "JPEG", quality=40), "q": "Tell me more."},
        {"id": "small", "image": encoded(photos[1].resize((120, 120)), "JPEG", quality=80), "q": "Tell me more."},
        {"id": "asked", "image": encoded(other), "q": f"Please answer. {LONG} Use one word."},
        {"id": "pair", "image": encoded(photos[1]), "q": "Please say: what is this"},
        {"id": "generic", "image": encoded(other), "q": SHORT},
        {"id": "captioned", "image": encoded(other), "q": CAPTIONED},
        {"id": "another chart", "image": encoded(chart(124)), "q": "What is the third value of the second series?"},
        {"id": "same chart", "image": encoded(chart(120)), "q": "Anything at all."},
        {"id": "scaled chart", "image": encoded(chart(120).resize((380, 285))), "q": "What does the bar show? Hint: read the axis"},
        {"id": "blank", "image": encoded(Image.new("RGB", (90, 90), "white")), "q": "What colour is it?"},
        {"id": "same blank", "image": encoded(Image.new("RGB", (64, 64), "white")), "q": "Describe nothing."},
        {"id": "asked blank", "image": encoded(Image.new("RGB", (64, 64), "white")), "q": "What colour is it?"},
        {"id": "nothing", "image": encoded(photos[10]), "q": "Where was this taken, and by whom, and with which camera?"},
        {"id": "words only", "image": None, "q": LONG.upper().replace("?", "!!")},
    ]  # fmt: skip


LEAKING = {
    "copy": ("1", "image"),
    "small": ("2", "image"),
    "asked": ("1", "question"),
    "pair": ("2", "image_and_question"),
    "same chart": ("3", "image"),
    "scaled chart": ("3", "image_and_question"),
    "asked blank": ("4", "image_and_question"),
    "words only": ("1", "question"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rows = [{"id": row["id"], "image": row["image"], "question": row["q"]} for row in planted()]
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet", row_group_size=3)
    return folder / "train.parquet"


def test_planted_leaks_are_found_and_nothing_else(index, data, tmp_path):
    summary = find(index, data, tmp_path)
    assert leaks(tmp_path) == LEAKING
    assert (summary["rows"], summary["leaking"], summary["unreadable"]) == (14, 8, {})
    assert summary["benchmarks"] == {"mmbench": {"rows": 8, "image_and_question": 3, "image": 3, "question": 2}}
    assert json.loads((tmp_path / "summary.json").read_bytes()) == summary


@pytest.mark.parametrize(
    ("require", "kinds"),
    [("image", {"image", "image_and_question"}), ("text", {"question", "image_and_question"}), ("both", {"image_and_question"})],
)  # fmt: skip
def test_what_must_match_can_be_said(index, data, tmp_path, require, kinds):
    find(index, data, tmp_path, require=require)
    assert leaks(tmp_path) == {key: value for key, value in LEAKING.items() if value[1] in kinds}


def test_a_short_question_counts_alone_only_where_that_is_asked_for(index, data, tmp_path):
    find(index, data, tmp_path, min_question_tokens=3)
    assert leaks(tmp_path) == LEAKING  # of three words: it has no n-gram of eight
    find(index, data, tmp_path, max_pictures=12)
    assert leaks(tmp_path)["captioned"] == ("10", "question")


def test_a_question_asked_about_many_pictures_of_the_data_is_a_template(index, tmp_path):
    for count, expected in ((10, 10), (11, 0)):
        rows = [{"id": str(n), "image": noise(100 + n), "question": LONG} for n in range(count)]
        folder = tmp_path / str(count)
        folder.mkdir()
        pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet", row_group_size=4)
        summary = find(index, folder, folder / "out")
        assert (summary["leaking"], summary["template_questions"]) == (expected, int(not expected))
    rows = [{"id": str(n), "image": noise(7), "question": LONG} for n in range(40)]  # copies of one picture
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "copies.parquet")
    assert find(index, tmp_path / "copies.parquet", tmp_path / "out")["leaking"] == 40


def test_the_same_for_any_workers_units_and_after_a_stop(index, data, tmp_path, monkeypatch):
    find(index, data, tmp_path / "one", workers=1)
    expected = (tmp_path / "one/leaks.parquet").read_bytes()
    pq.write_table(pq.read_table(data), tmp_path / "whole.parquet")
    find(index, tmp_path / "whole.parquet", tmp_path / "two")
    assert (tmp_path / "two/leaks.parquet").read_bytes() == expected
    monkeypatch.setattr("infinity_mm.decontam.check.BATCH_ROWS", 2)
    monkeypatch.setattr("infinity_mm.decontam.inputs.UNIT_ROWS", 1)
    find(index, data, tmp_path / "three")
    assert (tmp_path / "three/leaks.parquet").read_bytes() == expected
    facts = sorted((tmp_path / "three/state/facts").iterdir())
    assert len(facts) == 5
    facts[1].unlink()
    sorted((tmp_path / "three/state/matches").iterdir())[3].unlink()
    (tmp_path / "three/leaks.parquet").unlink()
    before = {path: path.stat().st_mtime_ns for path in facts if path.exists()}
    find(index, data, tmp_path / "three")
    assert {path: path.stat().st_mtime_ns for path in before} == before  # hashed once
    assert (tmp_path / "three/leaks.parquet").read_bytes() == expected


def test_another_threshold_or_a_larger_index_decodes_nothing_again(index, data, tmp_path):
    find(index, data, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "state/facts").iterdir()}
    find(index, data, tmp_path, radius=0)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "state/facts").iterdir()} == before
    assert "copy" not in leaks(tmp_path)


def test_llava_rows_and_a_folder_of_pictures_are_checked_too(index, tmp_path):
    (tmp_path / "pictures/deep").mkdir(parents=True)
    (tmp_path / "pictures/deep/a.jpg").write_bytes(encoded(scenes(1)[0], "JPEG", quality=60))
    (tmp_path / "pictures/b.png").write_bytes(noise(55))
    find(index, tmp_path / "pictures", tmp_path / "out")
    assert leaks(tmp_path / "out") == {"deep/a.jpg": ("1", "image")}
    turns = [{"from": "human", "value": f"<image>\n{LONG}"}, {"from": "gpt", "value": "Two."}]
    rows = [
        {"id": "x", "image": "b.png", "conversations": turns},
        {"id": "y", "image": "gone.png", "conversations": [{"from": "human", "value": "Hello"}]},
    ]
    (tmp_path / "pictures/train.json").write_text(json.dumps(rows))
    summary = find(index, tmp_path / "pictures/train.json", tmp_path / "rows")
    assert leaks(tmp_path / "rows") == {"x": ("1", "question")}
    assert summary["unreadable"] == {"missing_image": 1}


def test_an_index_holds_hashes_alone(index):
    manifest = read_manifest(Location.of(str(index)))
    entry = manifest.benchmarks["mmbench"]
    assert sorted(path.name for path in index.iterdir()) == sorted([MANIFEST, entry.file])
    assert (entry.rows, entry.items, entry.unreadable) == (17, 17, {})
    assert entry.columns == {"image": "image", "question": "question", "index": "id", "answer": "answer"}
    assert entry.hashes["photo"] == 3 + 12  # rows 1, 2 and 5, which shows the picture of 2
    assert (entry.hashes["rendered"], entry.hashes["blank"], entry.hashes["pixels"]) == (1, 1, 17)
    table = read_hashes(Location.of(str(index)), manifest, ["mmbench"])
    assert table.num_rows == sum(entry.hashes.values())
    assert b"umbrella" not in (index / entry.file).read_bytes()


def test_a_stopped_build_goes_on_and_the_same_again_does_nothing(tmp_path, monkeypatch):
    photos = scenes(6)
    rows = [{"id": str(n), "question": f"{LONG} {n}", "image": {"bytes": encoded(p)}} for n, p in enumerate(photos)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set.parquet", row_group_size=1)
    monkeypatch.setattr("infinity_mm.decontam.inputs.UNIT_ROWS", 2)
    make("mine", tmp_path / "set.parquet", tmp_path / "calm", workers=1)

    class Stop(RuntimeError):
        pass

    from infinity_mm.decontam import build as module

    measured = []

    def stopping(*arguments):
        measured.append(arguments)
        if len(measured) == 3:
            raise Stop
        return original(*arguments)

    original = module.measure_unit
    monkeypatch.setattr(module, "measure_unit", stopping)
    with pytest.raises(Stop):
        make("mine", tmp_path / "set.parquet", tmp_path / "stopped", workers=1)
    assert len(list((tmp_path / "stopped/state/mine").glob("part-*"))) == 2
    make("mine", tmp_path / "set.parquet", tmp_path / "stopped", workers=1)
    assert len(measured) == 4
    make("mine", tmp_path / "set.parquet", tmp_path / "stopped", workers=1)
    assert len(measured) == 4
    calm, stopped = (sorted((tmp_path / name).iterdir()) for name in ("calm", "stopped"))
    assert [path.name for path in calm] == [path.name for path in stopped]
    assert [path.read_bytes() for path in calm] == [path.read_bytes() for path in stopped]


def test_several_sets_share_an_index_and_one_can_be_replaced(tmp_path, index, data):
    questions = [{"question_id": n, "question": f"What stands to the {n} of that?", "image": None} for n in range(3)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    out = tmp_path / "index"
    make("textvqa", tmp_path / "questions.jsonl", out)
    first = read_manifest(Location.of(str(out)))
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions[:2]))
    make("textvqa", tmp_path / "questions.jsonl", out)
    make("other", tmp_path / "questions.jsonl", out)
    second = read_manifest(Location.of(str(out)))
    assert (first.benchmarks["textvqa"].items, second.benchmarks["textvqa"].items) == (3, 2)
    assert first.digest() != second.digest()
    assert sorted(path.name for path in out.glob("*.parquet")) == sorted(e.file for e in second.benchmarks.values())
    with pytest.raises(UsageError, match="did you mean 'textvqa'"):
        second.choose(["textqva"])


def test_what_cannot_be_done_is_said(tmp_path, index, data):
    (tmp_path / "a.jsonl").write_text('{"pid": 1, "foo": "bar"}\n')
    with pytest.raises(UsageError, match="no index at"):
        find(tmp_path, data, tmp_path / "out")
    with pytest.raises(UsageError, match="neither pictures nor questions"):
        make("mine", tmp_path / "a.jsonl", tmp_path / "index")
    with pytest.raises(UsageError, match="--question-column: there is no column 'quest'"):
        make("mine", tmp_path / "a.jsonl", tmp_path / "index", question="quest")
    with pytest.raises(UsageError, match="expected small letters"):
        make("Mine!", tmp_path / "a.jsonl", tmp_path / "index")
    with pytest.raises(StageError, match="could be hashed"):
        make("mine", tmp_path / "a.jsonl", tmp_path / "index", image="foo")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in index.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    next(copy.glob("*.parquet")).write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"is not what manifest\.json says"):
        find(copy, data, tmp_path / "out")
    with pytest.raises(UsageError, match="all of its benchmarks must have the same"):
        make("mine", tmp_path / "a.jsonl", index, answers="yes")
    (copy / MANIFEST).write_text('{"version": 99}')
    with pytest.raises(UsageError, match="of version 99"):
        find(copy, data, tmp_path / "out")
