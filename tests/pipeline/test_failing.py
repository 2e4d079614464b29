"""What failed is asked again on request, and only that; too much of it stops the run."""

import zlib

import pyarrow.parquet as pq
import pytest

from infinity_mm.errors import StageError
from infinity_mm.fs import Location
from infinity_mm.pipeline.estimate import estimate
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.pipeline.synthesis import Subset
from infinity_mm.recipe import load_recipe

pytest.importorskip("openai")
pytestmark = pytest.mark.usefixtures("no_ray")

QUIET = RunOptions(quiet=True)
RETRY = Subset(failed_again=True)


@pytest.fixture
def write(write_served):
    """Return a function that writes a small recipe whose model is `served`, and returns it loaded."""

    def write(**synth):
        keys = {"images": 12, "per_image": 2, "partition_images": 4, "max_retries": 0} | synth
        return load_recipe(write_served(limit=60, **keys))

    return write


def some(*steps):
    """Refuse about a third of the requests of these steps."""

    def refuse(step, body):
        return 400 if step in steps and zlib.crc32(str(body["messages"]).encode()) % 3 == 0 else 0

    return refuse


def rows_of(work):
    """Return the rows that the run ends with: partitions that were begun again have other names."""
    folders = ("ledger", "records/synthetic", "exports/pq")
    return {
        folder: sorted(str(row) for path in sorted((work / folder).rglob("*.parquet")) for row in read(path))
        for folder in folders
    }


def read(path):
    return pq.ParquetFile(path).read().to_pylist()


@pytest.mark.parametrize(
    ("steps", "changes"),
    [
        (("tag",), {}),
        (("classify", "judge"), {}),
        (("tag", "generate"), {"offer": {"mapping": "package", "max_share": 0.5}}),
    ],
)
def test_what_failed_is_asked_again_and_it_ends_as_if_it_never_had(write, served, tmp_path, steps, changes):
    recipe = write(**changes)
    run(recipe, Location.of(tmp_path / "sound"), QUIET)
    sound = served.taken()
    served.refuse = some(*steps)
    hurt = run(recipe, Location.of(tmp_path / "w"), QUIET)
    assert 0 < sum(hurt.books["synthetic"].quarantined.values()) <= 12
    before = served.taken()
    served.refuse = lambda step, body: 0
    assert run(recipe, Location.of(tmp_path / "w"), QUIET).books == hurt.books
    assert served.taken() == {}, "nobody asked for it"
    run(recipe, Location.of(tmp_path / "w"), QUIET, subset=RETRY)
    again = served.taken()
    assert sum(again.values()) < sum(sound.values())
    assert again[steps[0]] + before[steps[0]] >= sound[steps[0]]
    assert rows_of(tmp_path / "w") == rows_of(tmp_path / "sound")
    run(recipe, Location.of(tmp_path / "w"), QUIET, subset=RETRY)
    assert served.taken() == {}, "nothing has failed"
    run(recipe, Location.of(tmp_path / "w"), QUIET)
    assert served.taken() == {}, "the new names hold"
    assert rows_of(tmp_path / "w") == rows_of(tmp_path / "sound")


@pytest.mark.parametrize("changes", [{}, {"offer": {"mapping": "package", "max_share": 0.5}}])
def test_an_estimate_counts_what_would_be_asked_again_and_begins_nothing(write, served, tmp_path, changes):
    recipe, work = write(max_quarantined=1.0, **changes), Location.of(tmp_path / "w")
    served.refuse = some("generate", "judge")
    hurt = run(recipe, work, QUIET)
    lost = sum(hurt.books["synthetic"].quarantined.values())
    before = served.taken()
    served.refuse = lambda step, body: 0
    nothing = estimate(recipe, work, QUIET, Subset())
    assert (nothing.pictures, served.taken()) == (0, {}), "every picture has its rows"
    left = estimate(recipe, work, QUIET, RETRY)
    assert (left.new, left.piloted) == (0, left.pictures)
    assert 0 < left.again == left.pictures <= lost
    assert f"left: {left.again} pictures, 0 of them new to the cache, {left.again} with attempts that failed" in next(
        left.lines()
    )
    asked = served.taken()
    assert {step: cost.calls for step, cost in left.steps.items() if cost.calls} == asked
    assert sum(asked.values()) < sum(before.values()) / 2
    assert run(recipe, work, QUIET).books == hurt.books, "the estimate began nothing again"
    run(recipe, work, QUIET, subset=RETRY)
    assert served.taken() == {}, "the pilot's words are in the cache"
    run(recipe, Location.of(tmp_path / "sound"), QUIET)
    assert rows_of(tmp_path / "w") == rows_of(tmp_path / "sound")


def test_without_a_cache_the_whole_partition_would_be_asked_again(write, served, tmp_path):
    work = Location.of(tmp_path / "w")
    recipe = write(cache=False, partition_images=3, max_quarantined=1.0)
    served.refuse = lambda step, body: (
        400 if step == "tag" and zlib.crc32(str(body["messages"]).encode()) % 6 == 0 else 0
    )
    lost = sum(run(recipe, work, QUIET).books["synthetic"].quarantined.values())
    served.refuse = lambda step, body: 0
    left = estimate(recipe, work, QUIET, RETRY)
    assert 0 < lost / 2 < left.again < 12
    assert left.again % 3 == 0
    assert left.steps["tag"].calls == left.again


def test_a_hopeless_model_stops_the_run_before_it_has_asked_everything(write, served, tmp_path):
    served.refuse = lambda step, body: 400
    work = Location.of(tmp_path / "w")
    message = (
        r"synthesis: 16 of 24 attempts are in quarantine \(synth.tag.request_refused 16\), the last with: refused: HTTP 400.*"
        r"synth.max_quarantined=0.5. .*`infinity-mm synth RECIPE --work DIR --retry`"
    )
    with pytest.raises(StageError, match=message):
        run(write(), work, QUIET)
    assert served.taken() == {"tag": 8}, "the third partition was not begun"
    with pytest.raises(StageError, match="16 of 24"):
        run(write(), work, QUIET)
    assert served.taken() == {}
    for _ in range(2):
        with pytest.raises(StageError, match="16 of 24"):
            run(write(), work, QUIET, subset=RETRY)
        assert served.taken()["tag"] == 8, "as often as somebody asks for it"
    served.refuse = lambda step, body: 0
    assert run(write(), work, QUIET, subset=RETRY).books["synthetic"].quarantined == {}
    run(write(), Location.of(tmp_path / "sound"), QUIET)
    assert rows_of(tmp_path / "w") == rows_of(tmp_path / "sound")


def test_a_budget_can_be_raised(write, served, tmp_path):
    served.refuse = lambda step, body: 400
    books = run(write(max_quarantined=1.0), Location.of(tmp_path / "w"), QUIET).books
    assert sum(books["synthetic"].quarantined.values()) == 24
