"""Workers that last over several passes: who is started when, who is replaced, what is closed at the end."""

import os
import signal
import time
from functools import partial

import pytest
import ray

from infinity_mm.engine import Engine
from infinity_mm.errors import ModelError, StoreError
from infinity_mm.resources import Resources


class Model:
    """Says in a folder when it is loaded and freed: one line each, with its process."""

    def __init__(self, log: str) -> None:
        self._log = log
        self.name = os.getpid()
        self._say("load")

    def close(self) -> None:
        time.sleep(0.5)  # memory is not free at once
        self._say("free")

    def _say(self, what: str) -> None:
        with open(self._log, "a") as file:
            file.write(f"{what} {self.name}\n")


def name(model: Model, task: int) -> int:
    return model.name


def slowly(model: Model, task: int) -> int:
    time.sleep(0.5)
    return model.name


def double(model: Model, task: int) -> int:
    return 2 * task


def die(model: Model, task: int) -> None:
    os._exit(1)


def here() -> int:
    return os.getpid()


def stop(model: Model, task: int) -> None:
    raise StoreError("cannot write; free space and run again")


@pytest.fixture(scope="module")
def engine():
    with Engine(workers=2) as running:
        yield running


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def crew(engine, log):
    """Return a function that makes a crew of which each worker takes one CPU."""
    return partial(engine.crew, Model, str(log), Resources())


def said(log):
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def test_one_start_for_several_passes_and_none_for_nothing(crew, log):
    with crew() as passes:
        assert list(passes.map("empty", name, [])) == []
        assert said(log) == []
        first = list(passes.map("first", name, [1, 2, 3]))
        assert sorted(passes.map("second", double, [1, 2])) == [(0, 2), (1, 4)]
        third = list(passes.map("third", name, [1]))
    assert {pid for _, pid in first} == {pid for _, pid in third}
    assert said(log) == ["load", "free"]


def test_the_next_crew_begins_when_the_one_before_has_freed_its_memory(engine, log):
    whole = Resources(cpus=2)
    with engine.crew(Model, str(log), whole) as writers:
        list(writers.map("write", name, [1]))
    with engine.crew(Model, str(log), whole) as judges:
        list(judges.map("judge", name, [1]))
    assert said(log) == ["load", "free", "load", "free"]


def test_a_pass_with_more_tasks_gets_more_workers(crew, log):
    with crew(actors=2) as passes:
        first = list(passes.map("one", name, [1]))
        both = {pid for _, pid in passes.map("many", slowly, list(range(12)))}
    assert len(both) == 2
    assert {pid for _, pid in first} < both
    assert sorted(said(log)) == ["free", "free", "load", "load"]


def test_a_worker_that_died_between_two_passes_is_replaced(crew, log):
    with crew() as passes:
        ((_, before),) = passes.map("first", name, [1])
        os.kill(before, signal.SIGKILL)
        after = {pid for _, pid in passes.map("second", name, [1, 2, 3])}
    assert len(after) == 1
    assert before not in after
    assert said(log) == ["load", "load", "free"]


def test_deaths_are_counted_for_each_pass(crew, log):
    with pytest.raises(ModelError, match=r"stage 'deadly': the model's process died"), crew() as passes:
        for _ in range(4):  # more than one pass would bear
            ((_, pid),) = passes.map("calm", name, [1])
            os.kill(pid, signal.SIGKILL)
        list(passes.map("deadly", die, [1]))
    assert said(log) == ["load"] * 7, "three deaths end the last pass"


def test_a_pass_that_fails_ends_the_workers_and_says_why(crew, log):
    with crew() as passes:
        with pytest.raises(StoreError, match=r"^cannot write; free space and run again$"):
            list(passes.map("full", stop, [1, 2]))
        assert list(passes.map("again", double, [1])) == [(0, 2)]
    assert said(log) == ["load", "load", "free"], "whoever is at work is not waited for"


def test_what_is_not_waited_for_any_more_is_ended_at_once(crew, log):
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), crew() as passes:
        for _ in passes.map("long", slowly, list(range(100))):
            raise KeyboardInterrupt
    assert time.monotonic() - began < 30
    assert said(log) == ["load"]
    assert ray.get(ray.remote(num_cpus=2)(here).remote()), "the CPUs are free again"
