"""Perceptual hashes and their pairs: speed against imagehash, recall against it, exact pairs against a numpy sort join.

``python -m benchmarks.dedup_images [--pictures N] [--hashes N]``. CPU seconds (user and system) of this process;
compare lines of one run, not runs. Hashes are uniform, or clustered as copies are: families of Zipf sizes whose members
differ from their centre by a few bits.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from typing import Literal

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from benchmarks.processes import peak_of
from infinity_mm.dedup.hamming import groups_of, near_blocks, near_hashes
from infinity_mm.dedup.image.facts import PictureFacts, picture_facts
from infinity_mm.dedup.image.params import ImageParams
from infinity_mm.demo.photos import PHOTOS, load
from infinity_mm.images import ImageLimits

SIZES = ((640, 480), (1920, 1080))
RADII = (0, 4, 8, 10)
Kind = Literal["uniform", "clustered"]


def cpu(function: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    before = time.process_time()
    function()
    return time.process_time() - before


def encoded(image: Image.Image, quality: int = 90) -> bytes:
    """Return a JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def scenes(count: int, size: tuple[int, int], seed: int) -> list[Image.Image]:
    """Return crops of the photographs that the demo uses."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        photo = load(PHOTOS[number % len(PHOTOS)]).convert("RGB")
        left, top = (int(rng.integers(0, max(1, side // 3))) for side in photo.size)
        crop = photo.crop((left, top, left + photo.width * 2 // 3, top + photo.height * 2 // 3))
        found.append(crop.resize(size, Image.Resampling.LANCZOS))
    return found


def ours(data: bytes) -> int:
    """Return the hash of `infinity-mm dedup images`."""
    facts = picture_facts(data, ImageParams(), ImageLimits())
    assert isinstance(facts, PictureFacts)
    return facts.phash


def theirs(data: bytes) -> int:
    """Return imagehash's."""
    return int(str(imagehash.phash(Image.open(io.BytesIO(data)))), 16)


def bench_hashing(count: int) -> Table:
    """Time decoding and hashing; ours also measures contrast, thumbnail and a digest of the file."""
    table = Table(title="pHash with decoding, JPEG quality 90")
    for name in ("size", "pictures", "ours per CPU s", "imagehash per CPU s", "ratio"):
        table.add_column(name, justify="right")
    for size in SIZES:
        data = [encoded(image) for image in scenes(count, size, 1)]
        mine, other = cpu(partial(list, map(ours, data))), cpu(partial(list, map(theirs, data)))
        rates = [f"{count / mine:,.0f}", f"{count / other:,.0f}", f"{other / mine:.2f}"]
        table.add_row(f"{size[0]}x{size[1]}", str(count), *rates)
    return table


def copies(image: Image.Image, rng: np.random.Generator) -> dict[str, bytes]:
    """Return copies of a picture as they occur on the web."""
    width, height = image.size
    marked = image.copy()
    ImageDraw.Draw(marked).text(
        (width // 20, height - height // 10), "example.org", fill="white", font_size=height // 16
    )
    cut = max(1, int(min(width, height) * 0.02))
    scale = float(rng.uniform(0.4, 0.85))
    return {
        "JPEG again": encoded(image, int(rng.integers(30, 85))),
        "resized": encoded(image.resize((int(width * scale), int(height * scale)), Image.Resampling.BILINEAR), 80),
        "watermark": encoded(marked, 85),
        "cropped 2 %": encoded(image.crop((cut, cut, width - cut, height - cut)), 85),
    }


def bench_recall(count: int) -> Table:
    """Count which share of copies each hash finds at some radii."""
    rng = np.random.default_rng(5)
    kinds: dict[str, list[tuple[int, int]]] = {}
    for image in scenes(count, (1280, 960), 2):
        data = encoded(image, 92)
        mine, other = ours(data), theirs(data)
        for kind, copy in copies(image, rng).items():
            apart = ((ours(copy) ^ mine).bit_count(), (theirs(copy) ^ other).bit_count())
            kinds.setdefault(kind, []).append(apart)
    kinds["all"] = [apart for found in kinds.values() for apart in found]
    table = Table(title=f"share of copies within a radius, {count} scenes of 1280x960: ours / imagehash")
    for name in ("copy", *(f"radius {radius}" for radius in RADII)):
        table.add_column(name, justify="left" if name == "copy" else "right")
    for kind, found in kinds.items():
        shares = [[np.mean([pair[side] <= radius for pair in found]) for side in (0, 1)] for radius in RADII]
        table.add_row(kind, *(f"{mine:.3f} / {other:.3f}" for mine, other in shares))
    return table


def uniform(count: int, rng: np.random.Generator) -> NDArray[np.uint64]:
    """Return hashes without any structure."""
    return rng.integers(0, 1 << 64, count, dtype=np.uint64)


def clustered(count: int, rng: np.random.Generator) -> NDArray[np.uint64]:
    """Return hashes of which half are alone and half in families; members differ from the centre by up to 6 bits."""
    centres = uniform(count // 8, rng)
    weights = np.minimum(rng.zipf(1.8, len(centres)), 1_000).astype(float)
    members = centres[rng.choice(len(centres), count - count // 2, p=weights / weights.sum())]
    for _ in range(6):
        flips = np.uint64(1) << rng.integers(0, 64, len(members), dtype=np.uint64)
        members = np.where(rng.random(len(members)) < 0.5, members ^ flips, members)
    return np.concatenate([uniform(count // 2, rng), members])


#: How hashes lie.
MAKERS: dict[Kind, Callable[[int, np.random.Generator], NDArray[np.uint64]]] = {
    "uniform": uniform,
    "clustered": clustered,
}


def sort_join(hashes: NDArray[np.uint64], radius: int) -> int:
    """Count pairs as one would in a few lines of numpy: radius + 1 bands, equal bands meet, popcount decides."""
    hashes = np.unique(hashes)
    edges = [64 * band // (radius + 1) for band in range(radius + 2)]
    found = [np.empty(0, np.int64)]
    for low, high in pairwise(edges):
        keys = hashes >> np.uint64(low) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(keys, kind="stable")
        ordered, keys = hashes[order], keys[order]
        step = 1
        while step < len(keys) and (equal := np.flatnonzero(keys[step:] == keys[:-step])).size:
            near = equal[np.bitwise_count(ordered[equal] ^ ordered[equal + step]) <= radius]
            a, b = order[near], order[near + step]
            found.append(np.minimum(a, b).astype(np.int64) * len(hashes) + np.maximum(a, b))
            step += 1
    return len(np.unique(np.concatenate(found)))


def time_pairs(kind: Kind, count: int, radius: int) -> tuple[int, float, int]:
    """Return how many pairs there are, the CPU seconds that they took, and the process's peak in MiB.

    Pairs are handed on in blocks, as deduplication takes them; distinct hashes are found inside the measured time.
    """
    near_hashes(uniform(10_000, np.random.default_rng(0)), radius)  # compiled, or loaded, before the clock runs
    hashes = MAKERS[kind](count, np.random.default_rng(7))
    before = time.process_time()
    pairs = sum(len(block) for block in near_blocks(groups_of(hashes)[0], radius))
    return pairs, time.process_time() - before, peak_of(os.getpid()) >> 20


def bench_pairs(counts: list[int], rival_up_to: int) -> Table:
    """Time all pairs within a radius, exact; each in a process of its own."""
    table = Table(title="all pairs within a radius, exact")
    for name in ("hashes", "kind", "radius", "pairs", "ours, CPU s", "peak MiB", "numpy, CPU s"):
        table.add_column(name, justify="right")
    for count in counts:
        for kind, make in MAKERS.items():
            for radius in (4, 8) if count > 1_000_000 else (4, 8, 10):
                with ProcessPoolExecutor(1, get_context("spawn")) as process:
                    pairs, seconds, peak = process.submit(time_pairs, kind, count, radius).result()
                rival = "-"
                if count <= rival_up_to and radius == 4:
                    hashes = make(count, np.random.default_rng(7))
                    before = time.process_time()
                    assert sort_join(hashes, radius) == pairs, "both are exact"
                    rival = f"{time.process_time() - before:.2f}"
                table.add_row(f"{count:,}", kind, str(radius), f"{pairs:,}", f"{seconds:.2f}", f"{peak:,}", rival)
    return table


def main() -> None:
    """Run all and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dedup_images", description=__doc__)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--hashes", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--rival-up-to", type=int, default=1_000_000, help="largest set given to the numpy join")
    chosen = parser.parse_args()
    console = Console()
    console.print(bench_pairs(chosen.hashes, chosen.rival_up_to))
    console.print(bench_hashing(chosen.pictures))
    console.print(bench_recall(chosen.pictures))


if __name__ == "__main__":
    main()
