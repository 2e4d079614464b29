"""Sources of pictures by URL, known to this process and to all that it starts."""

import json
import os
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

import infinity_mm.sources
from tests.download.server import Server

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


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `probe_pairs` and `probe_documents` sources, here and in every process started from here."""
    paths = [str(PROBE / "site"), str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setattr(infinity_mm.sources, "__path__", [*infinity_mm.sources.__path__, str(PROBE / "sources")])


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes the rows of a source and returns its root."""

    def write(name: str, rows: list[dict[str, object]]) -> str:
        root = tmp_path / "roots" / name
        root.mkdir(parents=True, exist_ok=True)
        (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(root)

    return write
