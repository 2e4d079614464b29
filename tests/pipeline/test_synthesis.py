"""The main job with synthesis under a real engine, and the life of a row of each outcome."""

import json

import pyarrow.parquet as pq
import pytest

from infinity_mm.errors import UsageError
from infinity_mm.explain import explain
from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.store import Store
from infinity_mm.synth.provenance import Provenance
from tests.running import digest_of

SYNTH = {
    "images": 8,
    "per_image": 2,
    "min_tag_confidence": 1,
    "min_score": 2,
    "judge_probe": {"rows": 4},
    "rules": {"language": None},  # random letters are of any language
    "draws": {step: {"temperature": 1.0} for step in ("tag", "classify", "generate", "judge")},
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("shared_ray")
def test_synthetic_rows_are_accounted_for_and_explained(write_recipe, tmp_path):
    """Under transformers; `tests/pipeline/test_two_families.py` is the like under vLLM."""
    pytest.importorskip("torch", reason="no model engine is installed")
    synth = SYNTH | {"model": {"name": "random", "engine": "transformers"}}
    recipe = load_recipe(write_recipe(sources=("llava_mix665k", "infinity_instruct"), limit=None, synth=synth))
    work = Location.of(tmp_path / "work")
    manifest = run(recipe, work, RunOptions(quiet=True))
    books = manifest.books["synthetic"]
    assert books.rows == 16 == books.kept + sum(books.dropped.values()) + sum(books.quarantined.values())
    assert books.kept > 0, books
    assert manifest.synthesis.engine == "transformers"
    assert manifest.synthesis.random_weights
    assert manifest.synthesis.self_judged
    _check_yields(manifest.synthesis, books)
    _check_judge(manifest.synthesis.judge, tmp_path / "work")
    before = digest_of(tmp_path / "work")
    again = run(recipe, work, RunOptions(quiet=True))
    assert [stage.name for stage in again.stages if stage.made] == []
    assert digest_of(tmp_path / "work") == before
    for part in (tmp_path / "work/attributes/synth").rglob("part-*"):
        part.unlink()
    last = run(recipe, work, RunOptions(quiet=True))
    assert sum(step.calls for step in last.synthesis.calls.values()) == 0, "every answer is in the cache"
    assert digest_of(tmp_path / "work") == before
    _check_lives(Store(work))
    _check_exports(tmp_path / "work")


def _check_yields(synthesis, books):
    typed = synthesis.yields["synth.classify"]["out"]
    assert sum(row.kept for row in synthesis.types.values()) == books.kept
    assert sum(row.steps["synth.generate"].came for row in synthesis.types.values()) == typed
    written = sum(row.steps["synth.filter"].came for row in synthesis.types.values())
    assert written == synthesis.yields["synth.filter"]["in"]


def _check_judge(judge, work):
    """Random weights cannot judge, and the report says so."""
    assert judge.rows > 0
    assert judge.altered >= judge.rows
    assert judge.chance
    assert "cannot be told from chance" in judge.warnings[0]
    assert judge.overall("as_written").asked == judge.rows
    html = (work / "report/index.html").read_text()
    assert "Quality of the judge" in html
    assert "swapped_image" in html
    assert "Yields by instruction type" in html


def _check_lives(store):
    ledger = [row for name in store.at("ledger").files() for row in store.read(f"ledger/{name}").to_pylist()]

    def one(**want):
        return next(row for row in ledger if all(row[key] == value for key, value in want.items()))

    synthetic = explain(store, one(source="synthetic", outcome="kept")["id"])
    origin = Provenance.model_validate_json(synthetic.record["extra"])
    assert origin.parent == synthetic.record["parent"]
    assert set(origin.calls) == {"tag", "classify", "generate", "judge"}
    for call in origin.calls.values():
        assert call.engine.model == "random"
        assert call.engine.revision
        assert call.prompt_sha256
        assert call.sampling.temperature == 1.0
    assert {place.export for place in synthetic.places} == {"wds", "pq"}
    parent = explain(store, origin.parent)
    assert synthetic.ledger["id"] in parent.children
    kept = explain(store, one(source="llava_mix665k", outcome="kept")["id"][:12])
    assert {"ingest", "structure", "text", "language", "signature", "screen", "dedup"} <= set(kept.attributes)
    assert len(kept.places) == 2
    duplicate = explain(store, one(stage="dedup")["id"])
    assert duplicate.winner["outcome"] == "kept"
    assert duplicate.places == []
    dropped = explain(store, one(reason="empty_turn")["id"])
    assert dropped.ledger["detail"].startswith("turn=")
    lost = explain(store, one(outcome="quarantined", reason="malformed_json")["id"])
    assert lost.record is None
    assert lost.raw
    with pytest.raises(UsageError, match="no row"):
        explain(store, "ffffffffffff")
    with pytest.raises(UsageError, match="too short"):
        explain(store, "ab")


def _check_exports(work):
    """A synthetic row is exported with its parent's picture."""
    table = [row for path in (work / "exports/pq/data").iterdir() for row in pq.read_table(path).to_pylist()]
    by_id = {row["id"]: row for row in table}
    made = [row for row in table if row["source"] == "synthetic"]
    assert made
    for row in made:
        assert row["images"][0]["bytes"] == by_id[row["parent"]]["images"][0]["bytes"]
        assert json.loads(row["extra"])["score"] >= 2
