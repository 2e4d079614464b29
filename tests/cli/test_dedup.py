"""`infinity-mm dedup text` as a user meets it."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infinity_mm.cli.main import main
from infinity_mm.cli.sizes import size_of


def called(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return int(caught.value.code)


@pytest.fixture
def given(tmp_path):
    text = " ".join(f"w{n}" for n in range(40))
    pq.write_table(pa.table({"id": ["a", "b", "c"], "body": [text, "else", text + " more"]}), tmp_path / "in.parquet")
    return [
        "dedup", "text", "--input", str(tmp_path / "*.parquet"), "--text-column", "body", "--id-column", "id",
        "--out", str(tmp_path / "out"),
    ]  # fmt: skip


def test_the_files_it_writes(given, tmp_path, capsys):
    assert called(*given, "--memory", "256MiB", "--workers", "1") == 0
    assert "3 texts: 1 removed (0 equal to their winner), 2 kept" in capsys.readouterr().out
    assert pq.read_table(tmp_path / "out/removed.parquet").to_pylist() == [
        {"id": "c", "winner": "a", "similarity": 36 / 37}
    ]
    assert json.loads((tmp_path / "out/summary.json").read_text())["removed"] == 1


def test_json_is_the_summary(given, tmp_path, capsys):
    assert called(*given, "--json", "--threshold", "0.99") == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out/summary.json").read_text())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--text-column", "bodi"], "has no column 'bodi'; did you mean 'body'?"),
        (["--threshold", "7"], "threshold: "),
        (["--memory", "much"], "'much' is no amount of memory; write for example 1GiB"),
        (["--memory", "1MB"], "give at least 64MiB"),
        (["--input", "/nowhere/*.parquet"], "names no Parquet file"),
        (["--shingle", "token"], "'word', 'char'"),
    ],
)
def test_wrong_arguments_exit_2_and_say_why(given, capsys, more, message):
    assert called(*given, *more) == 2
    assert message in capsys.readouterr().err


def test_repeated_ids_exit_1(given, tmp_path, capsys):
    pq.write_table(pa.table({"id": ["a"], "body": ["x"]}), tmp_path / "more.parquet")
    assert called(*given) == 1
    assert "the id 'a' occurs twice" in capsys.readouterr().err


def test_help_teaches(capsys):
    assert called("dedup", "--help") == 0
    assert "text" in capsys.readouterr().out
    assert called("dedup", "text", "--help") == 0
    said = capsys.readouterr().out
    assert "infinity-mm dedup text --input 'data/*.parquet'" in said
    assert "SELECT" in said


@pytest.mark.parametrize(
    ("text", "size"),
    [("1GiB", 1 << 30), ("500MB", 500_000_000), ("1.5g", 1_500_000_000), ("64 mib", 64 << 20), ("7", 7)],
)
def test_sizes(text, size):
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "1XB", "-1", "1 GiB GiB"])
def test_no_sizes(text):
    with pytest.raises(ValueError, match="no amount of memory"):
        size_of(text)
