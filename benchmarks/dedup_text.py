"""`infinity-mm dedup text` against other libraries: CPU seconds, memory, recall and precision, on the same documents.

``python -m benchmarks.dedup_text [--count N] [--rival-python PYTHON]``, where PYTHON belongs to an environment with
daft, datasketch or rensa (and pyarrow, numpy, scipy). Input and output are files. Each contender is a process of its
own and is charged the CPU seconds, user and system, of its whole process tree; memory is the largest resident set of
a process.

Recall is the share of the truly similar pairs of which at most one document survives. Precision is the share of the
removed documents whose true similarity to their own kept winner reaches the threshold; for rivals, which name no
winner, to any document that they keep. Truth: word 5-grams as sets, all pairs within the planted families, and a
sample compared with itself to show that there is nothing to find outside of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.corpus import Corpus, Truth, jaccard, strangers, truth_of
from benchmarks.processes import peak_of

THRESHOLD = 0.7
RIVALS = ("daft", "rensa", "datasketch")
SAMPLE = 2_000


@dataclass(frozen=True)
class Cost:
    """What one run of a contender took: CPU seconds, of them the system's, seconds on the clock; memory in bytes."""

    cpu: float
    system: float
    wall: float
    memory: int


def measured(command: list[str]) -> Cost | str:
    """Run a contender and charge it for its process tree; returns its last words where it fails."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        peak = 0
        while True:
            peak = max(peak, peak_of(process.pid))
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            time.sleep(0.02)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().strip().splitlines()
    if process.returncode != 0:
        return lines[-1] if lines else f"exit status {process.returncode}"
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_stime, time.perf_counter() - began, peak)


def ours(folder: Path, out: Path, workers: int | None) -> list[str]:
    """Return the command as a user types it."""
    program = "from infinity_mm.cli.main import main; main()"
    command = [
        *(sys.executable, "-c", program, "dedup", "text", "--input", str(folder / "*.parquet")),
        *("--text-column", "text", "--id-column", "id", "--threshold", str(THRESHOLD), "--out", str(out)),
    ]
    return command if workers is None else [*command, "--workers", str(workers)]


def losses_of(corpus: Corpus, path: Path) -> dict[int, int | None]:
    """Return removed row -> winner (None where the contender names none), by row number."""
    rows = {name: row for row, name in enumerate(corpus.ids(np.arange(corpus.count)))}
    if path.suffix != ".parquet":
        return {rows[name]: None for name in path.read_text().split()}
    table = pq.read_table(path)
    lost, winners = (table.column(name).to_pylist() for name in ("id", "winner"))
    return {rows[one]: rows[other] for one, other in zip(lost, winners, strict=True)}


def recall_of(losses: dict[int, int | None], truth: Truth) -> float:
    """Return the share of similar pairs of which at most one survives."""
    gone = np.array([one in losses or other in losses for one, other in truth.pairs.tolist()])
    return float(gone.mean())


def precision_of(
    losses: dict[int, int | None], truth: Truth, families: dict[int, list[int]], base: np.ndarray
) -> float:
    """Return the share of the removed rows that are similar enough to their winner, or to any kept row."""
    right = 0
    for row, winner in losses.items():
        family = families.get(int(base[row]), [])
        against = [other for other in family if other != row and other not in losses] if winner is None else [winner]
        right += any(
            other not in losses and row in truth.sets and other in truth.sets
            and jaccard(truth.sets[row], truth.sets[other]) >= THRESHOLD
            for other in against
        )  # fmt: skip
    return right / max(1, len(losses))


def compare(count: int, rival: str | None, names: list[str], folder: Path, workers: int | None) -> Cost:
    """Run all contenders on one corpus and print a table; returns what this project took, the first of them."""
    corpus = Corpus(count)
    documents = folder / f"documents-{count}"
    if not documents.exists():
        corpus.write(documents)
    base = corpus.originals(np.arange(count))
    truth = truth_of(corpus, THRESHOLD)
    families: dict[int, list[int]] = {}
    for row in truth.sets:
        families.setdefault(int(base[row]), []).append(row)
    found = strangers(corpus, min(SAMPLE, count), THRESHOLD)
    print(f"{count:,} documents, {len(truth.pairs):,} similar pairs; {found} among {SAMPLE:,} outside of families")
    warm = folder / "warm-up"
    Corpus(1_000).write(warm)
    measured(ours(warm, folder / "warm-up-out", workers))
    contenders = [
        ("infinity-mm dedup text", ours(documents, folder / "ours", workers), folder / "ours/removed.parquet")
    ]
    if rival:
        script = str(Path(__file__).with_name("rivals_text.py"))
        contenders += [
            (name, [rival, script, name, str(documents), str(folder / name)], folder / name) for name in names
        ]
    print(f"{'':24}{'CPU s':>9}{'ratio':>8}{'wall s':>9}{'GiB':>7}{'removed':>10}{'recall':>9}{'precision':>11}")
    first: Cost | None = None
    for name, command, result in contenders:
        cost = measured(command)
        if isinstance(cost, str):
            if first is None:
                raise SystemExit(f"{name} did not run: {cost}")
            print(f"{name:24}  did not run: {cost}")
            continue
        first = first or cost
        losses = losses_of(corpus, result)
        recall, precision = recall_of(losses, truth), precision_of(losses, truth, families, base)
        print(
            f"{name:24}{cost.cpu:9.1f}{cost.cpu / first.cpu:8.2f}{cost.wall:9.1f}{cost.memory / (1 << 30):7.2f}"
            f"{len(losses):10,}{recall:9.4f}{precision:11.4f}",
            flush=True,
        )
    assert first is not None
    return first


def print_growth(costs: dict[int, Cost]) -> None:
    """Print what each size takes for a million documents, and how much more than the size below that is.

    The system's seconds depend on whether pages are at hand for the files between the steps, so they stand apart.
    """
    print(f"{'documents':>12}{'CPU s':>9}{'user s':>9}{'system s':>10}{'per million':>13}{'growth':>9}{'GiB':>7}")
    below = 0.0
    for count, cost in sorted(costs.items()):
        each = cost.cpu / count * 1e6
        growth = f"{each / below - 1:+.0%}" if below else ""
        print(
            f"{count:12,}{cost.cpu:9.1f}{cost.cpu - cost.system:9.1f}{cost.system:10.1f}{each:13.2f}{growth:>9}"
            f"{cost.memory / (1 << 30):7.2f}",
            flush=True,
        )
        below = each


def main() -> None:
    """Parse what to do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rival-python", help="interpreter of an environment with daft, datasketch or rensa")
    parser.add_argument("--rivals", nargs="*", default=list(RIVALS), choices=RIVALS, help="only these")
    parser.add_argument("--folder", type=Path, help="keeps the documents for another run; a temporary one by default")
    parser.add_argument("--workers", type=int, help="threads of this side; by default all processors")
    given = parser.parse_args()
    if given.folder:
        given.folder.mkdir(parents=True, exist_ok=True)
        compare(given.count, given.rival_python, given.rivals, given.folder, given.workers)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(given.count, given.rival_python, given.rivals, Path(folder), given.workers)


if __name__ == "__main__":
    main()
