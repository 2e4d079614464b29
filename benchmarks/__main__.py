"""`make bench`: signatures against datasketch, perceptual hashes against imagehash, Hamming pairs, whole ingestion.

Prints CPU seconds (user and system, this process) and rates. The machine's load shows in the figures:
compare lines of one run, not runs.
"""

from __future__ import annotations

import argparse
import io
import random
import time
from collections.abc import Callable

import imagehash
import numpy as np
import pyarrow as pa
from datasketch import MinHash
from PIL import Image
from rich.console import Console
from rich.table import Table

from infinity_mm.dedup.hamming import near_pairs
from infinity_mm.dedup.kernels.hashing import permutations, sha1_shingles, shingles, signatures
from infinity_mm.dedup.kernels.normal import tokenise
from infinity_mm.images import ImageLimits, measure_image


def cpu(function: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    before = time.process_time()
    function()
    return time.process_time() - before


def texts(count: int, seed: int) -> list[list[str]]:
    """Return documents of 50 to 400 words, word frequencies as Zipf's."""
    rng = np.random.default_rng(seed)
    vocabulary = [f"w{n}" for n in range(30_000)]
    sizes = rng.integers(50, 400, count)
    return [[vocabulary[w] for w in np.minimum(rng.zipf(1.3, size), 30_000) - 1] for size in sizes]


def photographs(count: int, seed: int) -> list[bytes]:
    """Return JPEGs of 640 x 480: crops of the photographs that the demo uses."""
    from infinity_mm.demo.photos import PHOTOS, load

    rng = random.Random(seed)
    pictures = []
    for number in range(count):
        image = load(PHOTOS[number % len(PHOTOS)]).convert("RGB")
        left, top = rng.randrange(max(1, image.width // 3)), rng.randrange(max(1, image.height // 3))
        crop = image.crop((left, top, image.width, image.height)).resize((640, 480))
        buffer = io.BytesIO()
        crop.save(buffer, "JPEG", quality=90)
        pictures.append(buffer.getvalue())
    return pictures


def bench_signatures(count: int) -> list[tuple[str, float, float]]:
    """Time signatures of the same documents, word 5-grams, 128 permutations."""
    documents = texts(count, 1)
    column = pa.array([" ".join(words) for words in documents])
    signatures(*shingles(tokenise(column[:1]), 5), *permutations(128, 1))  # compiled code is loaded

    def theirs() -> None:
        for words in documents:
            sketch = MinHash(num_perm=128)
            sketch.update_batch([" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)])

    ours = cpu(lambda: signatures(*shingles(tokenise(column), 5), *permutations(128, 1)))
    same = cpu(lambda: signatures(*sha1_shingles(tokenise(column), 5), *permutations(128, 1)))
    return [
        ("signature, ours", count, ours),
        ("signature, ours, sha1", count, same),
        ("signature, datasketch", count, cpu(theirs)),
    ]


def bench_pictures(count: int) -> list[tuple[str, float, float]]:
    """Time everything ingestion measures of a picture, and imagehash's pHash alone."""
    pictures = photographs(count, 2)
    limits = ImageLimits()
    ours = cpu(lambda: [measure_image(data, limits) for data in pictures])
    theirs = cpu(lambda: [imagehash.phash(Image.open(io.BytesIO(data))) for data in pictures])
    return [
        ("640x480 JPEG, all facts, ours", count, ours),
        ("640x480 JPEG, phash, imagehash", count, theirs),
    ]


def bench_hamming(count: int) -> list[tuple[str, float, float]]:
    """Time all pairs within 8 bits, hashes clustered as copies of pictures are."""
    rng = np.random.default_rng(3)
    centres = rng.integers(0, 2**63, count // 2, dtype=np.uint64)
    copies = centres ^ (np.uint64(1) << rng.integers(0, 63, count // 2, dtype=np.uint64))
    hashes = np.unique(np.concatenate([centres, copies]))
    return [("pairs within 8 bits, exact", len(hashes), cpu(lambda: near_pairs(hashes, 8)))]


def main() -> None:
    """Run all and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--hashes", type=int, default=100_000)
    sizes = parser.parse_args()
    table = Table(title="one process, CPU seconds")
    for name in ("what", "items", "CPU s", "items per CPU s"):
        table.add_column(name, justify="left" if name == "what" else "right")
    lines = bench_signatures(sizes.documents) + bench_pictures(sizes.pictures) + bench_hamming(sizes.hashes)
    for what, items, seconds in lines:
        table.add_row(what, f"{items:,}", f"{seconds:.2f}", f"{items / seconds:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
