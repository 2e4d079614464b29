"""Small evaluation sets and data that leaks them."""

import base64
import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images

from infinity_mm.decontam.build import BuildJob, build
from infinity_mm.decontam.check import CheckJob, check
from infinity_mm.decontam.index import BenchmarkEntry
from infinity_mm.decontam.params import IndexParams, MatchParams
from infinity_mm.fs import Location
from infinity_mm.progress import Reporter


def scenes(count: int) -> list[Image.Image]:
    """Return crops of photographs, no two of the same place."""
    whole = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    boxes = [(left, top, left + 200, top + 200) for top in (0, 210) for left in (0, 210, 420)]
    found = [image.crop(box) for image in whole for box in boxes]
    assert count <= len(found)
    return found[:count]


def chart(height: int, side: int = 400) -> Image.Image:
    """Return a chart of one bar: its perceptual hash is nearly that of any other."""
    page = Image.new("RGB", (side, 300), "white")
    draw = ImageDraw.Draw(page)
    draw.line((40, 20, 40, 280, 380, 280), fill="black", width=2)
    draw.rectangle((100, 280 - height, 160, 280), fill="steelblue")
    return page


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(seed: int) -> bytes:
    """Return a picture of nothing that any photograph shows."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return encoded(Image.fromarray(small).resize((160, 160), Image.Resampling.BICUBIC))


def write_tsv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as VLMEvalKit does: tabs, quoted where needed, pictures in base64."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in row.items()})


def make(name: str, place: Path, out: Path, workers: int = 2, **columns: str) -> BenchmarkEntry:
    params = IndexParams(answers=columns.pop("answers", "") == "yes")
    job = BuildJob(name, str(place), Location.of(str(out)), params, columns, (), workers)
    return build(job, Reporter(quiet=True))


def find(index: Path, place: Path, out: Path, workers: int = 2, **params: Any) -> dict[str, Any]:
    job = CheckJob(
        index=Location.of(str(index)),
        input=str(place),
        out=Location.of(str(out)),
        params=MatchParams(**params),
        benchmarks=(),
        image_column=None,
        text_columns=(),
        id_column=None,
        image_roots=(),
        decode="full",
        workers=workers,
    )
    return check(job, Reporter(quiet=True))


def leaks(out: Path) -> dict[str, tuple[str, str]]:
    """Return id -> (item, kind) of a checked folder."""
    return {row["id"]: (row["item"], row["kind"]) for row in pq.read_table(out / "leaks.parquet").to_pylist()}
