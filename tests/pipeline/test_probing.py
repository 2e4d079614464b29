"""The pass that measures the judge, on a run folder written by hand; no model is loaded."""

import json
from io import BytesIO

import orjson
import pyarrow as pa
import pytest
from PIL import Image as Pictures

from infinity_mm.errors import StageError
from infinity_mm.fs import Location
from infinity_mm.pipeline import probing, workers
from infinity_mm.pipeline.generated import ATTEMPTS
from infinity_mm.pipeline.parents import read_judged, read_parents
from infinity_mm.pipeline.passes import Context
from infinity_mm.pipeline.probing import judge_report, run_probing
from infinity_mm.pipeline.workers import Models, WorkerSpec
from infinity_mm.record import record_id
from infinity_mm.schema import RECORDS
from infinity_mm.store import Store
from infinity_mm.synth.chat import EngineInfo, Reply
from infinity_mm.synth.params import SynthParams
from tests.inline import InlineEngine

COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "black", "white", "gray", "brown", "pink", "gold")


class Judge:
    """Knows the color of every picture, or gives everything the same score."""

    seconds = 0.0
    info = EngineInfo(engine="transformers", version="0", model="judge", revision="r", batch_invariant=True)

    def __init__(self, knows, asked):
        self.knows = knows
        self.asked = asked

    def __call__(self, requests):
        self.asked += requests
        return [Reply(key=request.key, text=self._judge(request)) for request in requests]

    def _judge(self, request):
        seen = Pictures.open(BytesIO(request.images[0])).getpixel((0, 0))
        right = request.prompt.endswith(f"Proposed answer: {COLORS[seen[0]]}")
        return json.dumps({"reason": "As seen.", "score": 9 if right or not self.knows else 2})

    def close(self):
        pass


class Log:
    def __init__(self):
        self.lines = []

    def line(self, text):
        self.lines.append(text)

    def follow(self, stage, items, total, cached):
        yield from items


def picture(number):
    stream = BytesIO()
    Pictures.new("RGB", (8, 8), (number, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path):
    """A run folder with one part of pictures, each with a question, and the parts that `run_probing` takes."""
    store = Store(Location.of(tmp_path / "work"))
    rows, attempts = [], []
    for number, color in enumerate(COLORS):
        identity = record_id("photos", "f", str(number))
        image = {"sha256": f"{number:064x}", "width": 8, "height": 8, "format": "png", "uri": f"{number}.png"}
        rows.append(
            dict.fromkeys(RECORDS.names)
            | {"id": identity, "source": "photos", "source_id": str(number), "source_ref": f"f#{number}"}
            | {"category": "general", "license": "CC0-1.0", "language": "en", "extra": "{}", "images": [image]}
            | {"image_bytes": [picture(number)], "messages": [{"role": "user", "content": "<image>"}]}
        )
        written = {"question": "What color is it?", "answer": color, "options": [], "score": 9, "score_reason": "Seen."}
        attempts.append(
            {"id": f"{number:032x}", "source_ref": f"synthetic#{identity}/0", "parent": identity}
            | {"source": "photos", "instruction_type": "Recognize color", "answer_format": "word_or_phrase"}
            | {"generation": orjson.dumps(written | ({"score": None} if number == 0 else {})).decode()}
        )
    with store.writer("records/photos/part-0.parquet", RECORDS) as writer:
        for row in rows:
            writer.add(row, 100)
    store.write("attributes/synth/part-0.parquet", pa.Table.from_pylist(attempts, schema=ATTEMPTS))
    places = tuple(("records/photos/part-0.parquet", number) for number in range(len(COLORS)))
    return store, [("attributes/synth/part-0.parquet", places)]


def measure(folder, monkeypatch, knows, **probe):
    store, parts = folder
    asked = []
    monkeypatch.setattr(workers, "lasting_chat", lambda spec: Judge(knows, asked))
    context = Context(store, InlineEngine(), Log(), recipe=None)
    params = SynthParams.model_validate({"images": 12, "judge_probe": probe})
    cache = store.at("cache").uri
    name = f"judge that {'knows' if knows else 'does not'}"
    spec = WorkerSpec(params.model_dump_json(), 7, cache, name, name, None)
    with context.engine.crew(Models, spec, None) as crew:
        task = run_probing(context, crew, parts, spec)
    return task and judge_report(context, task, spec), context, asked


def test_what_was_written_is_read_back_as_the_judge_saw_it(folder):
    store, ((attempts, places),) = folder
    rows = list(read_judged(store, attempts, read_parents(store, places)))
    assert [row.generated.answer for row in rows] == list(COLORS[1:]), "a row without a score was not judged"
    assert rows[0].generated.typed.attempt.parent.data == picture(1)
    assert rows[0].generated.typed.leaf.name == "Recognize color"
    assert rows[0].score == 9


def test_a_judge_that_sees_is_measured_once(folder, monkeypatch):
    report, context, asked = measure(folder, monkeypatch, True, rows=10)
    assert (report.rows, report.chance) == (10, False)
    assert report.overall("as_written").passed.rate == 1.0
    assert report.overall("altered").passed.rate == 0.0
    assert {rate.kind for rate in report.rates} == {
        "as_written", "altered", "swapped_image", "wrong_color", "other_answer",
    }  # fmt: skip
    assert report.calls + report.cached == report.altered == 30
    assert context.reporter.lines == [f"warning: {line}" for line in report.warnings]
    assert report.self_judged
    again, context, asked = measure(folder, monkeypatch, True, rows=10)
    assert again == report
    assert (context.stages[0].cached, asked) == (1, [])
    more, _, asked = measure(folder, monkeypatch, True, rows=11)
    assert (more.rows, len(asked)) == (11, more.calls)
    assert more.calls <= 3 < 30 <= more.cached, "what was asked about before comes from the cache"
    fewer, _, asked = measure(folder, monkeypatch, True, rows=9)
    assert (fewer.rows, fewer.calls, asked) == (9, 0, [])


def test_a_judge_that_does_not_see_is_named_or_stops_the_run(folder, monkeypatch):
    report, context, _ = measure(folder, monkeypatch, False, rows=10)
    assert report.chance
    assert "cannot be told from chance" in context.reporter.lines[0]
    assert len(report.missed) == probing.MISSED
    with pytest.raises(StageError, match=r"synth\.judge_probe\.on_chance"):
        measure(folder, monkeypatch, False, rows=10, on_chance="stop")


def test_zero_rows_cost_nothing(folder, monkeypatch):
    report, _, asked = measure(folder, monkeypatch, True, rows=0)
    assert report is None
    assert asked == []


def test_without_a_scored_row_no_judge_is_asked(folder, monkeypatch):
    store, parts = folder
    table = store.read(parts[0][0]).slice(0, 1)
    store.write("attributes/synth/part-1.parquet", table)
    one = (store, [("attributes/synth/part-1.parquet", parts[0][1][:1])])
    report, _, asked = measure(one, monkeypatch, True, rows=4)
    assert (report.rows, asked) == (0, [])
    assert "could not be measured" in report.warnings[0]
