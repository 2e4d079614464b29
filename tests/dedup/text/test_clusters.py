"""One text that would stand for a whole template stops the job, and says so."""

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from infinity_mm.dedup.text.inputs import Columns
from infinity_mm.dedup.text.job import Request, run
from infinity_mm.dedup.text.params import TextParams
from infinity_mm.errors import StageError
from infinity_mm.fs import Location

from .corpora import QUIET, table_of, write


def templated(count: int) -> list[str]:
    """Return texts of one template, 40 words of frame and two values each, among texts of their own."""
    frame = " ".join(f"frame{place}" for place in range(40))
    rng = np.random.default_rng(3)
    own = [" ".join(f"w{word}" for word in rng.integers(0, 5_000, 30)) for _ in range(20)]
    return [*own, *(f"{frame}\nis number {number} of {number * 7}" for number in range(count))]


def request(pattern, folder, limit):
    return Request(pattern, Columns("text", "id"), Location.of(folder / "out"), workers=2, max_cluster=limit)


def test_a_template_stops_the_job_and_five_of_its_rows_are_shown(tmp_path):
    texts = templated(1_200)
    pattern = write(tmp_path / "in", table_of(texts, [f"id{row:04d}" for row in range(len(texts))]), group_rows=300)
    with pytest.raises(StageError) as stopped:
        run(request(pattern, tmp_path, 1_000), TextParams(), QUIET)
    said = str(stopped.value)
    assert "1,199 texts would be removed for 'id0020', more than --max-cluster 1000" in said
    lines = said.splitlines()
    assert lines[1] == "  id0020  kept  " + texts[20].replace("\n", " ")[:97] + "..."
    assert [line.split()[0] for line in lines[2:7]] == [f"id{row:04d}" for row in range(21, 26)]
    shared, other = 38, 41 + 41
    assert lines[2].split()[1] == f"{shared / (other - shared):.3f}"
    assert len(lines) == 8
    assert "raise --max-cluster" in lines[7]
    assert not (tmp_path / "out/removed.parquet").exists()


def test_with_a_higher_limit_it_goes_on_where_it_was(tmp_path, monkeypatch):
    texts = templated(60)
    pattern = write(tmp_path / "in", table_of(texts, range(len(texts))))
    with pytest.raises(StageError, match="59 texts would be removed for 20"):
        run(request(pattern, tmp_path, 58), TextParams(), QUIET)

    def again(*_: object) -> None:
        raise AssertionError("a text was signed again")

    with monkeypatch.context() as patch:
        patch.setattr("infinity_mm.dedup.text.job.sign_unit", again)
        summary = run(request(pattern, tmp_path, 59), TextParams(), QUIET)
    assert summary["max_cluster"] == 59
    assert summary["largest_clusters"] == [{"winner": 20, "removed": 59}]
    assert orjson.loads((tmp_path / "out/summary.json").read_bytes()) == summary
    assert set(pq.read_table(tmp_path / "out/removed.parquet").column("winner").to_pylist()) == {20}
    assert not (tmp_path / "out/.spill").exists()
