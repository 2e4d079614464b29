"""Own data on the command line and in recipes; the commands of README, "Your own data"."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from infinity_mm.sources.own.families import FAMILIES, NAMES
from tests.cli.test_cli import run
from tests.sources.own.making import lines, pictures

README = Path(__file__).parents[2] / "README.md"
CHAT = [{"role": "user", "content": "<image>q"}, {"role": "assistant", "content": "a"}]
OWN = ("--family", "chat_messages", "--name", "my_set")


@pytest.fixture
def data(tmp_path):
    pictures(tmp_path / "d", "images/0.png")
    lines(tmp_path / "d/a.jsonl", {"talk": CHAT, "pic": "0.png"})
    return tmp_path / "d"


def test_families_as_text_and_json(capsys):
    status, out, _ = run(capsys, "sources", "--families")
    assert status == 0
    assert all(family.command in out and family.says in out for family in FAMILIES)
    assert [family["name"] for family in json.loads(run(capsys, "sources", "--families", "--json")[1])] == list(NAMES)
    assert run(capsys, "sources", "--families", "text_only")[1].startswith("text_only: ")
    status, _, err = run(capsys, "sources", "--families", "text_onyl")
    assert (status, "'text_only'" in err) == (2, True)


@pytest.mark.parametrize("command", ["ingest", "download"])
def test_the_help_has_a_command_per_family(capsys, command):
    out = " ".join(run(capsys, command, "--help")[1].split())
    assert all(f"infinity-mm {command} --family {name} --name my_set" in out for name in NAMES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("SOURCE", "--family")),
        (("gqa", *OWN), ("SOURCE", "--family")),
        (("gqa", "--map", "image=x"), ("--map: only with --family",)),
        (("gqa", "--license", "x"), ("--license: only with --family",)),
        (("--family", "chat_messages"), ("--name my_set",)),
        ((*OWN, "--map", "talk"), ("FIELD=COLUMN",)),
        ((*OWN, "--map", "messages=talk", "--map", "messages=pic"), ("given twice",)),
        ((*OWN, "--category", "captions"), ("'caption'",)),
        ((*OWN, "--map", "mesages=talk"), ("no field 'mesages'", "'messages'")),
        ((*OWN, "--map", "messages=tlak"), ("no column 'tlak'", "pic, talk")),
        (OWN, ("needs messages or completion", "pic, talk")),
        ((*OWN, "--files", "*.csv"), ("expected one of: *.csv",)),
        (("--family", "chatmessages", "--name", "x"), ("'chat_messages'",)),
    ],
)
def test_a_wrong_request_ends_with_2_before_any_work(capsys, data, tmp_path, arguments, words):
    (data / "a.jsonl").rename(data / "a.rows") if "*.csv" in arguments else None
    status, _, err = run(capsys, "ingest", *arguments, "--root", data, "--work", tmp_path / "work")
    assert status == 2
    assert not (tmp_path / "work").exists()
    for word in words:
        assert word in err


def recipe(tmp_path, **keys):
    path = tmp_path / "mine.yaml"
    source = {"name": "my_set", "root": "d", "family": "chat_messages", "map": {"messages": "talk", "images": "pic"}}
    path.write_text(yaml.safe_dump({"name": "mine", "sources": [source | keys]}))
    return path


def test_a_recipe_with_own_data_is_planned(capsys, data, tmp_path):
    status, out, err = run(capsys, "plan", recipe(tmp_path), "--work", tmp_path / "work", "--json")
    assert status == 0, err
    assert [line["files"] for line in json.loads(out)["plan"]["sources"]] == [1]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"map": {"mesages": "talk"}}, ("sources.my_set", "'messages'")),
        ({"map": {"messages": "tlak"}}, ("sources.my_set", "pic, talk")),
        ({"family": "chat_mesages"}, ("sources.my_set", "'chat_messages'")),
        ({"familiy": "chat_messages"}, ("unknown key", "'family'")),
        ({"name": "gqa"}, ("source of the catalogue",)),
        ({"name": "gqa", "family": None}, ("map: only with family",)),
        ({"category": "captions"}, ("sources.0.category", "captions")),
        ({"root": "nowhere"}, ("sources.my_set.root",)),
    ],
)
def test_a_wrong_recipe_is_told_by_file_and_key(capsys, data, tmp_path, keys, words):
    status, _, err = run(capsys, "plan", recipe(tmp_path, **keys))
    assert status == 2
    assert "mine.yaml" in err
    for word in words:
        assert word in err


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_the_commands_of_the_readme(capsys, tmp_path, monkeypatch):
    section = README.read_text().partition("### Your own data\n")[2].partition("\n### ")[0]
    blocks = dict.fromkeys(("json", "yaml", "sh"), "")
    for kind, text in re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL):
        blocks[kind] += text
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "my_set/images", "cat.png")
    (tmp_path / "my_set/train.jsonl").write_text(blocks["json"])
    (tmp_path / "my_set.yaml").write_text(blocks["yaml"])
    commands = [shlex.split(line, comments=True) for line in blocks["sh"].replace("\\\n", " ").splitlines()]
    assert len(commands) == 3
    for program, *arguments in commands:
        assert program == ".venv/bin/infinity-mm"
        status, _, err = run(capsys, *arguments)
        assert status == 0, err
    for work in ("my_set", "mine"):
        book = json.loads((tmp_path / f"runs/{work}/manifest.json").read_text())["books"]["my_set"]
        assert (book["rows"], book["kept"]) == (1, 1)
    assert len(list((tmp_path / "runs/mine/exports/shards").glob("*.tar"))) == 1
