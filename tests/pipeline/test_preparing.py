"""Licence policies in a run: sources refused whole before work, rows judged one by one where they differ."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.licenses import LicensePolicy
from infinity_mm.pipeline.ingest import ingest_split, make_tasks
from infinity_mm.pipeline.planning import make_task, plan_source, read_plan
from infinity_mm.pipeline.preparing import prepare, refuse_sources
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.pipeline.screening import IdentityTask, ScreenTask, find_repeats, refuse_licenses, screen_part
from infinity_mm.recipe import Recipe, SourceUse, load_recipe
from infinity_mm.sources.catalogue import load
from infinity_mm.store import Store

pytestmark = pytest.mark.usefixtures("shared_ray")


def recipe(*names: str, licenses: str) -> Recipe:
    uses = tuple(SourceUse(name=name, root="file:///nowhere") for name in names)
    return Recipe(name="r", sources=uses, licenses=LicensePolicy.model_validate(licenses))


def test_sources_are_refused_whole_with_the_words_that_would_allow_them():
    refused = refuse_sources(recipe("llavar", "gqa", "lvis_instruct4v", "laion_2b_en", licenses="commercial"))
    assert set(refused) == {"llavar", "lvis_instruct4v"}
    assert refused["llavar"].startswith("CC-BY-NC-4.0 is not commercial")
    assert "add +unknown to the policy" in refused["lvis_instruct4v"]
    assert refuse_sources(recipe("lvis_instruct4v", "pmd", licenses="commercial,+unknown")) == {}


def test_a_policy_that_leaves_nothing_ends_before_work(tmp_path):
    with pytest.raises(SourceError, match=r"'permissive' leaves no source:\nllavar: CC-BY-NC-4\.0 is not permissive"):
        prepare(recipe("llavar", licenses="permissive"), Location.of(tmp_path / "work"))
    assert not (tmp_path / "work").exists()


def test_a_refusal_comes_before_other_verdicts():
    rows = [
        {"id": "a", "outcome": None, "stage": None, "reason": None, "detail": None},
        {"id": "b", "outcome": "dropped", "stage": "text", "reason": "too_short", "detail": "x"},
        {"id": "c", "outcome": "dropped", "stage": "text", "reason": "too_short", "detail": "x"},
    ]
    refuse_licenses(rows, ["MIT", "MIT", "CC-BY-NC-4.0"], LicensePolicy(policy="commercial"))
    assert [row["reason"] for row in rows] == [None, "too_short", "license_refused"]
    assert rows[2]["detail"] == "CC-BY-NC-4.0 is not commercial (policy commercial)"
    assert rows[2]["stage"] == "license"


def test_rows_with_licences_of_their_own_are_judged_one_by_one(tmp_path):
    picture = io.BytesIO()
    Image.effect_noise((64, 64), 80).save(picture, "PNG")
    given = ["https://creativecommons.org/licenses/by/2.0/", "https://creativecommons.org/licenses/by-nc/2.0/", "?"]
    image = {"bytes": picture.getvalue(), "path": None}
    rows = [{"id": str(n), "text": f"a caption {n}", "image": image, "license": text} for n, text in enumerate(given)]
    (tmp_path / "root").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "root/train.parquet")
    store, use = Store(Location.of(tmp_path / "work")), SourceUse(name="pmd", root=Location.of(tmp_path / "root").uri)
    planned = make_task(store, use, 100)
    plan_source(planned)
    (task,) = make_tasks(store.work, use, load("pmd"), read_plan(store, planned.output))
    ingest_split(task)
    identity = "attributes/identity/pmd/x.parquet"
    find_repeats(IdentityTask(store.work.uri, (task.part,), True, (identity,)))
    attributes = (("ingest", task.part.ingest),)
    beside = ("attributes/screen/pmd/x.parquet", "attributes/screen/pmd/x.json")
    screen_part(ScreenTask(store.work.uri, identity, attributes, (), *beside, task.part.records, "commercial"))
    licenses = store.read(task.part.records, ["license"]).column("license").to_pylist()
    reasons = store.read(beside[0]).column("reason").to_pylist()
    assert dict(zip(licenses, reasons, strict=True)) == {
        "CC-BY-2.0": None,
        "CC-BY-NC-2.0": "license_refused",
        "other: union of the subset licences": "license_refused",
    }


@pytest.mark.slow
def test_a_run_says_which_sources_it_left_out(write_recipe, tmp_path):
    path = write_recipe(sources=("infinity_instruct", "docdownstream"), limit=20, licenses="permissive", export=[])
    manifest = run(load_recipe(path), Location.of(tmp_path / "work"), RunOptions(quiet=True))
    assert list(manifest.books) == ["docdownstream"]
    assert manifest.refused["infinity_instruct"].startswith("CC-BY-SA-4.0 is not permissive")
    assert json.loads((tmp_path / "work/manifest.json").read_text())["refused"] == manifest.refused
