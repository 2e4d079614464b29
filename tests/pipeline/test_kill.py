"""SIGKILL of the driver, of a worker, of the raylet, at several moments: the same command finishes with the same bytes."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.running import command, digest_of, infinity_mm

pytestmark = pytest.mark.slow


def processes(root: int) -> dict[int, str]:
    """Return pid -> command line of all descendants of a process, read from /proc."""
    parents: dict[int, list[int]] = {}
    lines: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
                lines[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            parents.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry.name))
    found, queue = {}, [root]
    while queue:
        for child in parents.get(queue.pop(), []):
            found[child] = lines[child]
            queue.append(child)
    return found


def kill_during(recipe: Path, work: Path, victim: str, trigger: str) -> None:
    """Start a run, wait until files of `trigger` appear, and kill the named process."""
    started = subprocess.Popen(
        command("run", recipe, "--work", work),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 90
    while not any((work / trigger).rglob("part-*")) and started.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    tree = processes(started.pid)
    if victim == "driver":
        targets = [started.pid]
    elif victim == "raylet":
        targets = [pid for pid, line in tree.items() if "raylet/raylet" in line]
    else:
        targets = [pid for pid, line in tree.items() if line.startswith("ray::") or "default_worker" in line]
    assert targets, f"no {victim} to kill among {list(tree.values())}"
    os.kill(random.Random(victim + trigger).choice(targets), signal.SIGKILL)
    if victim == "driver":
        started.wait(timeout=30)
        for pid in tree:  # Ray's daemons follow their driver within seconds; a test need not wait for them
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    else:
        try:
            started.wait(timeout=120)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            pytest.fail(f"the run hangs after the {victim} was killed")


@pytest.mark.timeout(600)
def test_killed_at_any_moment_the_same_command_finishes_with_the_same_bytes(write_recipe, tmp_path):
    recipe = write_recipe(sources=("llava_mix665k", "docdownstream", "infinity_instruct"), limit=80)
    calm = infinity_mm("run", recipe, "--work", tmp_path / "calm")
    assert calm.returncode == 0, calm.stderr
    expected = digest_of(tmp_path / "calm")
    work = tmp_path / "killed"
    moments = (
        ("driver", "records"),
        ("raylet", "attributes/structure"),
        ("worker", "attributes/screen"),
        ("driver", "attributes/dedup"),
        ("driver", "ledger"),
        ("driver", "state/shards"),
    )
    for victim, trigger in moments:
        kill_during(recipe, work, victim, trigger)
    last = infinity_mm("run", recipe, "--work", work)
    assert last.returncode == 0, last.stderr
    assert digest_of(work) == expected


@pytest.mark.timeout(300)
def test_a_raylet_killed_under_way_ends_the_run_with_status_1_and_advice(write_recipe, tmp_path):
    recipe = write_recipe(sources=("llava_mix665k", "vqav2"), limit=200)
    started = subprocess.Popen(
        command("run", recipe, "--work", tmp_path / "w"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while not any((tmp_path / "w/records").rglob("part-*")) and started.poll() is None:
        time.sleep(0.02)
    for pid, line in processes(started.pid).items():
        if "raylet/raylet" in line:
            os.kill(pid, signal.SIGKILL)
    _, errors = started.communicate(timeout=200)
    assert started.returncode != 0
    again = infinity_mm("run", recipe, "--work", tmp_path / "w")
    assert again.returncode == 0, again.stderr
    assert errors
