"""What a list takes out, and what comes back because of it."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infinity_mm.explain import explain
from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.store import Store
from tests.running import digest_of

pytestmark = pytest.mark.usefixtures("shared_ray")

QUIET = RunOptions(quiet=True)


def ledger(work: Path) -> dict[str, dict]:
    return {row["id"]: row for path in (work / "ledger").iterdir() for row in pq.read_table(path).to_pylist()}


def image_of(work: Path, identity: str) -> str:
    for path in (work / "records").rglob("*.parquet"):
        for row in pq.read_table(path, columns=["id", "images"]).to_pylist():
            if row["id"] == identity:
                return row["images"][0]["sha256"]
    raise AssertionError(identity)


def test_a_takedown_restores_what_its_rows_had_displaced_as_from_scratch(write_recipe, tmp_path):
    chosen = {"sources": ("llava_cc3m_595k", "infinity_mm"), "limit": None}
    path, work = write_recipe(**chosen), tmp_path / "work"
    run(load_recipe(path), Location.of(work), QUIET)
    before = ledger(work)
    displaced = [row for row in before.values() if row["stage"] == "dedup" and row["detail"]]
    loser = min(displaced, key=lambda row: row["id"])
    pictured = next(row for row in before.values() if row["outcome"] == "kept" and row["source"] == "infinity_mm")
    digest = image_of(work, pictured["id"])
    (tmp_path / "asked.txt").write_text(f"# by mail\n{loser['winner']}\n{digest}\n")
    listed = write_recipe(takedown=["asked.txt"], **chosen)

    manifest = run(load_recipe(listed), Location.of(work), QUIET)
    after = ledger(work)
    assert after[loser["winner"]]["stage"] == "takedown"
    assert after[loser["winner"]]["detail"] == f"id {loser['winner']}"
    assert after[loser["id"]]["winner"] != loser["winner"]
    assert after[pictured["id"]]["detail"] == f"sha256 {digest}"
    assert next(stage for stage in manifest.stages if stage.name == "ingest").made == 0  # nothing is read again
    taken = sum(book.dropped.get("takedown.taken_down", 0) for book in manifest.books.values())
    assert taken == sum(row["stage"] == "takedown" for row in after.values()) >= 2
    life = explain(Store(Location.of(work)), loser["winner"])
    assert "taken_down" in str(life)

    fresh = tmp_path / "fresh"
    run(load_recipe(listed), Location.of(fresh), QUIET)
    assert digest_of(fresh) == digest_of(work)

    run(load_recipe(write_recipe(**chosen)), Location.of(work), QUIET)
    assert ledger(work) == before


def test_a_list_that_changes_is_another_recipe(write_recipe, tmp_path):
    from infinity_mm.recipe import recipe_fingerprint

    (tmp_path / "asked.txt").write_text("http://a/b\n")
    path = write_recipe(takedown=["asked.txt"])
    first = recipe_fingerprint(load_recipe(path))
    (tmp_path / "asked.txt").write_text("# the same\nhttp://a/b\n")
    assert recipe_fingerprint(load_recipe(path)) == first
    (tmp_path / "asked.txt").write_text("http://a/c\n")
    assert recipe_fingerprint(load_recipe(path)) != first


def test_a_source_added_and_removed_again_leaves_what_a_run_from_scratch_would(write_recipe, tmp_path):
    both, one = ("llava_cc3m_595k", "infinity_mm"), ("llava_cc3m_595k",)
    work, fresh = tmp_path / "work", tmp_path / "fresh"
    small = load_recipe(write_recipe(sources=one, limit=None))
    run(small, Location.of(work), QUIET)
    alone = digest_of(work, ("ledger", "exports"))

    large = load_recipe(write_recipe(sources=both, limit=None))
    manifest = run(large, Location.of(work), QUIET)
    made = {stage.name: (stage.cached, stage.made) for stage in manifest.stages}
    assert made["ingest"][0] > 0  # what was there is hashed no more, nor measured
    assert made["ingest"][0] == made["measure"][0]
    run(large, Location.of(fresh), QUIET)
    assert digest_of(work) == digest_of(fresh)
    winners = {row["winner"] for row in ledger(work).values() if row["stage"] == "dedup" and row["winner"]}
    assert winners & set(ledger(work))

    run(small, Location.of(work), QUIET)
    assert digest_of(work, ("ledger", "exports")) == alone
