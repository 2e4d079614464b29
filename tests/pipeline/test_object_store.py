"""The main job with its work folder, its sources and its generation cache on an object store."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from infinity_mm.cli.main import main
from infinity_mm.export.validate import validate
from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from tests.inline import InlineEngine
from tests.objectstore import REPOSITORY
from tests.pipeline.test_kill import processes
from tests.running import command, digest_of, infinity_mm

QUIET = RunOptions(quiet=True)
PROMISED = ("records", "ledger", "quarantine", "exports")


def digests(work: Location) -> dict[str, str]:
    """Return what `digest_of` returns, of a folder anywhere."""
    paths = [f"{folder}/{name}" for folder in PROMISED for name in (work / folder).files(recursive=True)]
    return {path: hashlib.sha256((work / path).read_bytes()).hexdigest() for path in paths}


def copy(folder: Path, to: Location) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            (to / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run `infinity-mm` here and return its results; it must succeed."""
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert caught.value.code == 0, err
    return out


def unnamed(found: dict[str, str]) -> list[str]:
    """Return the contents of what does not name where its sources lie, as indices of exports do."""
    return sorted(digest for path, digest in found.items() if "part-" in path or "shard-" in path or "/data/" in path)


@pytest.fixture
def recipe(write_recipe: Callable[..., Path]) -> Path:
    """A recipe whose rows hold equal pairs, equal texts and near texts."""
    return write_recipe(sources=("docdownstream", "infinity_instruct"), limit=None, partition_rows=100)


@pytest.mark.slow
@pytest.mark.usefixtures("no_ray")
def test_a_run_writes_what_one_on_a_disk_does_and_makes_again_only_what_is_lost(bucket, recipe, tmp_path, capsys):
    work = Location.of(bucket.format("/runs/of mine"))
    local = run(load_recipe(recipe), Location.of(tmp_path / "work"), QUIET)
    first = run(load_recipe(recipe), work, QUIET)
    before, kept = digests(work), sum(book.kept for book in first.books.values())
    assert before == digest_of(tmp_path / "work")
    assert first.books == local.books
    assert {"dedup.exact_pair", "dedup.exact_text", "dedup.near_text"} <= {
        w for b in first.books.values() for w in b.dropped
    }
    for lost in (f"{folder}/" for folder in ("ledger", "exports/pq/data")):
        (work / next(path for path in before if path.startswith(lost))).delete()
    second = run(load_recipe(recipe), work, QUIET)
    assert {stage.name: stage.made for stage in second.stages if stage.made} == {"ledger": 1, "export-pq": 1}
    assert digests(work) == before
    assert run(load_recipe(recipe), work, QUIET).books == first.books
    assert "finished" in said(capsys, "status", work.uri)
    assert "docdownstream" in said(capsys, "plan", str(recipe), "--work", work.uri)
    (identity,) = (
        pq.read_table(io.BytesIO((work / next(iter(before))).read_bytes()), columns=["id"]).column(0)[:1].to_pylist()
    )
    assert "docdownstream: train.jsonl#line=" in said(capsys, "explain", work.uri, identity)
    assert json.loads(said(capsys, "validate", work.uri, "--json"))["counts"]["samples"] == 2 * kept
    assert json.loads(said(capsys, "validate", (work / "exports/wds").uri, "--json"))["counts"]["samples"] == kept


@pytest.mark.slow
@pytest.mark.usefixtures("no_ray")
def test_sources_on_an_object_store_give_the_records_of_a_disk(bucket, write_recipe, demo_input, tmp_path):
    root = Location.of(bucket.format("/my data/ä"))
    names = ("vqav2", "llava_mix665k", "infinity_mm")
    sources = [{"name": name, "root": (root / name).uri, "priority": 10 * len(name), "limit": 60} for name in names]
    for name in names:
        copy(demo_input / name, root / name)
    local = write_recipe(sources=names, partition_rows=60)
    run(load_recipe(local), Location.of(tmp_path / "local"), QUIET)
    remote = write_recipe(sources=sources, partition_rows=60)
    run(load_recipe(remote), Location.of(bucket.format("/both")), QUIET)
    expected = unnamed(digest_of(tmp_path / "local"))
    assert len(expected) > 10
    assert unnamed(digests(Location.of(bucket.format("/both")))) == expected


def noise(number: int) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((40, 30), 60 + number).save(out, "PNG")
    return out.getvalue()


def rows_of(names: list[str]) -> bytes:
    turns = [
        {"role": "user", "content": "<|image|>What is to be seen?"},
        {"role": "assistant", "content": "Noise, grey."},
    ]
    return b"".join(json.dumps({"image": [name], "messages": turns}).encode() + b"\n" for name in names)


@pytest.mark.usefixtures("no_ray")
def test_odd_names_and_archives_in_pieces_are_found_and_impossible_names_cost_their_row(bucket, write_recipe):
    root = Location.of(bucket.format("/odd"))
    plain = ["a b.png", "50%.png", "a%20c.png", "x#1.png", "q?.png", "日本/ä.png", "a+b.png", "dir//two.png"]
    for number, name in enumerate(plain):
        (root / "imgs" / name).write_bytes(noise(number))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for number in range(4):
            entry, data = tarfile.TarInfo(f"imgs/in archive {number}.png"), noise(20 + number)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    data = gzip.compress(packed.getvalue())
    (root / "partial-imgs.00").write_bytes(data[:1000])
    (root / "partial-imgs.01").write_bytes(data[1000:])
    absent = ["none.png", "x" * 2000 + ".png", "../../etc/passwd", "imgs"]
    names = [f"imgs/{name}" for name in plain] + [f"imgs/in archive {number}.png" for number in range(4)] + absent
    (root / "train.jsonl").write_bytes(rows_of(names))
    use = {"name": "docdownstream", "root": root.uri, "max_quarantined": 1.0}
    recipe = write_recipe(sources=[use], filters=[], dedup={"mode": "off"})
    book = run(load_recipe(recipe), Location.of(bucket.format("/odd work")), QUIET).books["docdownstream"]
    assert (book.rows, book.kept) == (16, 12)
    assert book.quarantined == {"ingest.missing_image": 3, "ingest.unsafe_path": 1}


def killed(recipe: Path, work: Location, when: str) -> None:
    """Start a run and kill its driver, as it writes the first files of `when`, with all that it started."""
    begun = subprocess.Popen(command("run", recipe, "--work", work.uri), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 90
    while not any("part-" in name for name in (work / when).files(recursive=True)):
        assert begun.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, f"no files in {when}"
        time.sleep(0.02)
    tree = processes(begun.pid)
    begun.kill()
    begun.wait()
    for pid in tree:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_with_the_same_bytes(bucket, write_recipe, monkeypatch, tmp_path):
    """Under Ray, in processes that meet nowhere but in the object store."""
    recipe = write_recipe(sources=("docdownstream",), limit=None, partition_rows=100)
    work = Location.of(bucket.format("/killed"))
    killed(recipe, work, "attributes/identity")
    done = infinity_mm("run", recipe, "--work", work.uri)
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr("infinity_mm.pipeline.run.Engine", InlineEngine)
    run(load_recipe(recipe), Location.of(tmp_path / "calm"), QUIET)
    assert digests(work) == digest_of(tmp_path / "calm")
    assert validate(work).errors == []


def test_the_second_run_asks_only_for_what_the_first_did_not(bucket, no_ray, served, write_served, tmp_path):
    pytest.importorskip("openai")

    def make(work, images):
        recipe = load_recipe(write_served(images=images, cache=bucket.format("/team/generations")))
        run(recipe, Location.of(tmp_path / work), QUIET)
        return served.taken()

    assert make("one", 20)["tag"] == 20
    assert make("two", 20) == {}
    assert digest_of(tmp_path / "one") == digest_of(tmp_path / "two")
    assert make("three", 24)["tag"] == 4
    assert not (tmp_path / "one/cache").exists()


#: Runs a recipe in a work folder without Ray.
_ALONE = """
import sys, infinity_mm.pipeline.run as module
from pathlib import Path
from infinity_mm.fs import Location
from infinity_mm.recipe import load_recipe
from tests.inline import InlineEngine
module.Engine = InlineEngine
module.run(load_recipe(Path(sys.argv[1])), Location.of(sys.argv[2]), module.RunOptions(quiet=True))
"""


@pytest.mark.slow
def test_two_runs_at_once_share_a_cache_and_a_later_one_asks_nothing(bucket, no_ray, served, write_served, tmp_path):
    pytest.importorskip("openai")
    recipe = write_served(images=20, cache=bucket.format("/crowd/generations"))
    works = [bucket.format(f"/crowd/{name}") for name in ("one", "two")]
    begun = [subprocess.Popen([sys.executable, "-c", _ALONE, recipe, work], cwd=REPOSITORY) for work in works]
    assert [one.wait() for one in begun] == [0, 0]
    assert 20 <= served.taken()["tag"] <= 40
    run(load_recipe(recipe), Location.of(tmp_path / "three"), QUIET)
    assert served.taken() == {}
    one, two = (digests(Location.of(work)) for work in works)
    assert one == two == digest_of(tmp_path / "three")
