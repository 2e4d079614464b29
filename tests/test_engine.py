"""The seam to Ray: results, exceptions, dead workers."""

import gc
import os
import threading
import time
from dataclasses import dataclass

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.engine import Engine, _bundles
from infinity_mm.errors import EngineError, ModelError, StageError, StoreError
from infinity_mm.pipeline.placing import place
from infinity_mm.resources import Resources
from infinity_mm.synth.chat import ModelSpec


def double(task: int) -> int:
    return 2 * task


def full_disk(task: int) -> None:
    raise StoreError(f"cannot write {task}: no space left; free space and run again")


def bug(task: int) -> int:
    return [][task]


def die(task: int) -> None:
    os._exit(1)


class Adder:
    def __init__(self, amount: int) -> None:
        self._amount = amount

    def __call__(self, task: int) -> int:
        if task < 0:
            os._exit(1)
        return self._amount + task


class Mortal:
    """Dies once on each negative task, which leaves a mark in a folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __call__(self, task: int) -> int:
        mark = os.path.join(self._folder, str(task))
        if task < 0 and not os.path.exists(mark):
            with open(mark, "w"):
                os._exit(1)
        return task


class Unloadable:
    def __init__(self, spec: str) -> None:
        raise ModelError(f"model {spec} cannot be loaded; name another")


@pytest.fixture(scope="module")
def engine():
    with Engine(workers=2) as running:
        yield running


def test_every_task_is_answered_once_with_its_index(engine):
    assert sorted(engine.map("double", double, list(range(23)))) == [(n, 2 * n) for n in range(23)]
    assert list(engine.map("double", double, [])) == []


def test_tasks_that_travel_together_keep_their_indexes(engine):
    assert sorted(engine.map("double", double, list(range(101)), together=4)) == [(n, 2 * n) for n in range(101)]
    with pytest.raises(StoreError, match="cannot write"):
        list(engine.map("write", full_disk, list(range(101)), together=4))


@given(st.integers(0, 500), st.integers(1, 20), st.integers(1, 50))
def test_bundles_hold_every_task_once_and_leave_enough_for_all(count, most, least):
    bundles = _bundles(range(count), most, least)
    assert [task for bundle in bundles for task in bundle] == list(range(count))
    assert all(len(bundle) == len(bundles[0]) <= most for bundle in bundles[:-1])
    assert len(bundles) >= min(count, least)


def test_our_errors_come_through_as_they_are(engine):
    with pytest.raises(StoreError, match=r"^cannot write 1: no space left; free space and run again$"):
        list(engine.map("write", full_disk, [1]))


def test_a_bug_names_stage_and_task(engine):
    with pytest.raises(StageError, match=r"stage 'buggy' failed on 7: IndexError"):
        list(engine.map("buggy", bug, [7]))


def test_workers_that_keep_dying_end_the_stage_with_advice(engine):
    with pytest.raises(EngineError, match=r"stage 'die'.*run the same command again"):
        list(engine.map("die", die, [1]))


class Meeting:
    """Ends only when two tasks are there at once."""

    def __init__(self, parties: int) -> None:
        self.barrier = threading.Barrier(parties)

    def __call__(self, task: int) -> int:
        return self.barrier.wait(timeout=60) * 0 + task


def test_an_actor_with_threads_handles_tasks_at_once(engine):
    done = engine.map_actors("meet", Meeting, 2, [1, 2, 3, 4], Resources(), 1, threads=2)
    assert sorted(done) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_actors_are_built_once_and_a_dead_one_is_a_model_error(engine):
    assert sorted(engine.map_actors("add", Adder, 5, [1, 2, 3], Resources(), 2)) == [(0, 6), (1, 7), (2, 8)]
    with pytest.raises(ModelError, match=r"the model's process died.*run the same command again"):
        list(engine.map_actors("add", Adder, 5, [1, -1], Resources()))


def test_a_dead_actor_is_replaced_and_its_tasks_are_sent_again(engine, tmp_path):
    done = engine.map_actors("mortal", Mortal, str(tmp_path), [1, -1, 2, -2, 3], Resources(), 1)
    assert sorted(done) == [(0, 1), (1, -1), (2, 2), (3, -2), (4, 3)]


def nap(seconds: float) -> None:
    time.sleep(seconds)


class Slow:
    """The first of them to be built needs long for its start."""

    def __init__(self, folder: str) -> None:
        try:
            os.mkdir(os.path.join(folder, "first"))
            time.sleep(5)
            self._name = "late"
        except FileExistsError:
            self._name = "early"

    def __call__(self, task: int) -> str:
        time.sleep(0.3)
        return self._name


def test_work_begins_with_the_first_worker_and_others_join(engine, tmp_path):
    names = [name for _, name in engine.map_actors("slow", Slow, str(tmp_path), list(range(24)), Resources(), 2)]
    assert names[0] == "early", "it does not wait for the late one"
    assert "late" in names, "which joins"


def test_a_worker_beyond_the_room_is_not_waited_for(engine):
    done = engine.map_actors("add", Adder, 1, list(range(6)), Resources(cpus=2), 3)
    assert sorted(done) == [(n, n + 1) for n in range(6)]


class Named:
    """Says which process it is."""

    def __init__(self, pause: float) -> None:
        self._pause = pause

    def __call__(self, task: int) -> int:
        time.sleep(self._pause)
        return os.getpid()


@pytest.mark.parametrize(("tasks", "threads"), [(2, 2), (4, 2), (5, 1)])
def test_a_few_tasks_are_shared_by_all_workers(engine, tasks, threads):
    names = [name for _, name in engine.map_actors("few", Named, 1.0, list(range(tasks)), Resources(), 2, threads)]
    assert len(set(names)) == 2
    assert max(map(names.count, names)) == -(-tasks // 2)


@dataclass(frozen=True)
class Written:
    """A task that is never found done."""

    number: int

    @property
    def outputs(self) -> tuple[str, ...]:
        """No such file."""
        return (f"nowhere/{self.number}",)


class Frail:
    """Dies in its start as often as there are marks in a folder, but for the first of them where that is spared."""

    def __init__(self, folder: str) -> None:
        for name in sorted(os.listdir(folder)):
            try:
                os.remove(os.path.join(folder, name))
            except FileNotFoundError:
                continue
            if name != "0-spared":
                os._exit(1)
            return

    def __call__(self, task: int) -> int:
        time.sleep(0.5)
        return task


def marked(folder, *names):
    for name in names:
        (folder / name).touch()
    return str(folder)


def test_a_worker_that_dies_in_its_start_is_replaced(engine, tmp_path):
    done = engine.map_actors("frail", Frail, marked(tmp_path, "1", "2"), [5], Resources(), 1)
    assert list(done) == [(0, 5)]


def test_workers_that_all_die_in_their_start_end_the_stage(engine, tmp_path):
    folder = marked(tmp_path, *"123456789")
    with pytest.raises(ModelError, match=r"the model's process died.*on 'start-up'.*run the same command again"):
        list(engine.map_actors("frail", Frail, folder, [5], Resources(), 2))
    assert len(os.listdir(folder)) == 6, "three in a row"


def test_one_that_cannot_start_does_not_end_the_work_of_others(engine, tmp_path):
    told = []
    folder = marked(tmp_path, "0-spared", *"123456789")
    done = engine.map_actors("frail", Frail, folder, list(range(20)), Resources(), 2, tell=told.append)
    assert sorted(done) == [(n, n) for n in range(20)]
    assert len(told) == 1
    assert "stage 'frail' goes on with a worker less: stage 'frail': the model's process died" in told[0]


def test_what_kills_its_worker_is_tried_again_after_all_others(engine):
    finished = []
    with pytest.raises(ModelError, match="the model's process died"):
        for _, result in engine.map_actors("add", Adder, 0, [-1, *range(30)], Resources(), 2):
            finished.append(result)
    assert sorted(finished) == list(range(30))


def test_a_person_hears_that_there_is_room_for_fewer(engine):
    told = []
    assert list(engine.map_actors("add", Adder, 1, [1, 2], Resources(cpus=1.5), 5, tell=told.append))
    assert told == ["stage 'add': room for 1 of 2 workers with 1.5 CPUs and 0 GPUs each"]


def test_what_an_embedded_node_will_never_have_is_an_error(engine):
    with pytest.raises(
        EngineError, match=r"stage 'add' needs 1 CPUs and 2 GPUs .* this machine offers 2 CPUs and 0 GP"
    ):
        list(engine.map_actors("add", Adder, 1, [1], Resources(gpus=2)))


def test_while_there_is_no_worker_somebody_is_told(engine, monkeypatch):
    monkeypatch.setattr("infinity_mm.engine.crew.PATIENCE_S", 0.5)
    busy = ray.remote(num_cpus=2)(nap).remote(4)
    told = []
    done = engine.map_actors("add", Adder, 1, [1], Resources(), tell=told.append)
    assert list(done) == [(0, 2)]
    assert "stage 'add' waits for a worker with 1 CPUs and 0 GPUs; the cluster has 2 CPUs" in told[0]
    ray.get(busy)


def test_a_model_that_cannot_load_says_why(engine):
    with pytest.raises(ModelError, match="model x cannot be loaded; name another"):
        list(engine.map_actors("load", Unloadable, "x", [1], Resources()))


class Place:
    """Says on which node it runs, and which GPU it was given."""

    def __init__(self, spec: None) -> None:
        self._where = (ray.get_runtime_context().get_node_id(), *ray.get_gpu_ids())

    def __call__(self, task: int) -> tuple[object, ...]:
        time.sleep(0.2)
        return self._where


def test_every_gpu_of_a_cluster_gets_a_worker():
    from ray.cluster_utils import Cluster

    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 2, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1, num_gpus=1)
        with Engine(cluster.address) as engine:
            placing = place(engine, ModelSpec(gpus=1))
            assert placing.actors == 3
            done = engine.map_actors("place", Place, None, list(range(60)), placing.resources, placing.actors)
            where = [found for _, found in done]
        assert len(set(where)) == 3, "three GPUs"
        assert len({node for node, _ in where}) == 2, "on two machines"
    finally:
        cluster.shutdown()


def test_no_cluster_at_an_address():
    ray.shutdown()
    with pytest.raises(EngineError, match="Ray could not start"), Engine(address="127.0.0.1:1"):
        pass


def test_a_pass_that_is_stopped_leaves_no_actor_for_later(monkeypatch, tmp_path):
    """What was still at work is ended while Ray is there, not when the generator happens to be collected."""
    from infinity_mm.fs import Location
    from infinity_mm.pipeline.passes import Context, run_crew_pass
    from infinity_mm.progress import Reporter
    from infinity_mm.store import Store

    def refuse(task: Written) -> None:
        raise StoreError("stop here")

    late: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", late.append)
    ray.shutdown()
    tasks = [Written(number) for number in range(6)]
    try:
        with Engine(workers=2) as running:
            context = Context(Store(Location.of(tmp_path)), running, Reporter(), recipe=None)
            with running.crew(Named, 0.1, Resources(), 2) as crew:
                run_crew_pass(context, crew, "names", Named.__call__, tasks, watch=refuse)
    except StoreError as error:
        kept = error
    assert str(kept) == "stop here"
    del kept
    gc.collect()
    assert late == []
