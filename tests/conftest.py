"""Shared by all tests: the demo's input (built once), small recipes on it, fingerprints of a run folder."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

# A test must fail where it would reach for the network, not hang there.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

SAMPLES = Path(__file__).parents[2] / "shared" / "samples"
SMALL = ("llava_mix665k", "docdownstream", "infinity_mm", "infinity_instruct", "vqav2")


@pytest.fixture(scope="session")
def samples() -> Path:
    """Real records of public data sets; only where the project's reference material lies beside the checkout."""
    if not SAMPLES.is_dir():
        pytest.skip("no ../shared/samples beside this checkout")
    return SAMPLES


@pytest.fixture(scope="session")
def demo_input(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from infinity_mm.demo.build import build

    out = tmp_path_factory.mktemp("demo") / "input"
    build(out)
    return out


@pytest.fixture
def write_recipe(tmp_path: Path, demo_input: Path) -> Callable[..., Path]:
    """Return a function that writes a recipe over the demo's sources; keyword arguments replace its keys."""

    def write(name: str = "small", sources: tuple[str, ...] = SMALL, limit: int | None = 60, **keys: object) -> Path:
        tree: dict[str, object] = {
            "name": name,
            "partition_rows": 20,
            "sources": [
                {"name": source, "root": str(demo_input / source), "priority": 10 * len(source)}
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


def digest_of(work: Path, folders: tuple[str, ...] = ("records", "ledger", "quarantine", "exports")) -> dict[str, str]:
    """Return path -> SHA-256 of everything whose bytes a run promises."""
    return {
        path.relative_to(work).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in sorted((work / folder).rglob("*"))
        if path.is_file() and path.name != "index.json"
    }


def command(*arguments: object) -> list[str]:
    """Return the command line of `infinity-mm` in this interpreter."""
    return [sys.executable, "-c", "from infinity_mm.cli.main import main; main()", *map(str, arguments)]


def infinity_mm(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `infinity-mm` in a process of its own."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)
