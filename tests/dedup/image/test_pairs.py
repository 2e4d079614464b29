"""Tables of pictures and text: what must match for a row to be a duplicate."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from infinity_mm.dedup.image.pairs import PairColumns, PairJob, deduplicate_pairs
from infinity_mm.dedup.image.params import ImageParams
from infinity_mm.dedup.params import DedupParams
from infinity_mm.errors import UsageError
from infinity_mm.fs import Location
from infinity_mm.progress import Reporter
from tests.dedup.image.test_image_job import encoded

LONG = "a street of wooden houses with red lanterns, seen from a bridge over a narrow canal, in the early evening after rain "


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    china, flower = (Image.fromarray(pixels) for pixels in load_sample_images().images)
    first, again, other = encoded(china, quality=95), encoded(china, quality=75), encoded(flower)
    return [
        {"id": 1, "image": first, "question": "What is this?", "answer": "A temple."},
        {"id": 2, "image": again, "question": "what is this", "answer": "A temple"},
        {"id": 3, "image": first, "question": "Where is this?", "answer": "A temple."},
        {"id": 4, "image": other, "question": "What is this?", "answer": "A temple."},
        {"id": 5, "image": again, "question": "Describe it.", "answer": LONG * 2},
        {"id": 6, "image": first, "question": "Describe it.", "answer": LONG * 2 + "and snow"},
        {"id": 7, "image": None, "question": "Describe it.", "answer": LONG * 2},
        {"id": 8, "image": b"no picture", "question": "What is this?", "answer": "A temple."},
    ]


def run(rows: list[dict], folder: Path, columns: PairColumns, workers: int = 2) -> tuple[dict, dict[str, dict]]:
    kind = pa.binary() if not isinstance(rows[0][columns.image], list) else pa.list_(pa.binary())
    table = pa.Table.from_pylist(rows)
    table = table.set_column(table.column_names.index(columns.image), columns.image,
                             pa.array([row[columns.image] for row in rows], kind))  # fmt: skip
    folder.mkdir()
    pq.write_table(table, folder / "a.parquet", row_group_size=3)
    job = PairJob(str(folder), columns, ImageParams(), DedupParams(), Location.of(str(folder / "out")), workers)
    summary = deduplicate_pairs(job, Reporter(quiet=True))
    removed = pq.read_table(folder / "out/removed.parquet").to_pylist()
    return summary, {row["id"]: row for row in removed}


def test_pictures_and_texts_must_both_match(rows, tmp_path):
    summary, removed = run(rows, tmp_path / "in", PairColumns(question="question", answer="answer"))
    assert {key: row["winner"] for key, row in removed.items()} == {"2": "1", "5": "6"}
    assert removed["5"]["reason"] == "near_pair"
    assert 0.7 <= removed["5"]["similarity"] < 1
    assert removed["5"]["distance"] <= 8
    assert summary["unreadable"] == {"undecodable_image": 1}
    assert (summary["rows"], summary["kept"], summary["removed"]) == (8, 5, 2)


def test_captions_have_no_question_and_messages_have_both(rows, tmp_path):
    _, captions = run(rows, tmp_path / "captions", PairColumns(answer="answer"))
    assert {key: row["winner"] for key, row in captions.items()} == {"2": "1", "3": "1", "5": "6"}
    talks = [
        {"id": row["id"], "image": [row["image"]] if row["image"] else [], "messages": [
            {"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["answer"]}]}
        for row in rows
    ]  # fmt: skip
    _, removed = run(talks, tmp_path / "talks", PairColumns(messages="messages"))
    assert {key: row["winner"] for key, row in removed.items()} == {"2": "1", "5": "6"}


def test_the_same_for_any_workers(rows, tmp_path):
    columns = PairColumns(question="question", answer="answer")
    for workers in (1, 4):
        run(rows, tmp_path / str(workers), columns, workers)
    assert (tmp_path / "1/out/removed.parquet").read_bytes() == (tmp_path / "4/out/removed.parquet").read_bytes()


def test_what_cannot_be_done_is_said(rows, tmp_path):
    with pytest.raises(UsageError, match="name the texts"):
        run(rows, tmp_path / "a", PairColumns())
    with pytest.raises(UsageError, match="has no column 'anser'; did you mean 'answer'"):
        run(rows, tmp_path / "b", PairColumns(answer="anser"))
