"""The whole job: right, and the same however it is cut, ordered or stopped."""

import dataclasses
import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infinity_mm.dedup.text import inputs
from infinity_mm.dedup.text.inputs import Columns
from infinity_mm.dedup.text.job import Request, deduplicate, run
from infinity_mm.dedup.text.params import TextParams
from infinity_mm.dedup.text.plan import make_plan
from infinity_mm.dedup.text.spill import Spill
from infinity_mm.errors import StageError, UsageError
from infinity_mm.fs import Location

from .corpora import COLUMNS, QUIET, by_definition, edited_texts, removed_of, table_of, write


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"threshold": 0.5},
        {"threshold": 0.9, "ngram": 1},
        {"shingle": "char", "ngram": 9},
        {"hash": "sha1", "seed": 7},
        {"threshold": 1.0, "ngram": 3},
    ],
    ids=str,
)
def test_what_is_removed_is_what_the_definition_says(tmp_path, params):
    table = table_of(edited_texts(400, seed=3))
    texts = dict(zip(table.column("id").to_pylist(), table.column("text").to_pylist(), strict=True))
    found = removed_of(write(tmp_path / "in", table), tmp_path / "out", **params)
    char = params.get("shingle") == "char"
    expected = by_definition(texts, params.get("threshold", 0.7), params.get("ngram", 5), char)
    assert len(expected) > 90
    assert found == expected


def test_the_result_depends_on_the_rows_alone(tmp_path, monkeypatch):
    table = table_of(edited_texts(300, seed=5))
    removed_of(write(tmp_path / "in", table), tmp_path / "out")
    expected = (tmp_path / "out" / "removed.parquet").read_bytes()
    rng = np.random.default_rng(1)
    monkeypatch.setattr(inputs, "UNIT_ROWS", 1)
    for number, (files, group_rows, partitions, set_bytes, workers) in enumerate(
        [(1, 7, 1, 1 << 20, 1), (4, 40, 5, 10_000, 2), (3, 1000, 64, 100, 3)]
    ):
        monkeypatch.setattr(inputs, "BATCH_ROWS", [3, 64, 11][number])
        shuffled = table.take(pa.array(rng.permutation(len(table))))
        cut = [
            shuffled.slice(begin, -(-len(table) // files)) for begin in range(0, len(table), -(-len(table) // files))
        ]
        pattern = write(tmp_path / f"in{number}", *cut, group_rows=group_rows)
        plan = make_plan(pattern, COLUMNS, TextParams(), Location.of(tmp_path / "spill"), 1 << 30)
        plan = dataclasses.replace(plan, partitions=partitions, set_bytes=set_bytes)
        out = tmp_path / f"out{number}"
        deduplicate(plan, Location.of(out), workers, QUIET)
        assert (out / "removed.parquet").read_bytes() == expected


@pytest.mark.parametrize("gone", ["keys", "texts", "groups", "components", "members", "removed"])
def test_steps_that_were_lost_are_taken_again(tmp_path, gone):
    """Whatever files of a stopped run are there, the next one ends with the same bytes."""
    pattern = write(tmp_path / "in", table_of(edited_texts(200, seed=8)), group_rows=50)
    plan = make_plan(pattern, COLUMNS, TextParams(), Location.of(tmp_path / "spill"), 1 << 30)
    keep = dataclasses.replace(plan, spill=plan.spill)
    folder = plan.spill.folder
    saved = tmp_path / "saved"
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(Spill, "discard", lambda self: os.rename(self.folder.path, saved))
        deduplicate(plan, Location.of(tmp_path / "out"), 2, QUIET)
    expected = (tmp_path / "out" / "removed.parquet").read_bytes()
    os.rename(saved, folder.path)
    order = ["keys", "texts", "groups", "components", "members", "removed"]
    for kind in order[order.index(gone) :]:
        (folder / kind).delete_dir()
    if gone == "keys":
        (folder / "texts").delete_dir()
    (folder / "removed/.tmp-half-written").write_bytes(b"half")
    deduplicate(keep, Location.of(tmp_path / "again"), 1, QUIET)
    assert (tmp_path / "again" / "removed.parquet").read_bytes() == expected


def job(pattern: str, out: str) -> None:
    run(Request(pattern, COLUMNS, Location.of(out), workers=2), TextParams(), QUIET)


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "UNIT_ROWS", 1)
    tables = [table_of(edited_texts(1_500, seed), [f"{seed}-{n}" for n in range(1_500)]) for seed in range(8)]
    pattern = write(tmp_path / "in", *tables, group_rows=500)
    job(pattern, str(tmp_path / "warm-up"))
    began = time.monotonic()
    job(pattern, str(tmp_path / "whole"))
    whole = time.monotonic() - began
    rng = random.Random(4)
    kills = ends = 0
    # A job that was killed late has little left to do: it may end, and then the next one begins anew.
    while kills < 20 or not ends:
        process = multiprocessing.get_context("fork").Process(target=job, args=(pattern, str(tmp_path / "killed")))
        process.start()
        process.join(whole * rng.uniform(0.0, 0.8) if kills < 20 else None)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
            continue
        assert process.exitcode == 0
        ends += 1
        for name in ("removed.parquet", "summary.json"):
            assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert not (tmp_path / "killed" / ".spill").exists()
        (tmp_path / "killed" / "removed.parquet").unlink()


def test_short_and_empty_texts_are_duplicates_only_where_they_are_equal(tmp_path):
    texts = [
        "Hello",
        "hello!",
        "hello there",
        None,
        None,
        "",
        " ",
        "?!",
        "? !",
        "...",
        "<image>",
        "你好",
        "你 好",
        "5%",
        "5",
    ]
    found = removed_of(write(tmp_path / "in", table_of(texts, range(len(texts)))), tmp_path / "out")
    assert found == {1: (0, 1.0), 6: (5, 1.0), 10: (5, 1.0), 12: (11, 1.0)}


def test_a_chain_of_edits_is_not_followed(tmp_path):
    words = [f"w{n}" for n in range(140)]
    texts = [" ".join(words[step : step + 94]) for step in range(0, 40, 10)]
    found = removed_of(write(tmp_path / "in", table_of(texts, range(4))), tmp_path / "out")
    assert found == {1: (0, 0.8), 3: (2, 0.8)}


def test_priority_comes_before_the_id(tmp_path):
    text = " ".join(f"w{n}" for n in range(30))
    table = table_of([text] * 4, ["a", "b", "c", "d"], rank=pa.array([3, None, 1, 1], pa.int32()))
    found = removed_of(write(tmp_path / "in", table), tmp_path / "out", Columns("text", "id", "rank"))
    assert found == dict.fromkeys("abd", ("c", 1.0))


def test_a_template_is_one_component_and_loses_only_what_is_similar(tmp_path):
    """Two thousand rows of one template: 30 of 42 words in common, similarities of 0.5 and less."""
    frame = [f"frame{n}" for n in range(30)]
    rows = [" ".join([*frame, *(f"v{number}x{place}" for place in range(12))]) for number in range(2_000)]
    rows[1_500] = rows[10].replace("v10x11", "changed")
    found = removed_of(write(tmp_path / "in", table_of(rows, range(2_000))), tmp_path / "out")
    assert found == {1_500: (10, 37 / 39)}


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint64(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_ids_keep_their_kind(tmp_path, kind):
    table = table_of(["a b c d e f"] * 3)
    ids = pa.array([30, 4, 200], pa.int64())
    ids = ids.cast(kind) if pa.types.is_integer(kind) else ids.cast(pa.string()).cast(kind)
    pattern = write(tmp_path / "in", table.set_column(0, "id", ids))
    found = removed_of(pattern, tmp_path / "out")
    numbers = pa.types.is_integer(kind)
    assert found == ({30: (4, 1.0), 200: (4, 1.0)} if numbers else {"30": ("200", 1.0), "4": ("200", 1.0)})


def test_ids_must_be_there_and_unique(tmp_path):
    pattern = write(tmp_path / "twice", table_of(["a", "b"], ["x", "y"]), table_of(["c"], ["x"]))
    with pytest.raises(StageError, match=r"the id 'x' occurs twice, in .*part-000.parquet and .*part-001.parquet"):
        removed_of(pattern, tmp_path / "out")
    pattern = write(tmp_path / "null", table_of(["a"], pa.array([None], pa.string())))
    with pytest.raises(StageError, match="rows without 'id'"):
        removed_of(pattern, tmp_path / "out")


def test_the_summary_counts(tmp_path):
    text = " ".join(f"w{n}" for n in range(30))
    pattern = write(tmp_path / "in", table_of([text, text, text + " more", "other", None], range(5)))
    summary = run(Request(pattern, COLUMNS, Location.of(tmp_path / "out")), TextParams(), QUIET)
    expected = {"rows": 5, "null_texts": 1, "removed": 2, "removed_equal": 1, "kept": 3, "candidates": 3}
    assert expected.items() <= summary.items()
    assert summary["largest_clusters"] == [{"winner": 0, "removed": 2}]
    assert not (tmp_path / "out" / ".spill").exists()
    assert pq.read_schema(tmp_path / "out" / "removed.parquet").names == ["id", "winner", "similarity"]


def test_nothing_removed_is_an_empty_table(tmp_path):
    assert removed_of(write(tmp_path / "in", table_of(["a", "b"])), tmp_path / "out") == {}


def test_two_runs_do_not_share_a_spill(tmp_path):
    """Another input or other parameters: what the first left behind is swept, and not used."""
    pattern = write(tmp_path / "in", table_of(["a b c d e f"] * 2))
    spill = tmp_path / "spill"
    stale = spill / ("0" * 16)
    stale.mkdir(parents=True)
    (stale / "file").write_text("left behind")
    (spill / "mine").mkdir()
    run(Request(pattern, COLUMNS, Location.of(tmp_path / "out"), Location.of(spill)), TextParams(), QUIET)
    assert not stale.exists()
    assert (spill / "mine").exists()


def test_spilling_needs_a_local_disk():
    request = Request("x", COLUMNS, Location.of("s3://bucket/out"))
    with pytest.raises(UsageError, match="--spill"):
        run(request, TextParams(), QUIET)
