"""The recipe that ships, with its two model lines changed: a writer and a judge of two families under vLLM.

The checkpoints are of the real architectures and of random weights, so words and scores are noise. Everything around
them is not: which engine was asked what, where every attempt ended and why, and that nothing is asked twice.
"""

import importlib.util
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from infinity_mm.cli.main import main
from infinity_mm.fs import Location
from infinity_mm.manifest import Manifest
from infinity_mm.store import Store
from infinity_mm.synth import rules, step1_tag, step2_classify, step3_generate, step4_filter
from infinity_mm.synth.engines import torch_cpu
from infinity_mm.synth.engines.checkpoint import folder_revision
from infinity_mm.synth.engines.select import vllm_is_cpu_build
from infinity_mm.synth.outcomes import STAGES
from infinity_mm.synth.provenance import Provenance
from tests.running import digest_of
from tests.synth.models import tiny

RECIPE = Path(__file__).parents[2] / "pipelines/synthetic.yaml"
IMAGES, EACH = 5, 3
#: Random letters are of no language, say nothing, and answer no question; some shall come to the judge all the same.
LENIENT = (
    "synth.min_tag_confidence=1",
    "synth.min_score=5",
    "synth.judge_probe.rows=4",
    "synth.checks.relevance=mark",
    "synth.rules={language: null, min_question_chars: 1, min_brief_chars: 1, min_detailed_chars: 1, max_run: 400, "
    "max_phrase_words: 99, max_repeated_words: 1.0, leak_words: 50}",
    "synth.draws={classify: {temperature: 1.0}, generate: {temperature: 1.0}}",
)
REASONS = {
    "synth.tag": step1_tag.REASONS,
    "synth.classify": step2_classify.REASONS,
    "synth.generate": step3_generate.REASONS,
    "synth.filter": (*rules.REASONS, *step4_filter.REASONS),
    "synth.merge": ("joined_conversation",),
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("shared_ray")]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return the folders of a Qwen2.5-VL and of an Idefics3."""
    if absent := [name for name in ("vllm", "torchvision") if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{', '.join(absent)} not installed")
    if not vllm_is_cpu_build():
        pytest.skip("vLLM is installed for GPUs")
    torch_cpu.prepare()
    base = tmp_path_factory.mktemp("models")
    return tiny.qwen2_5_vl(_made(base / "writer")), tiny.idefics3(_made(base / "judge"))


def _made(folder):
    folder.mkdir()
    return folder


def test_a_writer_and_a_judge_of_two_families(models, demo_input, tmp_path, capsys):
    writer, judge = models
    work = tmp_path / "work"
    keys = (
        f"synth.model={{name: {writer}}}",
        f"synth.judge={{name: {judge}}}",
        f"sources.mathv360k.root={demo_input / 'mathv360k'}",
        f"synth.images={IMAGES}",
        *LENIENT,
    )
    command = ["run", str(RECIPE), "--work", str(work), *(part for key in keys for part in ("--set", key))]
    _run(command)
    manifest = Manifest.model_validate_json((work / "manifest.json").read_text())
    _check_books(manifest, Store(Location.of(work)))
    _check_models(manifest.synthesis, writer, judge)
    _check_rows(Store(Location.of(work)), writer, judge, manifest.books["synthetic"].kept)
    before = digest_of(work)
    capsys.readouterr()
    _run([*command, "--json"])
    again = json.loads(capsys.readouterr().out)
    assert [stage["name"] for stage in again["stages"] if stage["made"]] == []
    for folder in ("attributes/synth", "state/synth"):
        shutil.rmtree(work / folder)
    _run(command)
    calls = Manifest.model_validate_json((work / "manifest.json").read_text()).synthesis.calls
    assert {step: cost.calls for step, cost in calls.items() if cost.calls} == {}, "every answer is in the cache"
    first = manifest.synthesis.calls
    assert {step: cost.cached for step, cost in calls.items()} == {
        step: cost.answers + cost.cached for step, cost in first.items()
    }
    assert digest_of(work) == before


def _run(command):
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 0


def _check_books(manifest, store):
    """Every attempt ended once, for a reason that its step declares, and what one step lets through the next sees."""
    books, flows = manifest.books["synthetic"], manifest.synthesis.yields
    assert books.rows == IMAGES * EACH == books.kept + sum(books.dropped.values()) + sum(books.quarantined.values())
    ledger = [row for name in store.at("ledger").files() for row in store.read(f"ledger/{name}").to_pylist()]
    ended = [row for row in ledger if row["source"] == "synthetic" and row["outcome"] != "kept"]
    for row in ended:
        assert row["reason"] in REASONS[row["stage"]], row
        assert row["detail"], row
    by_stage = Counter(row["stage"] for row in ended)
    came = IMAGES * EACH
    for stage, _ in STAGES:
        assert flows[stage]["in"] == came
        came -= by_stage[stage]
        assert flows[stage]["out"] == came
    assert books.kept + by_stage["synth.merge"] == came, "joined ones were let through"
    assert manifest.synthesis.calls["judge"].calls > 0, by_stage


def _check_models(synthesis, writer, judge):
    assert (synthesis.engine, synthesis.model, synthesis.revision) == ("vllm", str(writer), folder_revision(writer))
    assert not synthesis.self_judged
    assert not synthesis.random_weights, "said of the package's own random model alone"
    assert folder_revision(writer) in synthesis.models["writer"]
    assert '"longest_edge":1073296' in synthesis.models["writer"], "1024 x 1024 pixels in whole patches"
    assert folder_revision(judge) in synthesis.models["judge"]
    assert synthesis.calls["tag"].calls == IMAGES


def _check_rows(store, writer, judge, kept):
    """Kept rows tell which model answered which call."""
    files = store.at("records/synthetic").files()
    rows = [row for name in files for row in store.read(f"records/synthetic/{name}").to_pylist()]
    found = [Provenance.model_validate_json(row["extra"]) for row in rows]
    assert len(found) == kept
    for origin in found:
        names = {step: call.engine.model for step, call in origin.calls.items()}
        assert names == {step: str(judge if step == "judge" else writer) for step in names}
        assert {"tag", "classify", "generate", "judge"} <= names.keys()
