"""`python -m benchmarks.generations`: what the generation cache costs with many entries.

Adds generations as partitions do (a file each, merged where there are many), then looks partitions up: 16 pictures, all
that was ever asked about each. Prints CPU and wall seconds, bytes and files. Ten million entries take about 20 minutes
and 3 GB in a temporary folder; `--entries 1000000`, the default, two minutes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time

import numpy as np
import pyarrow as pa

from infinity_mm.fs import Location
from infinity_mm.synth.cache.entries import ENTRIES
from infinity_mm.synth.cache.files import GenerationFiles
from infinity_mm.synth.cache.key import PLACE

#: Entries of a picture: its tags, and classify, generate and judge for five questions.
PER_PICTURE = 16
#: Pictures of a partition, and how many partitions are looked up.
PARTITION = 16
LOOKS = 50
_ENGINE = '{"batch_invariant":false,"engine":"vllm","model":"owner/model-7B","revision":"0123","version":"vllm 0.1"}'
_WORDS = [f"word{number}" for number in range(2_000)]


def entries(number: int, pictures: int) -> pa.Table:
    """Return a file's worth of entries about new pictures, sorted, with answers of 20 to 60 words."""
    random = np.random.default_rng(number)
    places = [f"{place:016x}" for place in sorted(random.integers(0, 1 << 63, pictures).tolist())]
    keys: list[str] = []
    for place in places:
        rest = random.bytes(16 * PER_PICTURE).hex()
        keys += sorted(place + rest[32 * k : 32 * (k + 1)] for k in range(PER_PICTURE))
    count = len(keys)
    texts = [
        " ".join(_WORDS[w] for w in row[:size])
        for row, size in zip(random.integers(0, len(_WORDS), (count, 60)), random.integers(20, 60, count), strict=True)
    ]
    columns = {
        "key": keys,
        "text": texts,
        "finish_reason": ["stop"] * count,
        "attempts": [1] * count,
        "prompt_tokens": random.integers(300, 900, count),
        "completion_tokens": random.integers(20, 90, count),
        "prompt_file": ["generate.v1"] * count,
        "engine": [_ENGINE] * count,
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in ENTRIES], schema=ENTRIES)


def main() -> None:
    """Build a cache, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--pictures", type=int, default=512, help="pictures of one added file (a partition has 16)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="infinity-mm-generations-") as folder:
        files = GenerationFiles(Location.of(folder))
        count = options.entries // (options.pictures * PER_PICTURE)
        adding, wall = 0.0, time.monotonic()
        for number in range(count):
            table = entries(number, options.pictures)
            began = time.process_time()
            files.add(table)
            files.compact()
            adding += time.process_time() - began
        total = files.rows()
        names = files.root.files()
        size = sum((files.root / name).size() for name in names)
        print(
            f"{total:,} entries in {len(names):,} files, {size / 1e6:,.0f} MB; made in {time.monotonic() - wall:,.0f} s"
        )
        print(f"adding and merging: {adding:,.0f} CPU s, {adding / total * 1e6:,.1f} microseconds an entry")
        random = np.random.default_rng(1)
        seconds, cpu = [], []
        for number in random.integers(0, count, LOOKS):
            keys = entries(int(number), options.pictures).column("key").to_pylist()
            places = {keys[k * PER_PICTURE][:PLACE] for k in random.choice(options.pictures, PARTITION, replace=False)}
            began, before = time.monotonic(), time.process_time()
            found = files.find(places)
            seconds.append(time.monotonic() - began)
            cpu.append(time.process_time() - before)
            if found.num_rows != PARTITION * PER_PICTURE:
                raise SystemExit(f"found {found.num_rows} entries of {PARTITION * PER_PICTURE}")
        print(
            f"a partition's look, {PARTITION} pictures, {PARTITION * PER_PICTURE} entries: median "
            f"{statistics.median(seconds) * 1e3:,.0f} ms, slowest {max(seconds) * 1e3:,.0f} ms, "
            f"{statistics.mean(cpu) * 1e3:,.0f} CPU ms"
        )


if __name__ == "__main__":
    main()
