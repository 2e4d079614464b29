"""The model that compares answers is measured in the main job, once, and the report says so."""

import pytest

from infinity_mm.cli.tables import summary_lines
from infinity_mm.fs import Location
from infinity_mm.manifest import Manifest
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from tests.embedder import build_embedder
from tests.running import digest_of

pytest.importorskip("openai")
pytestmark = pytest.mark.usefixtures("no_ray")

QUIET = RunOptions(quiet=True)
CHECKS = {"agreement": "mark", "semantic": {"by": "model"}}


@pytest.fixture
def write(write_served):
    """Return a function that writes a recipe whose answers are compared by its model, and returns it loaded."""

    def write(**synth):
        keys = {"limit": 40, "images": 8, "per_image": 3, "min_score": 1, "checks": CHECKS, "judge_probe": {"rows": 6}}
        return load_recipe(write_served(**(keys | synth)))

    return write


def test_it_is_measured_once_and_the_report_says_so(write, served, tmp_path):
    work = tmp_path / "w"
    first = run(write(), Location.of(work), QUIET)
    taken, report = served.taken(), first.synthesis.comparer
    plain = run(write(judge_probe={"rows": 0}), Location.of(tmp_path / "unmeasured"), QUIET)
    assert plain.synthesis.comparer is None
    assert taken["same"] - served.taken()["same"] == report.calls > 0
    assert (report.model, report.by, report.identity) == ("m", "model", first.synthesis.models["writer"])
    assert 0 < report.rows <= 6
    assert report.reworded + report.altered == sum(
        one.pairs for one in report.rates if one.kind in ("reworded", "altered") and one.format == "all"
    )
    asked = sum(report.overall(kind).same.of for kind in ("reworded", "altered"))
    assert asked == report.calls + report.cached
    assert report.chance, "it draws lots"
    assert first.synthesis.yields == plain.synthesis.yields, "what is measured is in no other count"
    assert first.books["synthetic"] == plain.books["synthetic"]
    page = (work / "report/index.html").read_text()
    assert all(words in page for words in ("Quality of the comparison of answers", "in_a_sentence", "led_in"))
    assert any(line.startswith("comparison by m: the same are ") for line in summary_lines(first, Location.of(work)))
    assert Manifest.model_validate_json((work / "manifest.json").read_bytes()).synthesis.comparer == report
    before = digest_of(work)
    again = run(write(), Location.of(work), QUIET)
    assert (served.taken(), [stage.name for stage in again.stages if stage.made]) == ({}, [])
    assert digest_of(work) == before
    for path in (work / "state/synth/comparer").iterdir():
        path.unlink()
    last = run(write(), Location.of(work), QUIET).synthesis.comparer
    assert served.taken() == {}, "every comparison is in the cache"
    assert (last.calls, last.cached, last.rates) == (0, report.calls + report.cached, report.rates)


@pytest.mark.parametrize("checks", [{"agreement": "mark"}, {"relevance": "mark", "semantic": {"by": "model"}}])
def test_where_no_model_compares_none_is_measured(write, served, tmp_path, checks):
    assert run(write(checks=checks), Location.of(tmp_path / "w"), QUIET).synthesis.comparer is None
    assert "same" not in served.taken()
    assert not (tmp_path / "w/state/synth/comparer").exists()


def test_an_embedding_model_is_measured_as_well(write, tmp_path):
    pytest.importorskip("transformers", reason="no model engine is installed")
    name = str(build_embedder(tmp_path / "embedder", positions=512))
    semantic = {"by": "embedding", "embedding": {"name": name}}
    made = run(write(checks={"agreement": "mark", "semantic": semantic}), Location.of(tmp_path / "w"), QUIET).synthesis
    assert (made.comparer.model, made.comparer.by) == (name, "embedding")
    assert made.comparer.identity == made.models["comparer"]
    assert made.comparer.overall("reworded").same.of > 0
