"""Two runs that share a generation cache on an object store."""

from collections.abc import Iterator

import pytest

from infinity_mm.fs import Location
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from tests.objectstore import ENVIRONMENT, serve
from tests.running import digest_of

pytest.importorskip("openai")
pytestmark = pytest.mark.usefixtures("no_ray")


@pytest.fixture
def bucket(tmp_path, monkeypatch) -> Iterator[str]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with serve(tmp_path) as place:
        yield place


def test_the_second_run_asks_only_for_what_the_first_did_not(bucket, served, write_served, tmp_path):
    def make(work, images):
        recipe = load_recipe(write_served(images=images, cache=bucket.format("/team/generations")))
        run(recipe, Location.of(tmp_path / work), RunOptions(quiet=True))
        return served.taken()

    assert make("one", 20)["tag"] == 20
    assert make("two", 20) == {}
    assert digest_of(tmp_path / "one") == digest_of(tmp_path / "two")
    assert make("three", 24)["tag"] == 4
    assert not (tmp_path / "one/cache").exists()
