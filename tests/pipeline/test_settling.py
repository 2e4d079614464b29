"""Verdicts over all synthetic rows, on parts written by hand; no model is loaded."""

from io import BytesIO

import orjson
import pyarrow as pa
import pytest
from PIL import Image as Pictures

from infinity_mm.fs import Location
from infinity_mm.pipeline import answer_losses
from infinity_mm.pipeline.answer_losses import LOSSES, LossSpec, LossTask, LossWorker, loss_groups
from infinity_mm.pipeline.books import Fate, outcomes
from infinity_mm.pipeline.generated import ATTEMPTS, SynthTask
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.settling import SettleTask, kept_questions, settle_all
from infinity_mm.record import record_id
from infinity_mm.schema import RECORDS
from infinity_mm.store import Store
from infinity_mm.synth.params import SynthParams


def attempt(number, answer, outcome=None, form="word_or_phrase", parent=0):
    written = {"question": "Is it red?", "answer": answer, "options": [], "score": 9, "score_reason": "Seen."}
    return {
        "id": f"{number:032x}", "source_ref": f"synthetic#p/{number}", "parent": record_id("photos", "f", str(parent)),
        "outcome": outcome, "stage": outcome and "synth.filter", "reason": outcome and "low_score", "source": "photos",
        "instruction_type": "Detect presence", "answer_format": form, "generation": orjson.dumps(written).decode(),
    }  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return Store(Location.of(tmp_path / "work"))


def parts(store, *several):
    """Write each list of attempts as a part; return their fates."""
    fates = []
    for number, rows in enumerate(several):
        part = Part(SYNTHETIC, number, f"{number:016x}")
        path = part.attributes("synth", part.fingerprint)
        store.write(path, pa.Table.from_pylist(rows, schema=ATTEMPTS))
        fates.append(Fate(part, path, ingested=False))
    return fates


def settle(store, fates, losses, **synth):
    params = SynthParams.model_validate({"images": 1} | synth)
    outputs = tuple(f"attributes/settle/synthetic/part-{n}.parquet" for n in range(len(fates)))
    settle_all(SettleTask(store.work.uri, tuple(fates), losses, params.model_dump_json(), 3, outputs))
    found = []
    for fate, path in zip(fates, outputs, strict=True):
        judged = Fate(fate.part, fate.screen, ingested=False, settle=path)
        found += [(row["outcome"], row["stage"], row["reason"]) for row in outcomes(store, judged)]
    return found


def test_yes_and_no_are_balanced_over_all_parts(store):
    fates = parts(
        store,
        [attempt(1, "Yes"), attempt(2, "yes."), attempt(3, "red")],
        [attempt(4, "yes"), attempt(5, "no"), attempt(6, "yes", "dropped"), attempt(7, "yes", form="brief")],
    )
    found = settle(store, fates, (None, None), rules={"yes_no": "balance"})
    dropped = ("dropped", "synth.settle", "yes_no_balance")
    assert found.count(dropped) == 2
    assert found[2] == ("kept", None, None), "no bare yes or no"
    assert found[4] == ("kept", None, None), "the only no stays"
    assert found[5] == ("dropped", "synth.filter", "low_score"), "what ended before is not counted"
    assert found[6] == ("kept", None, None)


def test_losses_decide_by_the_recipes_quantiles(store):
    rows = [attempt(n, f"thing {n}") for n in range(6)]
    (fate,) = parts(store, rows)
    losses = "attributes/answer_loss/synthetic/part-0.parquet"
    known = [{"id": row["id"], "loss": float(n) if n else None, "tokens": 2} for n, row in enumerate(rows)]
    store.write(losses, pa.Table.from_pylist(known, schema=LOSSES))
    model = {"name": "random", "engine": "transformers"}
    found = settle(store, [fate], (losses,), loss={"model": model, "keep_to": 0.7, "min_rows": 3})
    assert [reason for _, _, reason in found] == ["loss_unknown", None, None, None, "high_loss", "high_loss"]
    task = SynthTask(store.work.uri, fate.part, fate.screen, ())
    (group,) = loss_groups(store, [task], [losses])
    assert (group.source, group.format, group.rows, group.known, group.median) == (
        "photos",
        "word_or_phrase",
        6,
        5,
        3.0,
    )


class Reference:
    """Finds longer answers less likely, and cannot read one of the pictures."""

    def __init__(self, spec):
        assert spec.engine == "transformers"

    def answer_loss(self, request, answer):
        if Pictures.open(BytesIO(request.images[0])).size[0] == 9:
            return None, 0, "undecodable_image: too odd"
        assert request.prompt.startswith("Is it red?\nAnswer the question using")
        return float(len(answer)), 1, ""


def test_only_kept_answers_are_asked_about(store, monkeypatch):
    with store.writer("records/photos/part-0.parquet", RECORDS) as writer:
        for number in range(2):
            stream = BytesIO()
            Pictures.new("RGB", (8 + number, 8)).save(stream, "PNG")
            image = {"sha256": f"{number:064x}", "width": 8, "height": 8, "format": "png", "uri": "x.png"}
            row = dict.fromkeys(RECORDS.names)
            row |= {"id": record_id("photos", "f", str(number)), "source": "photos", "source_id": "0"}
            row |= {"source_ref": "f#0", "category": "general", "license": "CC0-1.0", "language": "en", "extra": "{}"}
            row |= {
                "images": [image],
                "image_bytes": [stream.getvalue()],
                "messages": [{"role": "user", "content": "q"}],
            }
            writer.add(row, 100)
    (fate,) = parts(store, [attempt(1, "red"), attempt(2, "blue", "dropped"), attempt(3, "green", parent=1)])
    monkeypatch.setattr(answer_losses, "TransformersChat", Reference)
    places = tuple(("records/photos/part-0.parquet", number) for number in range(2))
    task = LossTask(store.work.uri, fate.screen, places, "attributes/answer_loss/synthetic/part-0.parquet")
    LossWorker(LossSpec('{"name": "random", "engine": "transformers"}'))(task)
    assert store.read(task.output).to_pylist() == [
        {"id": f"{1:032x}", "loss": 3.0, "tokens": 1, "error": None},
        {"id": f"{3:032x}", "loss": None, "tokens": 0, "error": "undecodable_image: too odd"},
    ]
    assert [one.loss for one in kept_questions(store, fate.screen, task.output)] == [3.0, None]
