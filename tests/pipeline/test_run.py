"""The main job over the demo: books, resume, independence of workers and order, rails."""

import pytest

from infinity_mm.demo.check import check
from infinity_mm.errors import StageError
from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from tests.running import SMALL, digest_of

pytestmark = pytest.mark.usefixtures("shared_ray")

ALL = (
    "llava_cc3m_595k", "coco_caption", "vqav2", "llava_mix665k", "docdownstream", "docmatix", "llava_onevision",
    "infinity_mm", "infinity_instruct",
)  # fmt: skip
QUIET = RunOptions(quiet=True)


def run_in(recipe, folder, *overrides, options=QUIET):
    return run(load_recipe(recipe, overrides), Location.of(folder), options)


@pytest.mark.slow
def test_the_books_name_every_planted_fault_and_balance(write_recipe, demo_input, tmp_path):
    recipe = write_recipe(sources=ALL, limit=None, partition_rows=300)
    manifest = run_in(recipe, tmp_path / "work")
    outcome = check(demo_input, tmp_path / "work")
    assert outcome.mismatches == []
    assert outcome.planted == outcome.found
    assert sum(book.rows for book in manifest.books.values()) == 1911
    for book in manifest.books.values():
        assert book.rows == book.kept + sum(book.dropped.values()) + sum(book.quarantined.values())
    assert {export.samples for export in manifest.exports} == {sum(book.kept for book in manifest.books.values())}


def test_running_again_does_no_work_and_changes_nothing(write_recipe, tmp_path):
    recipe, work = write_recipe(), tmp_path / "work"
    first = run_in(recipe, work)
    before = digest_of(work)
    second = run_in(recipe, work)
    assert sum(stage.made for stage in first.stages) > 0
    assert [stage.name for stage in second.stages if stage.made] == []
    assert digest_of(work) == before
    assert second.books == first.books


def test_a_threshold_changes_verdicts_without_reading_a_record_again(write_recipe, tmp_path):
    recipe, work = write_recipe(), tmp_path / "work"
    first = run_in(recipe, work)
    second = run_in(recipe, work, "filters.text.with.min_chars=120", "filters.text.with.max_drop=1.0")
    made = {stage.name: stage.made for stage in second.stages}
    assert made["ingest"] == made["identity"] == made["measure"] == 0
    assert made["screen"] > 0
    dropped = sum(book.dropped.get("text.too_short", 0) for book in second.books.values())
    assert dropped > 0 == sum(book.dropped.get("text.too_short", 0) for book in first.books.values())


@pytest.mark.slow
def test_same_bytes_for_1_2_and_4_workers_and_another_order_of_sources(write_recipe, tmp_path):
    expected = None
    for number, workers in enumerate((1, None, 4)):  # the shared node has two
        sources = SMALL if number % 2 == 0 else SMALL[::-1]
        recipe = write_recipe(name="small", sources=sources)
        run_in(recipe, tmp_path / f"w{workers}", options=RunOptions(workers=workers, quiet=True))
        found = digest_of(tmp_path / f"w{workers}")
        assert expected is None or found == expected
        expected = found


def test_limits_and_rates_of_the_mixture_are_kept_exactly(write_recipe, tmp_path):
    mixture = {"limits": {"vqav2": 7}, "rates": {"infinity_instruct": 0.5}}
    books = run_in(write_recipe(mixture=mixture), tmp_path / "work").books
    assert books["vqav2"].kept == 7
    assert books["vqav2"].dropped["mixture.not_sampled"] == 53
    assert 15 <= books["infinity_instruct"].kept <= 45
    assert "mixture.not_sampled" not in books["docdownstream"].dropped


def test_a_rail_stops_the_run_and_names_the_key(write_recipe, tmp_path):
    recipe = write_recipe()
    with pytest.raises(StageError, match=r"filters\.image\.with\.max_drop=0\.1"):
        run_in(recipe, tmp_path / "work", "filters.image.with.min_side=5000", "filters.image.with.max_drop=0.1")
    with pytest.raises(StageError, match=r"sources\.docdownstream\.max_quarantined"):
        run_in(recipe, tmp_path / "w2", "sources.docdownstream.max_quarantined=0.0", "sources.docdownstream.limit=198")
