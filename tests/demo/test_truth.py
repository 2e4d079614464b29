"""Synthetic rows are held against what is drawn."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from infinity_mm.demo.drawn import drawn_pictures
from infinity_mm.demo.truth import truth
from infinity_mm.synth.small_vlm.tasks import askable

SEED = 17


def row(drawn, form, answer=None):
    question = askable(drawn.truth)[0]
    answer = answer or question.answer
    options = [answer, *(one for one in question.sort if one != answer)][:4] if form == "multiple_choice" else []
    said = {
        "question": question.text,
        "answer": question.said(form, answer),
        "options": options,
        "answer_format": form,
        "instruction_type": {"leaf": question.leaf},
    }
    return {"images": [{"sha256": drawn.sha256}], "extra": json.dumps(said)}


def test_true_and_untrue_rows_are_told_apart(tmp_path):
    one, two = drawn_pictures(SEED, 2)
    lie = askable(two.truth)[0].wrong[0]
    rows = [row(one, "word_or_phrase"), row(one, "multiple_choice"), row(two, "brief"), row(two, "detailed", lie)]
    unknown = {"images": [{"sha256": "0" * 64}], "extra": rows[0]["extra"]}
    folder = tmp_path / "records/synthetic"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([*rows, unknown]), folder / "part-00000-0.parquet")
    found = truth(tmp_path, SEED)
    assert found.rows == 4
    assert [question for question, _ in found.wrong] == [askable(two.truth)[0].text]
    assert found.share == 0.75


def test_a_run_without_synthetic_rows_has_none_that_are_wrong(tmp_path):
    assert (truth(tmp_path).rows, truth(tmp_path).share) == (0, 1.0)
