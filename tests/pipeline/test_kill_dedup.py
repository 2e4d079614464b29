"""SIGKILL at random moments of deduplication, of the driver or of a worker: the same bytes, and nothing made twice."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import orjson
import pytest

from infinity_mm.dedup.params import DedupParams
from infinity_mm.fs import Location
from infinity_mm.pipeline.deduplication import Sizes
from infinity_mm.store import Store
from tests.pipeline.test_deduplication import FREE, made_of, split
from tests.pipeline.test_kill import processes
from tests.stored import Asked, Here, Stored, deduplicate, under_ray

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_ray")]

KILLS = 20
#: Nanoseconds. A worker that dies just after its last write could not say so, and its task is given to another one.
UNSAID = 1_000_000_000
SIZES = Sizes(batch_rows=1, entries=2_500, unit_bytes=20_000)


def finished(work: Path) -> dict[tuple[str, ...], list[int]]:
    """Return the tasks whose files are all there, and when each was written."""
    found = {}
    for announced in sorted((work / "state/passes").glob("[!.]*.json")):
        for outputs in orjson.loads(announced.read_bytes())["tasks"]:
            try:
                # Tasks write them in order: where the last is there, the others are final.
                found[tuple(outputs)] = [(work / path).stat().st_mtime_ns for path in reversed(outputs)]
            except FileNotFoundError:
                continue
    return found


def workers_at_it() -> list[int]:
    """Return the processes of this session's node that run a task of the pass at this moment."""
    return [pid for pid, line in processes(os.getpid()).items() if line.startswith("ray::dedup")]


def kill(driver: multiprocessing.Process, dice: random.Random) -> bool:
    """Kill the driver or a worker; returns whether there was one to kill."""
    victims = [driver.pid] if dice.random() < 0.2 else workers_at_it()
    if not victims:
        return False
    try:
        os.kill(dice.choice(victims), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def run_killed(asked: Asked, work: Path, dice: random.Random, kills: int) -> int:
    """Call again and again until the pass is through, and kill up to `kills` times; returns how often it was."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.stored"])
    seen: dict[tuple[str, ...], list[int]] = {}
    moments: list[int] = []
    while True:
        driver = context.Process(target=under_ray, args=(asked,))
        driver.start()
        # A kill comes after up to so many more tasks, then at any time within the next ones.
        following = len(seen) + dice.randrange(5)
        while driver.is_alive():
            done = finished(work)
            if len(moments) < kills and len(done) >= following:
                time.sleep(dice.random() * 0.03)
                if kill(driver, dice):
                    moments.append(time.time_ns())
                    following = len(done) + dice.randrange(5)
            for outputs, times in done.items():
                first = seen.setdefault(outputs, times)
                unsaid = any(abs(moment - max(first)) < UNSAID for moment in moments)
                assert first == times or unsaid, f"{outputs} was made again"
                seen[outputs] = times
            time.sleep(0.005)
        driver.join()
        if driver.exitcode == 0:
            break
        while workers_at_it():  # what a dead driver's worker finishes now, the next run would not know of
            time.sleep(0.01)
    last = finished(work)
    assert all(last.get(outputs, times) == times for outputs, times in seen.items())
    return len(moments)


@pytest.mark.timeout(600)
def test_killed_at_twenty_random_moments_the_same_call_finishes_with_the_same_bytes(tmp_path):
    dice = random.Random(17)
    tables = split(dice, made_of(dice, 300), 4, 6)
    params = DedupParams(**FREE)
    killed = folders = 0
    while killed < KILLS:  # a quick machine is through before all of them
        folders += 1
        work = tmp_path / str(folders)
        stored = Stored.of(Store(Location.of(work)), tables)
        asked = Asked(stored.store, tuple(stored.tables), stored.priorities(), stored.leaks, params, SIZES)
        killed += run_killed(asked, work, dice, KILLS - killed)
        here = Here()
        assert stored.bytes_of(deduplicate(asked, here)) == stored.expected(params)
        assert not here.made
    print(f"{killed} kills in {folders} folders")
