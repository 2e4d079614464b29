"""The generation cache in the main job and `infinity-mm synth`: what is asked again, and that the bytes are the same."""

import json
import shutil
from functools import partial

import pytest

from infinity_mm.cli.main import main
from infinity_mm.explain import explain
from infinity_mm.fs import Location
from infinity_mm.pipeline.generated import calls_of
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.store import Store
from infinity_mm.synth.prompts import load_prompt
from infinity_mm.synth.taxonomy import Taxonomy
from tests.running import digest_of

pytest.importorskip("openai")
pytestmark = pytest.mark.usefixtures("no_ray")

QUIET = RunOptions(quiet=True)
#: Exports are left to `run`.
CURATED = ("records", "ledger", "quarantine")


@pytest.fixture
def write(write_served):
    """Return a function that writes a small recipe whose model is `served`, and returns its path."""
    return partial(write_served, images=20, per_image=2)


def forget(work):
    """Delete the partitions of the synthesis, and what was counted of them."""
    for folder in ("records/synthetic", "attributes/synth", "state/synth/calls"):
        shutil.rmtree(work / folder)


def command(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    return ended.value.code


def test_a_partition_made_again_takes_its_words_from_the_cache(write, served, tmp_path):
    work, recipe = tmp_path / "w", load_recipe(write(cache="shared"))
    first = run(recipe, Location.of(work), QUIET)
    before, taken = digest_of(work), served.taken()
    assert (taken["tag"], taken["classify"]) == (20, 40)
    assert first.books["synthetic"].kept > 0
    calls = first.synthesis.calls
    assert {step: one.calls for step, one in calls.items()} == taken
    assert sum(one.prompt_tokens for one in calls.values()) == 100 * sum(taken.values())
    assert sum(one.cached for one in calls.values()) == 0
    _check_origins(work, cached=False)
    served.voice = 1
    forget(work)
    again = run(recipe, Location.of(work), QUIET)
    assert served.taken() == {}
    assert digest_of(work) == before
    assert {step: one.cached for step, one in again.synthesis.calls.items()} == taken
    assert sum(one.calls for one in again.synthesis.calls.values()) == 0
    assert again.synthesis.yields == first.synthesis.yields
    _check_origins(work, cached=True)
    run(recipe, Location.of(tmp_path / "other"), QUIET)
    assert served.taken() == {}, "another folder with the same cache"
    assert digest_of(tmp_path / "other") == before
    assert [(tmp_path / name).exists() for name in ("shared", "w/cache", "other/cache")] == [True, False, False]
    served.refuse = lambda step, body: 400 if step == "judge" and body["seed"] % 2 else 0
    third = run(load_recipe(write(draws={"judge": {"temperature": 0.3}}, cache="shared")), Location.of(work), QUIET)
    assert served.taken() == {"judge": taken["judge"]}
    lost = third.synthesis.yields["synth.filter"]["quarantined"]
    assert lost > 0
    served.refuse = lambda step, body: 0
    forget(work)
    run(load_recipe(write(draws={"judge": {"temperature": 0.3}}, cache="shared")), Location.of(work), QUIET)
    assert served.taken() == {"judge": lost}, "failures are not kept"


def _check_origins(work, cached):
    """The run folder knows of every row which answers came from the cache."""
    store = Store(Location.of(work))
    name = store.at("records/synthetic").files()[0]
    row = store.read(f"records/synthetic/{name}", ["id", "extra"]).to_pylist()[0]
    made = calls_of(store, row["id"])
    origin = json.loads(row["extra"])["calls"]
    assert {one["step"] for one in made} >= {"classify", "generate", "judge"}
    assert all(one["generation"] == origin[one["step"]]["generation"] for one in made)
    assert {one["cached"] for one in made} == {cached}
    assert explain(store, row["id"]).calls == made
    page = (work / "report/index.html").read_text()
    assert all(words in page for words in ("Calls and cache", "from the cache", "generate.v1"))


def test_synth_of_a_subset_and_then_run_is_run(write, served, tmp_path, capsys):
    path, work = write(), tmp_path / "w"
    run(load_recipe(path, ["synth.cache=false"]), Location.of(tmp_path / "whole"), QUIET)
    assert not (tmp_path / "whole/cache").exists()
    whole = served.taken()
    types = Taxonomy.load()
    written = _rows(tmp_path / "whole", "attributes/synth/synthetic", ["instruction_type"])
    level1 = next(types.path(types.canonical(row["instruction_type"]))[0] for row in written)
    wanted = {leaf.name for leaf in types.select([level1])}
    mine = sum(row["instruction_type"] in wanted for row in written)
    assert command("synth", path, "--work", work, "--only", level1, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert served.taken()["generate"] == mine < whole["generate"]
    assert found["synthesis"]["only"] == sorted(wanted)
    assert found["books"]["rows"] == 40 == found["books"]["kept"] + sum(found["books"]["dropped"].values())
    assert found["books"]["dropped"]["synth.classify.type_not_asked_for"] == 40 - mine
    assert not (work / "exports").exists()
    run(load_recipe(path), Location.of(work), QUIET)
    assert served.taken()["generate"] == whole["generate"] - mine
    assert digest_of(work) == digest_of(tmp_path / "whole")
    assert command("synth", path, "--work", work) == 0
    assert served.taken() == {}
    text = capsys.readouterr().out
    leaf = written[0]["instruction_type"]
    assert all(words in text for words in ("yields by instruction type", "from cache", "40 attempts", leaf))
    assert digest_of(work) == digest_of(tmp_path / "whole")


def _rows(work, folder, columns):
    store = Store(Location.of(work))
    return [row for name in store.at(folder).files() for row in store.read(f"{folder}/{name}", columns).to_pylist()]


def test_changed_touches_what_a_prompt_touches_and_says_so_first(write, served, tmp_path, capsys):
    work = tmp_path / "w"
    assert command("synth", write(), "--work", work, "--changed") == 2
    assert "without --changed first" in capsys.readouterr().err
    command("synth", write(), "--work", work)
    taken = served.taken()
    capsys.readouterr()
    assert command("synth", write(images=30), "--work", work, "--changed") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert served.taken() == {}
    prompt = load_prompt("judge", 1)
    text = "\n".join(f"[{name}]\n{words}" for name, words in prompt.sections).replace("picture", "image")
    (tmp_path / "strict.v2.txt").write_text(text)
    path = write(images=30, prompts={"judge": "strict.v2.txt"})
    assert command("synth", path, "--work", work, "--changed") == 0
    told = capsys.readouterr().out
    assert "prompt of judge: judge.v1 (" in told
    assert "-> strict.v2 (" in told
    assert "asked again: judge, for 20 pictures with 2 attempts each; from the cache" in told
    assert served.taken() == {"judge": taken["judge"]}
    before = digest_of(work, CURATED)
    run(load_recipe(write(prompts={"judge": "strict.v2.txt"})), Location.of(work), QUIET)
    assert served.taken() == {}
    assert digest_of(work, CURATED) == before
    origin = json.loads(_rows(work, "records/synthetic", ["extra"])[0]["extra"])
    assert (origin["calls"]["judge"]["prompt"], origin["calls"]["judge"]["prompt_version"]) == ("strict", 2)


def test_an_estimate_is_what_is_left(write, served, tmp_path, capsys):
    path, work = write(images=40), tmp_path / "w"
    assert command("synth", path, "--work", work, "--estimate", "--json") == 0
    first = json.loads(capsys.readouterr().out)["estimate"]
    pilot = served.taken()
    assert (first["pictures"], first["new"], first["piloted"]) == (40, 40, 16)
    assert first["steps"]["classify"] == {"calls": 80, "prompt_tokens": 8_000, "completion_tokens": 800}
    assert pilot["classify"] == 32
    assert first["engine_hours"] > 0
    assert first["gpu_hours"] is None
    assert not (work / "records/synthetic").exists()
    assert command("synth", path, "--work", work) == 0
    rest = served.taken()
    assert rest["classify"] == 80 - 32, "the pilot's words are kept"
    capsys.readouterr()
    changed = write(images=40, draws={"judge": {"temperature": 0.5}})
    assert command("synth", changed, "--work", work, "--estimate", "--json") == 0
    last = json.loads(capsys.readouterr().out)["estimate"]
    assert (last["pictures"], last["new"]) == (40, 0)
    assert last["steps"]["judge"]["calls"] > 0 == last["steps"]["generate"]["calls"]
    assert set(served.taken()) == {"judge"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--only", "Recognize colour"],
            "--only: no instruction type 'Recognize colour'; did you mean 'Recognize color'?",
        ),
        (["--set", "synth.types=[OCR]", "--only", "Count people"], "leaves all of that out"),
        (["--set", "synth=null"], "has no synth section"),
        (["--set", "synth.prompts={judge: nowhere.v1.txt}"], "synth.prompts.judge: cannot take"),
        (["--set", "synth.prompts={jugde: nowhere.v1.txt}"], "jugde"),
    ],
)
def test_mistakes_are_found_before_any_work(write, tmp_path, capsys, arguments, words):
    assert command("synth", write(), "--work", tmp_path / "w", *arguments) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


def test_the_prompts_are_listed(capsys):
    assert command("synth", "--prompts") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("tag.v1") and load_prompt("tag", 1).sha256[:16] in line for line in lines)
