"""Two runs that share a generation cache on an object store."""

from collections.abc import Iterator

import pytest
import yaml

from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from tests.inline import InlineEngine
from tests.objectstore import ENVIRONMENT, serve
from tests.pipeline.served import Served
from tests.running import digest_of

pytest.importorskip("openai")


@pytest.fixture
def bucket(tmp_path, monkeypatch) -> Iterator[str]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with serve(tmp_path) as place:
        yield place


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served()
    yield server
    server.shutdown()
    server.server_close()


def test_the_second_run_asks_only_for_what_the_first_did_not(bucket, served, demo_input, tmp_path, monkeypatch):
    monkeypatch.setattr("infinity_mm.pipeline.run.Engine", InlineEngine)

    def make(work, images):
        tree = {
            "name": "small",
            "partition_rows": 100,
            "sources": [{"name": "llava_mix665k", "root": str(demo_input / "llava_mix665k"), "limit": 80}],
            "dedup": {"mode": "off"},
            "export": [{"name": "pq", "format": "parquet", "samples_per_shard": 500}],
            "synth": {"images": images, "model": served.spec(), "judge_probe": {"rows": 0}}
            | {"cache": bucket.format("/team/generations")},
        }
        (tmp_path / "small.yaml").write_text(yaml.safe_dump(tree))
        run(load_recipe(tmp_path / "small.yaml"), Location.of(tmp_path / work), RunOptions(quiet=True))
        return served.taken()

    assert make("one", 20)["tag"] == 20
    assert make("two", 20) == {}
    assert digest_of(tmp_path / "one") == digest_of(tmp_path / "two")
    assert make("three", 24)["tag"] == 4
    assert not (tmp_path / "one/cache").exists()
