"""Shared by all tests: the demo's input (built once), small recipes on it, fingerprints of a run folder."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, settings

from tests.objectstore import ENVIRONMENT, serve
from tests.running import SMALL, two_cpus

# A test must fail where it would reach for the network, not hang there.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Tests run side by side, one for each core: where each computes on all cores they wait for each other, four times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A loaded machine is no defect: nothing fails for taking long, not even the drawing of examples. The same commit is
# tried on the same examples, so that a red run is red again; `--hypothesis-profile=explore` draws others.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("explore"), derandomize=True)
settings.load_profile("repeatable")

SAMPLES = Path(__file__).parents[2] / "shared" / "samples"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of slow tests: files are handed out whole, and a long one that comes last is waited for."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def every_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the check of models find every package that a family needs, installed or not."""
    monkeypatch.setattr("infinity_mm.synth.models.resolving._absent", lambda packages: [])


@pytest.fixture(scope="session")
def samples() -> Path:
    """Real records of public data sets; only where the project's reference material lies beside the checkout."""
    if not SAMPLES.is_dir():
        pytest.skip("no ../shared/samples beside this checkout")
    return SAMPLES


@pytest.fixture(scope="session")
def ray_node() -> Iterator[str]:
    """The address of a Ray node for all tests that need one of no particular kind: each would wait seconds for its own."""
    with two_cpus() as address:
        yield address


@pytest.fixture
def shared_ray(ray_node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `ray_node` what runs use that ask for no number of workers, here and in commands."""
    monkeypatch.setenv("RAY_ADDRESS", ray_node)


@pytest.fixture(scope="session")
def demo_input(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from infinity_mm.demo.build import build

    out = tmp_path_factory.mktemp("demo") / "input"
    build(out)
    return out


@pytest.fixture
def write_recipe(tmp_path: Path, demo_input: Path) -> Callable[..., Path]:
    """Return a function that writes a recipe over the demo's sources; keyword arguments replace its keys."""

    def write(
        name: str = "small", sources: Sequence[str | dict[str, object]] = SMALL, limit: int | None = 60, **keys: object
    ) -> Path:
        tree: dict[str, object] = {
            "name": name,
            "partition_rows": 20,
            "sources": [
                source
                if isinstance(source, dict)
                else {"name": source, "root": str(demo_input / source), "priority": 10 * len(source)}
                | ({"limit": limit} if limit else {})
                for source in sources
            ],
            "filters": [
                {"use": "structure"},
                {"use": "image", "with": {"max_aspect": 10.0, "min_luma_std": 2.0}},
                {"use": "text"},
                {"use": "language", "with": {"allowed": ["en", "zh"]}},
            ],
            "export": [
                {"name": "wds", "format": "webdataset", "samples_per_shard": 50},
                {"name": "pq", "format": "parquet", "samples_per_shard": 50},
            ],
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(tree | keys, sort_keys=False))
        return path

    return write


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``s3://BUCKET{}?options`` of an object store that starts empty with a module's tests, to be filled with a path."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        with serve(tmp_path_factory.mktemp("store")) as place:
            yield place
