"""How far a run has come, read from its folder alone; works while the run goes on and after it died."""

from __future__ import annotations

import fcntl
import os
from typing import Literal

import orjson

from infinity_mm.errors import UsageError
from infinity_mm.frozen import Frozen
from infinity_mm.store import Store


class PassStatus(Frozen):
    """One pass that has been started."""

    name: str
    done: int
    total: int


class Status(Frozen):
    """The state of a run folder."""

    state: Literal["running", "finished", "stopped"]
    passes: tuple[PassStatus, ...]
    advice: str


def read_status(store: Store) -> Status:
    """Return the state of a run folder; raises `UsageError` if it is none."""
    files = [name for name in store.at("state/passes").files() if name.endswith(".json")]
    if not files:
        raise UsageError(f"{store.work} is no run folder (it has no state/passes); start with `infinity-mm run`")
    noted = [(store.at(f"state/passes/{name}").modified_ns(), name) for name in files]
    passes = []
    for _, name in sorted(noted):
        tree = orjson.loads(store.at(f"state/passes/{name}").read_bytes())
        absent = set(store.missing(path for task in tree["tasks"] for path in task))
        done = sum(absent.isdisjoint(task) for task in tree["tasks"])
        passes.append(PassStatus(name=tree["stage"], done=done, total=len(tree["tasks"])))
    latest = max(noted)[0]
    complete = store.at("manifest.json").exists() and store.at("manifest.json").modified_ns() >= latest
    if _is_held(store):
        return Status(state="running", passes=tuple(passes), advice="a run holds the folder at this moment")
    if complete:
        advice = f"books: {store.at('manifest.json')}; report: {store.at('report/index.html')}"
        return Status(state="finished", passes=tuple(passes), advice=advice)
    return Status(state="stopped", passes=tuple(passes), advice="run the same command again to go on from here")


def _is_held(store: Store) -> bool:
    """True while a process holds the folder's lock (always False on object stores)."""
    if not store.work.is_local:
        return False
    try:
        handle = os.open(os.path.join(store.work.path, ".lock"), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
