"""`make bench`: signatures, texts, pictures and their pairs, downloads, ingestion; deduplication, synthesis under Ray.

Prints CPU seconds (user and system), ratios and rates. The machine's load shows in the figures: compare lines of one
run, not runs. Rivals have environments of their own: `--rival-python` names one with img2dataset, `--text-python` one
with daft, datasketch or rensa; without them only this project is measured, and imagehash, datasketch and numpy in this
process. `benchmarks.download`, `.ingest`, `.dedup_text`, `.dedup_images`, `.dedup_pipeline` and `.synthesis` say what
is measured there. All of it takes more than an hour and some 20 GB of temporary files, half of that for the sizes of
ten million (`--texts 100000 1000000 --phashes 100000 1000000` leaves them out); `--only small download` takes a minute.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import imagehash
import numpy as np
import pyarrow as pa
from datasketch import MinHash
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks import dedup_images, dedup_pipeline, dedup_text, download, ingest, synthesis
from benchmarks.photographs import photographs
from infinity_mm.dedup.hamming import near_pairs
from infinity_mm.dedup.kernels.hashing import permutations, sha1_shingles, shingles, signatures
from infinity_mm.dedup.kernels.normal import tokenise
from infinity_mm.images import ImageLimits, measure_image

PARTS = ("small", "text", "images", "download", "ingest", "dedup", "synth")


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


def bench_small(documents: int, pictures: int, hashes: int) -> None:
    """Run what is measured in this process and print one table."""
    table = Table(title="one process, CPU seconds")
    for name in ("what", "items", "CPU s", "items per CPU s"):
        table.add_column(name, justify="left" if name == "what" else "right")
    lines = bench_signatures(documents) + bench_pictures(pictures) + bench_hamming(hashes)
    for what, items, seconds in lines:
        table.add_row(what, f"{items:,}", f"{seconds:.2f}", f"{items / seconds:,.0f}")
    Console().print(table)


def main() -> None:
    """Run all, or what `--only` names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--hashes", type=int, default=100_000)
    parser.add_argument("--urls", type=int, default=5_000, help="to be downloaded from loopback")
    parser.add_argument("--rival-python", help="interpreter of an environment with img2dataset")
    parser.add_argument(
        "--texts", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000], help="documents of about 225 words"
    )
    parser.add_argument("--text-python", help="interpreter of an environment with daft, datasketch or rensa")
    parser.add_argument("--rivals", nargs="*", default=["daft"], choices=dedup_text.RIVALS, help="of those, for texts")
    parser.add_argument(
        "--phashes", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000], help="to be joined within 8 bits"
    )
    parser.add_argument("--ingested", type=int, default=3_000, help="pictures of the ingested source")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the sizes of the large files: 1.5 and 2 GB")
    parser.add_argument("--records", type=int, default=100_000, help="of the deduplication stage; its bar is for 1M")
    parser.add_argument("--asked", type=int, default=synthesis.PICTURES, help="pictures of the synthesis")
    given = parser.parse_args()
    if "small" in given.only:
        bench_small(given.documents, given.pictures, given.hashes)
    if "text" in given.only:
        costs = {}
        for count in given.texts:
            with tempfile.TemporaryDirectory() as folder:
                costs[count] = dedup_text.compare(count, given.text_python, given.rivals, Path(folder), None)
        dedup_text.print_growth(costs)
    if "images" in given.only:
        for table in (
            dedup_images.bench_pairs(given.phashes, 1_000_000),
            dedup_images.bench_hashing(60),
            dedup_images.bench_recall(60),
        ):
            Console().print(table)
    if "download" in given.only:
        with tempfile.TemporaryDirectory() as folder:
            download.compare(given.urls, given.rival_python, Path(folder))
    if "ingest" in given.only:
        ingest.compare(given.ingested, given.scale)
    if "dedup" in given.only:
        with tempfile.TemporaryDirectory() as folder:
            dedup_pipeline.compare(given.records, None, Path(folder))
    if "synth" in given.only:
        synthesis.compare(given.asked, 2, synthesis.Cut())


if __name__ == "__main__":
    main()
