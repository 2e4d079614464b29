"""SIGKILL of the driver, of a worker, of the raylet, one after the other: the same command finishes with the same bytes."""

import contextlib
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


def until(work: Path, trigger: str, started: subprocess.Popen[str]) -> None:
    """Wait until a run that is under way has written files of `trigger`."""
    deadline = time.monotonic() + 90
    while not any((work / trigger).rglob("part-*")):
        assert started.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, f"no files in {trigger}"
        time.sleep(0.02)


def pick(victim: str, trigger: str, tree: dict[int, str]) -> int:
    """Return the process to kill among the driver's descendants."""
    targets = [
        pid
        for pid, line in tree.items()
        if (line.startswith("ray::") if victim == "worker" else "raylet/raylet" in line)
    ]
    assert targets, f"no {victim} to kill among {list(tree.values())}"
    return random.Random(victim + trigger).choice(targets)


def kill_during(recipe: Path, work: Path, *moments: tuple[str, str]) -> tuple[int, str]:
    """Start a run and kill each (victim, when files of these appear); return its status and what it said.

    A run survives the loss of a worker, and of nothing else.
    """
    started = subprocess.Popen(
        command("run", recipe, "--work", work),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for victim, trigger in moments:
        until(work, trigger, started)
        tree = processes(started.pid)
        assert started.poll() is None, "the run ended before it could be killed"
        os.kill(started.pid if victim == "driver" else pick(victim, trigger, tree), signal.SIGKILL)
    if victim == "driver":
        started.wait(timeout=30)
        for pid in tree:  # Ray's daemons follow their driver within seconds; a test need not wait for them
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    try:
        _, said = started.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        pytest.fail(f"the run hangs after the {victim} was killed")
    return started.returncode, said


@pytest.mark.timeout(600)
def test_killed_at_any_moment_the_same_command_finishes_with_the_same_bytes(write_recipe, ray_node, tmp_path):
    recipe = write_recipe(sources=("llava_mix665k", "docdownstream", "infinity_instruct"), limit=80)
    calm = infinity_mm("run", recipe, "--work", tmp_path / "calm", "--address", ray_node)
    assert calm.returncode == 0, calm.stderr
    work = tmp_path / "killed"
    status, said = kill_during(recipe, work, ("raylet", "records"))
    assert status not in (0, -signal.SIGKILL), "a run whose raylet is gone ends by itself"
    assert said
    for moments in (
        [("worker", "attributes/structure"), ("driver", "attributes/dedup")],
        [("driver", "ledger")],
        [("driver", "state/shards")],
    ):
        assert kill_during(recipe, work, *moments)[0] == -signal.SIGKILL
    last = infinity_mm("run", recipe, "--work", work, "--address", ray_node)
    assert last.returncode == 0, last.stderr
    assert digest_of(work) == digest_of(tmp_path / "calm")
