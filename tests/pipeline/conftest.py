"""A model behind an endpoint, recipes that ask it, and sources of pictures by URL, known to all that is started here."""

import json
import os
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from PIL import Image

import infinity_mm.sources
from tests.download.server import Server
from tests.inline import InlineEngine
from tests.pipeline.served import Served
from tests.running import two_cpus

PROBE = Path(__file__).parent / "probe"
REPOSITORY = Path(__file__).parents[2]


def picture(number: int) -> bytes:
    """Return a PNG that no other number gives."""
    stream = BytesIO()
    Image.effect_noise((40, 30), 60 + number % 40).resize((40, 30)).save(stream, "PNG")
    image = Image.open(BytesIO(stream.getvalue()))
    image.putpixel((0, 0), number % 256)
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def web() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(scope="module")
def probe() -> Iterator[None]:
    """Make `probe_pairs` and `probe_documents` sources, here and in every process started from here.

    Runs that ask for no number of workers share a Ray node that knows them too.
    """
    paths = [str(PROBE / "site"), str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        patch.setattr(infinity_mm.sources, "__path__", [*infinity_mm.sources.__path__, str(PROBE / "sources")])
        with two_cpus() as address:
            patch.setenv("RAY_ADDRESS", address)
            yield


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes the rows of a source and returns its root."""

    def write(name: str, rows: list[dict[str, object]]) -> str:
        root = tmp_path / "roots" / name
        root.mkdir(parents=True, exist_ok=True)
        (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(root)

    return write


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make runs of this process do without Ray."""
    monkeypatch.setattr("infinity_mm.pipeline.run.Engine", InlineEngine)


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def write_served(demo_input: Path, tmp_path: Path, served: Served) -> Callable[..., Path]:
    """Return a function that writes a recipe over `limit` rows of one source and returns its path.

    Its model is `served`, its judge is not measured; keyword arguments are keys of its `synth` and replace these.
    """

    def write(limit: int = 80, **synth: object) -> Path:
        tree = {
            "name": "small",
            "partition_rows": 100,
            "sources": [{"name": "llava_mix665k", "root": str(demo_input / "llava_mix665k"), "limit": limit}],
            "dedup": {"mode": "off"},
            "export": [{"name": "pq", "format": "parquet", "samples_per_shard": 500}],
            "synth": {"model": served.spec(), "judge_probe": {"rows": 0}} | synth,
        }
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(tree))
        return path

    return write
