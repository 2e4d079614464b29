"""`infinity-mm decontaminate` as a user types it, and killed in the middle."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.decontam.sets import encoded, scenes
from tests.running import command, infinity_mm

LONG = "How many of the blue umbrellas on the left side of the street are open?"


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Return a folder with the questions and pictures of a set, and with a folder of 300 pictures to check."""
    photos = scenes(12)
    (tmp_path / "set/pictures").mkdir(parents=True)
    rows = []
    for number, photo in enumerate(photos):
        (tmp_path / f"set/pictures/{number}.png").write_bytes(encoded(photo))
        rows.append({"uid": number, "ask": f"{LONG} {number}", "shows": f"{number}.png"})
    (tmp_path / "set/rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "train").mkdir()
    for number in range(300):
        copy = photos[number % 12].rotate(0 if number < 24 else 95 + number % 160)
        (tmp_path / f"train/{number:03}.jpg").write_bytes(encoded(copy, "JPEG", quality=70))
    return tmp_path


def build(sets: Path, *more: str) -> subprocess.CompletedProcess[str]:
    where = ("--name", "mine", "--input", sets / "set/rows.jsonl", "--out", sets / "index", "--image-root", "pictures")
    return infinity_mm("decontaminate", "build", *where, "--question-column", "ask", "--image-column", "shows", *more)


@pytest.mark.slow
def test_built_and_checked_and_after_a_kill_the_same(sets: Path) -> None:
    built = build(sets, "--json")
    assert built.returncode == 0, built.stderr
    assert json.loads(built.stdout)["hashes"]["pixels"] == 12
    again = build(sets)
    assert again.returncode == 0
    assert "12 items from shows (image), ask (question), uid (id)" in again.stdout
    where = ("decontaminate", "check", "--index", sets / "index", "--input", sets / "train")
    calm = infinity_mm(*where, "--out", sets / "calm")
    assert calm.returncode == 0, calm.stderr
    assert "24 leak" in calm.stdout
    found = pq.read_table(sets / "calm/leaks.parquet").to_pylist()
    assert {row["id"]: row["item"] for row in found} == {f"{n:03}.jpg": str(n % 12) for n in range(24)}
    started = subprocess.Popen(command(*where, "--out", sets / "killed", "--workers", 1), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((sets / "killed/state/facts").glob("part-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert not (sets / "killed/leaks.parquet").exists()
    ended = infinity_mm(*where, "--out", sets / "killed")
    assert ended.returncode == 0, ended.stderr
    assert (sets / "killed/leaks.parquet").read_bytes() == (sets / "calm/leaks.parquet").read_bytes()


def test_mistakes_are_found_before_any_work(sets: Path) -> None:
    for arguments, message in (
        (("check", "--index", sets / "set", "--input", sets / "train", "--out", sets / "out"), "no index at"),
        (("build", "--name", "x", "--input", sets / "absent", "--out", sets / "out"), "nothing at"),
        (("build", "--name", "x", "--input", sets / "set", "--out", sets / "out", "--id-column", "uidd"), "'uid'"),
    ):
        ended = infinity_mm("decontaminate", *arguments)
        assert (ended.returncode, message in ended.stderr) == (2, True), ended.stderr
