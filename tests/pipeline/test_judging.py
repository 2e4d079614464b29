"""Judge and writer as two models, checks, merged turns and the judge's measurement, in the main job."""

import json
from functools import partial

import pytest

from infinity_mm.fs import Location
from infinity_mm.pipeline import synthesis
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.store import Store
from tests.embedder import build_embedder
from tests.running import digest_of

pytest.importorskip("openai")

QUIET = RunOptions(quiet=True)


@pytest.fixture
def write(write_served, served):
    """Return a function that writes a recipe with one source and a judge of its own, and returns its path."""
    return partial(
        write_served,
        limit=40,
        images=8,
        per_image=3,
        merge_turns=True,
        judge=served.spec(name="m", revision="judge"),
        checks={"relevance": "drop", "blind": "mark", "agreement": "mark"},
        min_score=5,
        judge_probe={"rows": 5},
        seeds="package",
    )


@pytest.fixture(params=["plainly", "by meaning"])
def checks(request, tmp_path):
    """Checks of which the answers are compared as text and numbers, and besides by a model of its own.

    The former on a Ray node; the latter without, since each of its workers would import torch.
    """
    request.getfixturevalue("shared_ray" if request.param == "plainly" else "no_ray")
    found = {"relevance": "drop", "blind": "mark", "agreement": "mark"}
    if request.param == "by meaning":
        pytest.importorskip("transformers")
        name = str(build_embedder(tmp_path / "embedder", positions=512))
        found["semantic"] = {"by": "embedding", "embedding": {"name": name}}
    return found


def test_two_models_one_after_the_other_give_what_they_give_side_by_side(write, served, tmp_path, monkeypatch, checks):
    recipe = load_recipe(write(checks=checks))
    together = run(recipe, Location.of(tmp_path / "together"), QUIET)
    taken = served.taken()
    monkeypatch.setattr(synthesis, "apart", lambda params: True)
    apart = run(recipe, Location.of(tmp_path / "apart"), QUIET)
    assert served.taken() == taken
    assert digest_of(tmp_path / "together") == digest_of(tmp_path / "apart")
    assert apart.synthesis.calls == together.synthesis.calls
    assert [stage.name for stage in apart.stages if stage.made and stage.name.startswith(("synth", "judge"))] == [
        "synth-write", "synth", "judge-probe",
    ]  # fmt: skip
    again = run(recipe, Location.of(tmp_path / "apart"), QUIET)
    assert [stage.name for stage in again.stages if stage.made] == []
    assert served.taken() == {}
    _check_report(apart, tmp_path / "apart")
    _check_conversations(apart, Store(Location.of(tmp_path / "apart")), "semantic" in checks)
    _check_comparisons(apart, checks.get("semantic"))


def _check_comparisons(manifest, semantic):
    """The report says by what answers were compared, and by whom."""
    found, made = manifest.synthesis.comparisons, manifest.synthesis
    by_meaning = {kind for kinds in found.values() for kind in kinds if kind.startswith("semantic_")}
    assert ("comparer" in made.models) == (semantic is not None)
    assert by_meaning == (set() if semantic is None else {"semantic_same", "semantic_other"})
    for check, steps in (("blind", ("blind", "blind_again")), ("agreement", ("answer", "answer_again"))):
        asked = sum(made.calls[name].answers + made.calls[name].cached for name in steps)
        assert sum(found[check].values()) == asked


def _check_report(manifest, work):
    made = manifest.synthesis
    assert not made.self_judged
    assert made.calls["relevance"].calls > 0
    assert made.judge.rows == 5
    assert made.judge.calls + made.judge.cached == made.judge.altered
    kept = sum(one.kept for one in made.types.values())
    assert made.yields["synth.filter"]["out"] == kept

    html = (work / "report/index.html").read_text()
    for text in (
        "Questions by instruction type",
        "Quality of the judge",
        "without the picture",
        "Answers compared with",
        "data:image/jpeg",
    ):
        assert text in html


def _check_conversations(manifest, store, sentences):
    """Every kept question is a turn of exactly one record, and the books say so."""
    books = manifest.books["synthetic"]
    (path,) = (f"records/synthetic/{name}" for name in store.at("records/synthetic").files())
    records = store.read(path).to_pylist()
    assert books.kept == len(records)
    turns = sum(len(record["messages"]) // 2 for record in records)
    assert turns == manifest.synthesis.yields["synth.filter"]["out"] > len(records)
    assert books.dropped["synth.merge.joined_conversation"] == turns - len(records)
    (attempts,) = store.at("attributes/synth/synthetic").files()
    rows = store.read(f"attributes/synth/synthetic/{attempts}").to_pylist()
    assert len(rows) == 24
    for row in rows:
        if row["outcome"] is None or row["winner"]:
            assert row["score"] >= 5
            assert row["relevant"] is True
            compared = row["answer_format"] in ("word_or_phrase", "multiple_choice") or (
                sentences and row["answer_format"] == "brief"
            )
            assert (row["blind_correct"] is not None) == (row["agreement"] is not None) == compared
            assert (row["blind_by"] is not None) == (row["agreement_by"] is not None) == compared
            assert not compared or len(row["agreement_by"]) == len(row["agreement_similarity"]) == 2
    origin = json.loads(records[0]["extra"])
    assert origin["self_judged"] is False
    assert len(origin["further_turns"]) == len(records[0]["messages"]) // 2 - 1
