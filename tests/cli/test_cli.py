"""What a user types: exit statuses, messages that name the remedy, machine-readable output."""

import json

import pytest

from infinity_mm.cli.cards import BEGIN, END
from infinity_mm.cli.main import COMMANDS, main
from tests.running import infinity_mm

pytestmark = pytest.mark.usefixtures("shared_ray")


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """Return (exit status, stdout, stderr) of a command run in this process."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_that_teaches(capsys, command):
    status, out, _ = run(capsys, command, "--help")
    assert status == 0
    assert len(out.split("\n\n")) >= 2


def test_help_and_version_import_neither_ray_nor_arrow():
    import subprocess
    import sys

    code = (
        "import sys\nfrom infinity_mm.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('ray', 'pyarrow', 'torch', 'vllm', 'transformers') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"filtres": []}, ("unknown key 'filtres'", "'filters'")),
        ({"dedup": {"mode": "pear"}}, ("dedup.mode", "'pear'")),
        ({"dedup": {"treshold": 0.5}}, ("dedup.treshold", "'threshold'")),
        ({"dedup": {"threshold": 1.7}}, ("dedup.threshold", "1.7")),
        ({"filters": [{"use": "imgae"}]}, ("imgae", "'image'")),
        ({"filters": [{"use": "image", "with": {"min_sides": 3}}]}, ("filters.image.with.min_sides", "'min_side'")),
        ({"filters": [{"use": "text"}, {"use": "text"}]}, ("named twice", "text")),
        ({"sources": [{"name": "vqa2", "root": "."}]}, ("vqa2", "'vqav2'")),
        ({"sources": [{"name": "vqav2", "root": "/no/such/folder"}]}, ("sources.vqav2.root", "/no/such/folder")),
        ({"mixture": {"rates": {"vqav3": 0.5}}}, ("mixture.rates.vqav3", "'vqav2'")),
        ({"export": [{"name": "x", "format": "tfrecord"}]}, ("export.0.format", "tfrecord")),
        ({"synth": {"images": 0}}, ("synth.images", "0")),
        ({"partition_rows": 0}, ("partition_rows", "0")),
        ({"licenses": "commercial,MIT"}, ("licenses", "write +MIT")),
        ({"licenses": {"polcy": "any"}}, ("licenses.polcy", "'policy'")),
    ],
)
def test_a_wrong_recipe_ends_with_2_before_any_work(capsys, write_recipe, tmp_path, change, words):
    recipe = write_recipe(**change)
    status, _, err = run(capsys, "run", recipe, "--work", tmp_path / "work")
    assert status == 2
    assert not (tmp_path / "work").exists()
    assert "small.yaml" in err or "vqa2" in err or "imgae" in err
    for word in words:
        assert word in err


def test_no_yaml_no_file_no_mapping(capsys, tmp_path):
    for content, word in (
        ("a: [", "is not YAML"),
        ("- 1", "expected keys and values"),
        (None, "cannot read the recipe"),
    ):
        path = tmp_path / "r.yaml"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
        status, _, err = run(capsys, "plan", path)
        assert (status, word in err) == (2, True)


@pytest.mark.parametrize(
    ("override", "word"),
    [("synth", "expected KEY=VALUE"), ("sources.nope.limit=3", "no element 'nope'"), ("name.x=1", "single value")],
)
def test_a_wrong_override(capsys, write_recipe, override, word):
    status, _, err = run(capsys, "plan", write_recipe(), "--set", override)
    assert (status, word in err) == (2, True)


def test_an_unknown_command_names_the_nearest(capsys):
    status, _, err = run(capsys, "explian", "x")
    assert (status, "'explain'" in err) == (2, True)


def test_sources_as_table_card_and_json(capsys):
    assert "llava_cc3m_595k" in run(capsys, "sources")[1]
    assert "infinity-mm ingest gqa" in run(capsys, "sources", "gqa")[1]
    cards = json.loads(run(capsys, "sources", "--json")[1])
    assert {"name", "license", "paper_size", "files"} <= set(cards[0])
    status, _, err = run(capsys, "sources", "gqua")
    assert (status, "'gqa'" in err) == (2, True)


def test_a_source_says_how_to_get_it_and_how_to_start(capsys):
    gated = run(capsys, "sources", "infinity_mm")[1]
    assert "accept the terms at https://huggingface.co/datasets/BAAI/Infinity-MM" in gated
    assert "HF_TOKEN" in gated
    assert "--root hf://datasets/BAAI/Infinity-MM" in gated
    registered = run(capsys, "sources", "docvqa")[1]
    assert "sign up and download at" in registered
    assert "--root DIR" in registered
    assert "train2014.zip" in run(capsys, "sources", "vqav2")[1]
    apart = run(capsys, "sources", "gqa")[1]
    assert "the pictures are not beside the rows on the hub" in apart
    assert "--root DIR" in apart


def test_the_table_of_a_readme_is_renewed_between_its_markers(capsys, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert run(capsys, "sources", "--update", readme)[0] == 0
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert run(capsys, "sources", "--markdown")[1] in text
    readme.write_text("no markers")
    assert run(capsys, "sources", "--update", readme)[0] == 2
    assert run(capsys, "sources", "gqa", "--markdown")[0] == 2


def test_sources_name_their_options_and_ingest_takes_no_other(capsys, tmp_path):
    told = run(capsys, "sources", "vizwiz_vqa")[1]
    assert "option     answers: vote | confident_vote | first | draw (default confident_vote)" in told
    assert "option     group_by_image: true | false (default false)" in told
    card = json.loads(run(capsys, "sources", "coco_text", "--json")[1])[0]
    assert [(option["name"], option["values"], option["default"]) for option in card["options"]] == [
        ("without_text", ["ask", "refuse"], "ask")
    ]
    ingest = ("ingest", "visdial", "--root", tmp_path, "--work", tmp_path / "work")
    for option, word in (
        ("caption=true", "'caption_turn'"),
        ("caption_turn", "NAME=VALUE"),
        ("caption_turn=1", "got 1"),
    ):
        status, _, err = run(capsys, *ingest, "--option", option)
        assert (status, word in err) == (2, True), err
    assert not (tmp_path / "work").exists()


def test_plan_checks_and_does_nothing(capsys, write_recipe, tmp_path):
    status, out, _ = run(capsys, "plan", write_recipe(), "--work", tmp_path / "work", "--json")
    plan = json.loads(out)["plan"]
    assert status == 0
    assert [line["files"] for line in plan["sources"]] == [1, 1, 3, 1, 2]
    assert not (tmp_path / "work").exists()


def test_plan_looks_up_a_sample_of_pictures(capsys, write_recipe, tmp_path):
    status, out, _ = run(capsys, "plan", write_recipe(), "--work", tmp_path / "work")
    assert status == 0
    assert "sampled pictures found" in out
    assert "pictures are looked up in:" in out
    assert "sampled pictures" not in run(capsys, "plan", write_recipe(), "--sample", 0)[1]
    sources = [{"name": "gqa", "root": str(tmp_path)}]
    (tmp_path / "train_balanced_questions.json").write_text('{"1": {"question": "a?", "answer": "b", "imageId": "7"}}')
    status, out, err = run(capsys, "plan", write_recipe(sources=sources, limit=None))
    assert status == 2
    assert "0 of 1 sampled pictures found" in out
    assert "images.zip (not there)" in err
    assert "cs.stanford.edu" in err


def test_licences_are_judged_before_work_and_a_wrong_policy_is_named(capsys, write_recipe, tmp_path):
    status, out, _ = run(capsys, "plan", write_recipe(), "--licenses", "permissive", "--sample", 0)
    assert status == 0
    assert "infinity_mm: left out: CC-BY-SA-4.0 is not permissive" in out
    assert "license   permissive" in out
    status, _, err = run(capsys, "plan", write_recipe(), "--licenses", "permissive,MIT")
    assert (status, "write +MIT to allow it too" in err) == (2, True)
    (tmp_path / "chat.json").write_text("[]")
    status, _, err = run(
        capsys, "ingest", "llavar", "--root", tmp_path, "--work", tmp_path / "work", "--licenses", "commercial"
    )
    assert status == 2
    assert "llavar: CC-BY-NC-4.0 is not commercial (to use it all the same, add +CC-BY-NC-4.0 to the policy)" in err
    assert not (tmp_path / "work").exists()


def test_files_that_are_not_there_end_a_run_before_any_work(capsys, write_recipe, tmp_path):
    (tmp_path / "empty").mkdir()
    sources = [{"name": name, "root": str(tmp_path / "empty")} for name in ("gqa", "docvqa")]
    recipe = write_recipe(sources=sources, limit=None)
    for command in ("run", "plan"):
        status, _, err = run(capsys, command, recipe, "--work", tmp_path / "work")
        assert status == 2
        assert "train_balanced_questions.json" in err
        assert "sign up and download at" in err
    assert not (tmp_path / "work").exists()


def test_schemas_are_up_to_date(capsys):
    assert run(capsys, "schemas", "--check")[0] == 0


def test_a_folder_that_is_no_run(capsys, tmp_path):
    for arguments in (("status", tmp_path), ("explain", tmp_path, "abcdef"), ("validate", tmp_path)):
        status, _, err = run(capsys, *arguments)
        assert (status, str(tmp_path) in err) == (2, True)


@pytest.mark.slow
def test_one_folder_from_run_to_validate(capsys, write_recipe, tmp_path):
    recipe, work = write_recipe(), tmp_path / "work"
    done = infinity_mm("run", recipe, "--work", work, "--json")
    assert done.returncode == 0, done.stderr
    books = json.loads(done.stdout)["books"]
    assert books["docdownstream"]["rows"] == 60
    assert "ingest" in done.stderr
    assert json.loads(run(capsys, "status", work, "--json")[1])["state"] == "finished"
    findings = json.loads(run(capsys, "validate", work, "--json")[1])
    kept = sum(book["kept"] for book in books.values())
    assert (findings["errors"], findings["counts"]["samples"]) == ([], 2 * kept)
    (work / "exports/wds/shard-000001.tar").unlink()
    status, out, _ = run(capsys, "validate", work)
    assert (status, "is named by the index and absent" in out) == (1, True)
    status, _, err = run(capsys, "export", recipe, "--work", work)
    assert status == 0, err
    assert run(capsys, "validate", work)[0] == 0


@pytest.mark.slow
def test_ingest_of_two_sources_into_one_folder(capsys, samples, tmp_path):
    work = tmp_path / "work"
    for source, folder in (("gqa", "gqa"), ("vqav2", "vqav2"), ("gqa", "gqa")):
        status, _, err = run(capsys, "ingest", source, "--root", samples / folder, "--work", work, "--json")
        assert status == 0, err
    assert len(list((work / "ledger").glob("part-*"))) == 3  # one file of gqa, two pairs of vqav2
    assert run(capsys, "validate", work)[0] == 0
    manifest = json.loads((work / "manifest.json").read_bytes())
    assert (manifest["command"], sorted(manifest["books"])) == ("ingest", ["gqa", "vqav2"])
    assert [use["name"] for use in manifest["recipe"]["sources"]] == sorted(manifest["inputs"]) == ["gqa", "vqav2"]
    (tmp_path / "empty").mkdir()
    status, _, err = run(capsys, "ingest", "gqa", "--root", tmp_path / "empty", "--work", work)
    assert (status, "expected one of" in err) == (2, True)


def test_ingest_leaves_a_run_folder_as_it_is(capsys, write_recipe, demo_input, tmp_path):
    work = tmp_path / "work"
    assert run(capsys, "run", write_recipe(), "--work", work)[0] == 0
    before = (work / "manifest.json").read_bytes()
    root = demo_input / "vqav2"
    status, _, err = run(capsys, "ingest", "vqav2", "--root", root if root.is_dir() else demo_input, "--work", work)
    assert (status, "is the run folder of the recipe" in err) == (2, True)
    assert (work / "manifest.json").read_bytes() == before


def test_an_unwritable_work_folder_ends_with_1(capsys, write_recipe, tmp_path):
    (tmp_path / "file").write_text("in the way")
    status, _, err = run(capsys, "run", write_recipe(), "--work", tmp_path / "file/work")
    assert (status, "file/work" in err) == (1, True)
