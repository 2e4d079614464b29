"""Ingestion: a local LLaVA source against a plain loop on one core, and a worker's memory on large files.

``python -m benchmarks.ingest [--pictures N] [--scale X] [--skip speed|ray|memory ...] [--large TITLE ...]``. Every
contender is a process of its own that measures itself: CPU seconds, user and system, of all its threads, from after
the imports to the end.

Speed: N files of 640 x 480 JPEG. This side is `ingest_split` over all splits, without Ray. The plain loop
opens each file, decodes it, hashes file (SHA-256), pixels (SHA-256) and picture (imagehash's pHash), and writes the
same bytes to Parquet. Both run in turn, several times; the least CPU seconds of each count. Then the
command `infinity-mm ingest` with one worker, charged for all the processes that it starts, Ray's start and end stated
apart: the same command on ten rows.

Memory: the largest resident set of a process that plans and ingests a file of the size that `--scale 1` gives; the
files are made in a temporary folder, one at a time, and deleted. Beside it what the imports alone take, and the CPU
seconds: of planning, and of all.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import imagehash
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks import large_files
from benchmarks.photographs import photographs
from benchmarks.processes import Tree, run_tree
from infinity_mm.fs import Location
from infinity_mm.pipeline.ingest import IngestTask, ingest_split, make_tasks
from infinity_mm.pipeline.planning import make_task, plan_source, read_plan
from infinity_mm.recipe import Recipe, SourceUse
from infinity_mm.store import GROUP_ROWS, Store

#: Different pictures among the files: making one costs more than ingesting it.
DISTINCT = 300
ROUNDS = 3
START_ROWS = 10
BAR_SHARE, BAR_BYTES = 0.7, 1.5 * 2**30
ROWS = Recipe.model_fields["partition_rows"].default


@dataclass(frozen=True)
class Cost:
    """What one contender took: seconds, and bytes of the largest resident set, at the end and after the imports."""

    items: int
    cpu: float
    wall: float
    peak: int
    imported: int
    #: CPU seconds of planning, part of `cpu` where planning is measured.
    planning: float = 0.0


def peak() -> int:
    """Return the largest resident set of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured(work: Callable[[], int]) -> Cost:
    """Return what `work`, which returns how many items it did, costs this process."""
    imported, cpu, wall = peak(), time.process_time(), time.perf_counter()
    items = work()
    return Cost(items, time.process_time() - cpu, time.perf_counter() - wall, peak(), imported)


def ingest(name: str, root: Path, work: Path, plan_counts: bool) -> Cost:
    """Plan and ingest one source in this process; planning is charged where `plan_counts`."""
    use = SourceUse(name=name, root=Location.of(root).uri)
    store = Store(Location.of(work))
    seconds = 0.0

    def planned() -> list[IngestTask]:
        nonlocal seconds
        began = time.process_time()
        task = make_task(store, use, ROWS)
        plan_source(task)
        tasks = make_tasks(store.work, use, use.load(), read_plan(store, task.output))
        seconds = time.process_time() - began
        return tasks

    ready = None if plan_counts else planned()

    def run() -> int:
        tasks = ready or planned()
        for task in tasks:
            ingest_split(task)
        return sum(task.rows for task in tasks)

    cost = measured(run)
    return Cost(**{**asdict(cost), "planning": seconds})


def plain(root: Path, out: Path) -> Cost:
    """Decode, hash and write the same pictures in a loop."""
    rows = orjson.loads((root / "llava_v1_5_mix665k.json").read_bytes())
    names = ("sha256", "pixels", "phash", "width", "height", "text", "picture")
    kinds = (pa.string(), pa.string(), pa.string(), pa.int32(), pa.int32(), pa.string(), pa.large_binary())
    schema = pa.schema(list(zip(names, kinds, strict=True)))

    def facts(row: dict[str, object]) -> tuple[object, ...]:
        data = (root / str(row["image"])).read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            rgb = image.convert("RGB")
        digests = hashlib.sha256(data).hexdigest(), hashlib.sha256(rgb.tobytes()).hexdigest()
        text = orjson.dumps(row["conversations"]).decode()
        return (*digests, str(imagehash.phash(rgb)), rgb.width, rgb.height, text, data)

    def run() -> int:
        with pq.ParquetWriter(out / "plain.parquet", schema, compression="none", use_dictionary=False) as writer:
            for start in range(0, len(rows), GROUP_ROWS):
                columns = zip(*map(facts, rows[start : start + GROUP_ROWS]), strict=True)
                arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
                writer.write_table(pa.table(arrays, schema=schema))
        return len(rows)

    return measured(run)


def child(*words: str | Path) -> Cost:
    """Run a contender in a process of its own and return what it says that it took."""
    command = [sys.executable, "-m", "benchmarks.ingest", *map(str, words)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Cost(**json.loads(answer.splitlines()[-1]))


def command(root: Path, work: Path) -> Tree:
    """Run `infinity-mm ingest` with one worker."""
    program = "from infinity_mm.cli.main import main; main()"
    words = ["ingest", "llava_mix665k", "--root", str(root), "--work", str(work), "--workers", "1"]
    return run_tree([sys.executable, "-c", program, *words])


def llava(folder: Path, count: int) -> Path:
    """Write a LLaVA source of `count` pictures and read it once, so that no contender waits for the disk."""
    (folder / "images").mkdir(parents=True)
    pictures = photographs(min(count, DISTINCT), 2)
    rows = []
    for number in range(count):
        name = f"images/{number:06d}.jpg"
        (folder / name).write_bytes(pictures[number % len(pictures)])
        rows.append(large_files.llava_row(number, name, 600))
    (folder / "llava_v1_5_mix665k.json").write_bytes(orjson.dumps(rows))
    return folder


def compare_speed(count: int, folder: Path) -> None:
    """Print pictures per CPU second of both sides and their ratio."""
    root = llava(folder / "llava", count)
    print(f"{count:,} JPEGs of 640 x 480, one process, least of {ROUNDS} runs")
    costs: dict[str, list[Cost]] = {"ours": [], "plain": []}
    for number in range(ROUNDS):
        for role in costs:
            out = folder / f"{role}-{number}"
            out.mkdir()
            costs[role].append(child(role, "llava_mix665k", root, out))
    best = {role: min(found, key=lambda cost: cost.cpu) for role, found in costs.items()}
    for role, title in (("ours", "ingest_split"), ("plain", "plain loop")):
        cost = best[role]
        print(f"  {title:24}{cost.cpu:8.2f} CPU s{cost.items / cost.cpu:8.0f} pictures per CPU s")
    share = best["plain"].cpu / best["ours"].cpu
    print(f"  share of the plain loop {share:.0%} (bar {BAR_SHARE:.0%}: {'met' if share >= BAR_SHARE else 'MISSED'})")


def compare_command(count: int, folder: Path) -> None:
    """Print what the command takes, with Ray, and what of it ten rows take."""
    roots = {"start": START_ROWS, "llava": count}
    cost = {}
    for name, rows in roots.items():
        root = folder / name if (folder / name).is_dir() else llava(folder / name, rows)
        cost[name] = command(root, folder / f"work-{name}")
    start, whole = cost["start"], cost["llava"]
    print(
        f"infinity-mm ingest, one worker, {count:,} pictures: {whole.wall:.1f} s, {whole.cpu:.1f} CPU s, all processes"
    )
    print(f"  of which Ray's start and end, as for {START_ROWS} rows: {start.wall:.1f} s, {start.cpu:.1f} CPU s")
    print(f"  without: {(count - START_ROWS) / (whole.cpu - start.cpu):.0f} pictures per CPU s")


def compare_memory(scale: float, only: Sequence[str]) -> None:
    """Print the largest resident set of a process that plans and ingests each large file."""
    print(f"{'one worker':44}{'file':>10}{'rows':>11}{'plan s':>8}{'CPU s':>8}{'imports':>9}{'peak':>10}")
    for large in large_files.ALL:
        if only and large.title not in only:
            continue
        with tempfile.TemporaryDirectory() as name:
            root, work = Path(name) / "root", Path(name) / "work"
            root.mkdir()
            # In a process of its own: what this one holds, a forked child starts with.
            subprocess.run([sys.executable, "-m", "benchmarks.large_files", large.title, root, str(scale)], check=True)
            size = max(path.stat().st_size for path in root.rglob("*") if path.is_file())
            cost = child("plan", large.source, root, work)
            verdict = "" if cost.peak < BAR_BYTES else "  MISSED"
            print(
                f"{large.title:44}{size / 2**30:6.2f} GiB{cost.items:11,}{cost.planning:8.1f}{cost.cpu:8.1f}"
                f"{cost.imported >> 20:5} MiB{cost.peak >> 20:6} MiB{verdict}",
                flush=True,
            )


def compare(count: int, scale: float, skip: Sequence[str] = (), only: Sequence[str] = ()) -> None:
    """Measure speed and memory and print both; `only` names large files, () takes all."""
    with tempfile.TemporaryDirectory() as folder:
        if "speed" not in skip:
            compare_speed(count, Path(folder))
        if "ray" not in skip:
            compare_command(count, Path(folder))
    if "memory" not in skip:
        compare_memory(scale, only)


def main() -> None:
    """Parse what to do; the contenders are this module too."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description="Speed and memory of ingestion")
    parser.add_argument("role", nargs="?", default="compare", choices=("compare", "ours", "plain", "plan"))
    parser.add_argument("words", nargs="*")
    parser.add_argument("--pictures", type=int, default=3_000)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the large files' sizes")
    parser.add_argument("--skip", nargs="*", default=[], choices=("speed", "ray", "memory"))
    parser.add_argument("--large", nargs="*", default=[], choices=[large.title for large in large_files.ALL])
    given = parser.parse_args()
    if given.role == "compare":
        compare(given.pictures, given.scale, given.skip, given.large)
        return
    name, root, out = given.words[0], Path(given.words[1]), Path(given.words[2])
    cost = plain(root, out) if given.role == "plain" else ingest(name, root, out, given.role == "plan")
    print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    main()
