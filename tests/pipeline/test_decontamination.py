"""Evaluation sets in the sources of a run: planted pictures and questions go, with their item named; the rest stays."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from infinity_mm.decontam.params import DecontamParams
from infinity_mm.errors import RecipeError, StageError
from infinity_mm.explain import explain
from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe, recipe_fingerprint
from infinity_mm.store import Store
from tests.decontam.sets import chart, encoded, make, noise, scenes
from tests.pipeline.served import Served, answer
from tests.running import digest_of

pytestmark = pytest.mark.usefixtures("shared_ray")
QUIET = RunOptions(quiet=True)
LONG = "How many of the blue umbrellas on the left side of the street are open?"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index, and a source of 40 rows of which six leak; returns their folder."""
    folder = tmp_path_factory.mktemp("planted")
    photos = scenes(12)
    items = [
        {"question_id": "photo", "image": {"bytes": encoded(photos[0])}, "question": "What is this?"},
        {"question_id": "asked", "image": {"bytes": encoded(photos[1])}, "question": LONG},
        {"question_id": "chart", "image": {"bytes": encoded(chart(120))}, "question": "How much was sold in May?"},
    ]
    pq.write_table(pa.Table.from_pylist(items), folder / "set.parquet")
    make("textvqa", folder / "set.parquet", folder / "index")
    root = folder / "mine"
    (root / "images").mkdir(parents=True)
    rows = []

    def add(name: str, data: bytes, question: str) -> None:
        (root / f"images/{name}").write_bytes(data)
        turns = [
            {"role": "user", "content": f"<image>{question}"},
            {"role": "assistant", "content": f"As {name} says."},
        ]
        rows.append({"id": name, "images": [name], "messages": turns})

    add("again.jpg", encoded(photos[0], "JPEG", quality=50), "What do you see in this picture of ours?")
    add("small.jpg", encoded(photos[1].resize((150, 150)), "JPEG", quality=85), "Write a line about it, please.")
    add("words.png", encoded(photos[5]), f"{LONG}\nAnswer the question using a single word or phrase.")
    add("chart.png", encoded(chart(120)), "Say what there is to say about it.")
    add("chart-asked.png", encoded(chart(120).resize((380, 285))), "How much was sold in May?\nBe short.")
    add("words-again.png", encoded(photos[6]), LONG.lower())
    add("generic.png", encoded(photos[7]), "What is this?")
    add("chart-other.png", encoded(chart(124)), "How much was sold in all of the year?")
    for number in range(32):
        add(f"calm-{number}.png", noise(number), f"What is to be seen at the place number {number} of this picture?")
    (root / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


LOST = {
    "again.jpg": ("benchmark_image", "textvqa photo: pHash distance"),
    "small.jpg": ("benchmark_image", "textvqa asked: pHash distance"),
    "words.png": ("benchmark_question", "textvqa asked: 100% of a question of 15 tokens"),
    "chart.png": ("benchmark_image", "textvqa chart: pHash distance 0"),
    "chart-asked.png": ("benchmark_image_and_question", "textvqa chart: pHash distance"),
    "words-again.png": ("benchmark_question", "textvqa asked: 100% of a question of 15 tokens"),
}


def recipe(planted: Path, folder: Path, **keys: object) -> Path:
    source = {"name": "mine", "family": "chat_messages", "root": str(planted / "mine"), "image_root": ["images"]}
    tree = {
        "name": "clean",
        "partition_rows": 7,
        "sources": [{**source, "category": "general"}],
        "decontaminate": {"index": str(planted / "index"), "max_drop": 0.5},
        "export": [{"name": "pq", "format": "parquet"}],
    }
    path = folder / "clean.yaml"
    path.write_text(yaml.safe_dump({**tree, **keys}))
    return path


def go(path: Path, work: Path, *overrides: str, options: RunOptions = QUIET):
    return run(load_recipe(path, overrides), Location.of(work), options)


def ledger(work: Path) -> dict[str, dict[str, object]]:
    """Return native id -> ledger row."""
    names = {
        row["id"]: row["source_id"]
        for path in sorted((work / "records").rglob("part-*"))
        for row in pq.read_table(path, columns=["id", "source_id"]).to_pylist()
    }
    rows = [row for path in sorted((work / "ledger").glob("part-*")) for row in pq.read_table(path).to_pylist()]
    return {names[row["id"]]: row for row in rows}


def read(folder: Path) -> list[dict[str, object]]:
    return [row for path in sorted(folder.rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.fixture
def copy(done, tmp_path: Path) -> Path:
    """Return a copy of the finished run, so that little is left to do."""
    return Path(shutil.copytree(done[0], tmp_path / "work"))


@pytest.fixture(scope="module")
def done(planted: Path, ray_node: str, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("done")
    return folder / "work", go(recipe(planted, folder), folder / "work", options=RunOptions(ray_node, quiet=True))


def test_planted_leaks_are_dropped_with_their_item_and_the_rest_is_kept(done):
    work, manifest = done
    rows = ledger(work)
    lost = {name: row for name, row in rows.items() if row["outcome"] == "dropped"}
    assert {name: row["reason"] for name, row in lost.items()} == {name: reason for name, (reason, _) in LOST.items()}
    for name, row in lost.items():
        assert row["stage"] == "decontaminate"
        assert row["detail"].startswith(LOST[name][1])
    assert manifest.books["mine"].kept == 34
    assert manifest.books["mine"].dropped == {
        "decontaminate.benchmark_image": 3,
        "decontaminate.benchmark_image_and_question": 1,
        "decontaminate.benchmark_question": 2,
    }


def test_the_leakage_table_is_in_manifest_and_report_and_explain_tells_the_verdict(done):
    work, manifest = done
    assert manifest.leakage.mode == "drop"
    leakage = manifest.leakage.sources["mine"]
    assert (leakage.checked, leakage.rows) == (40, 6)
    leak = leakage.benchmarks["textvqa"]
    assert (leak.rows, leak.image, leak.question, leak.image_and_question) == (6, 3, 2, 1)
    assert "Leakage of evaluation sets" in (work / "report/index.html").read_text()
    life = explain(Store(Location.of(work)), ledger(work)["words.png"]["id"])
    assert life.ledger["reason"] == "benchmark_question"
    assert life.attributes["decontaminate"]["benchmarks"] == ["textvqa"]


def test_marked_rows_stay(planted, done, copy, tmp_path):
    path = recipe(planted, tmp_path)
    manifest = go(path, tmp_path / "work", "decontaminate.mode=mark", "decontaminate.max_drop=0.0")
    assert manifest.books["mine"].kept == 40
    assert manifest.leakage.sources == done[1].leakage.sources
    life = explain(Store(Location.of(tmp_path / "work")), ledger(tmp_path / "work")["again.jpg"]["id"])
    assert (life.ledger["outcome"], life.attributes["decontaminate"]["reason"]) == ("kept", "benchmark_image")


def test_a_rail_stops_a_source_that_is_an_evaluation_set(planted, copy, tmp_path):
    with pytest.raises(
        StageError, match=r"would lose 6 of 40 rows \(textvqa 6\), more than decontaminate\.max_drop=0\.1"
    ):
        go(recipe(planted, tmp_path, decontaminate={"index": str(planted / "index")}), tmp_path / "work")


@pytest.mark.slow
def test_the_same_bytes_for_any_workers_and_after_parts_are_lost(planted, done, tmp_path):
    path, work = recipe(planted, tmp_path), tmp_path / "work"
    go(path, work, options=RunOptions(workers=1, quiet=True))
    assert digest_of(work) == digest_of(done[0])
    parts = [
        *sorted((work / "state/matches/mine").iterdir())[1:3],
        *sorted((work / "attributes/decontaminate/mine").iterdir())[:2],
    ]
    for part in (*parts, *sorted((work / "ledger").glob("part-*"))[:2]):
        part.unlink()
    again = go(path, work)
    made = {stage.name: stage.made for stage in again.stages}
    assert (made["ingest"], made["decontaminate-match"], made["decontaminate"]) == (0, 2, 2)
    assert digest_of(work) == digest_of(done[0])


@pytest.mark.slow
def test_what_must_match_is_judged_again_without_matching_again(planted, copy, tmp_path):
    path, work = recipe(planted, tmp_path), copy
    manifest = go(path, work, "decontaminate.require=both")
    assert {stage.name: stage.made for stage in manifest.stages}["decontaminate-match"] == 0
    assert manifest.books["mine"].dropped == {"decontaminate.benchmark_image_and_question": 1}
    without = go(recipe(planted, tmp_path, decontaminate=None), work)
    assert (without.books["mine"].kept, without.leakage) == (40, None)
    assert not (work / "attributes/decontaminate").exists() or not any(
        (work / "attributes/decontaminate").rglob("part-*")
    )


def test_an_index_is_checked_before_any_work_and_named_by_its_content(planted, tmp_path):
    path = recipe(planted, tmp_path)
    loaded = load_recipe(path)
    (tmp_path / "moved").symlink_to(planted / "index")
    moved = load_recipe(path, (f"decontaminate.index={tmp_path / 'moved'}",))
    assert recipe_fingerprint(loaded) == recipe_fingerprint(moved)
    assert loaded.decontaminate == DecontamParams(
        index=Location.of(planted / "index").uri, digest=loaded.decontaminate.digest, max_drop=0.5
    )
    for override, message in (
        ("decontaminate.index=/absent", "decontaminate.index: no index at /absent"),
        ("decontaminate.digest=deadbeefdeadbeef", "expected deadbeefdeadbeef"),
        ("decontaminate.benchmarks=[textvqq]", "did you mean 'textvqa'"),
        ("decontaminate.radios=4", "did you mean 'radius'"),
    ):
        with pytest.raises(RecipeError, match=message):
            load_recipe(path, (override,))


def test_rows_that_filters_dropped_are_not_looked_at(planted, tmp_path):
    filters = [{"use": "image", "with": {"min_side": 155, "max_drop": 1.0}}]
    manifest = go(recipe(planted, tmp_path, filters=filters), tmp_path / "work")
    assert Image.open(planted / "mine/images/small.jpg").size == (150, 150)
    leakage = manifest.leakage.sources["mine"]
    dropped = manifest.books["mine"].dropped
    small = sum(count for reason, count in dropped.items() if reason.startswith("image."))
    assert (leakage.checked, small > 0) == (40 - small, True)
    assert leakage.rows == 5


@pytest.fixture
def model() -> Iterator[Served]:
    running = Served()
    yield running
    running.shutdown()


def asks(question: Callable[[str], str]) -> Callable[[dict[str, object], int], tuple[str, str]]:
    """Return what a model answers that knows its questions by heart: `question` names one, given a draw."""

    def reply(body: dict[str, object], voice: int) -> tuple[str, str]:
        step, text = answer(body, voice)
        known = question(hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest())
        return step, json.dumps(json.loads(text) | {"question": known}) if step == "generate" else text

    return reply


def test_generated_rows_that_repeat_a_question_are_dropped(planted, copy, tmp_path, model, monkeypatch):
    pytest.importorskip("openai")
    few = asks(lambda draw: LONG if draw[0] in "012" else "How much was sold in May?")
    monkeypatch.setattr("tests.pipeline.served.answer", few)
    synth = {"model": model.spec(), "images": 34, "per_image": 1, "min_tag_confidence": 1, "min_score": 2}
    path = recipe(planted, tmp_path, synth=synth)
    manifest = go(path, copy)
    leakage = manifest.leakage.sources["synthetic"]
    made = [row for row in read(copy / "ledger") if row["source"] == "synthetic"]
    texts = {row["id"]: row["messages"][0]["content"] for row in read(copy / "records/synthetic")}
    assert leakage.checked == len(texts) > 10
    repeated = {name for name, text in texts.items() if LONG in text}
    lost = {row["id"]: row for row in made if row["stage"] == "decontaminate"}
    assert lost.keys() > repeated
    assert 0 < len(repeated) <= 10
    assert leakage.rows == len(lost) == leakage.benchmarks["textvqa"].rows
    assert manifest.books["synthetic"].dropped["decontaminate.benchmark_question"] == len(repeated)
    for name, row in lost.items():
        both = name not in repeated
        assert row["reason"] == ("benchmark_image_and_question" if both else "benchmark_question")
        assert row["detail"].startswith(
            "textvqa chart: pHash distance" if both else "textvqa asked: 100% of a question"
        )
        life = explain(Store(Location.of(copy)), name)
        assert life.attributes["decontaminate"]["benchmarks"] == ["textvqa"]
        assert life.places == []
    assert not lost.keys() & {row["id"] for row in read(copy / "exports/pq")}
    again = go(path, copy)
    assert [stage.name for stage in again.stages if stage.made] == []
    assert "<td>synthetic</td>" in (copy / "report/index.html").read_text()
    loose = go(path, copy, "decontaminate.max_pictures=2")  # what is asked about three pictures is a template then
    assert "decontaminate.benchmark_question" not in loose.books["synthetic"].dropped


def test_what_a_switched_off_pass_left_is_swept(planted, copy, tmp_path):
    go(recipe(planted, tmp_path, decontaminate=None), copy)
    assert not [
        path
        for path in (copy / "state").iterdir()
        if path.name in ("matches", "asked", "leakage") and any(path.iterdir())
    ]
    assert not list((copy / "state").glob("decontaminate*/part-*"))
