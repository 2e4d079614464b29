"""The synthesis pass under Ray against the same vLLM engine, called directly with the same requests.

``python -m benchmarks.synthesis [--pictures N] [--rounds R]``. A seeded script draws pictures that the embedded model
understands and stores them as records. The steps of `pipelines/synthetic.yaml` run on them once, and every request
that reaches the engine is written down; that is about 13 requests a picture. Then, in turn, each in a process tree of
its own and with an engine of its own:

vLLM alone (twice: with one thread, as Ray gives the actor's engine, and with one per core)
    builds `vllm.LLM` with the arguments of `infinity_mm.synth.engines.vllm_offline` and calls ``LLM.chat`` once with
    all those requests: the same messages, sampling and structured output. It knows every request beforehand, where
    the pipeline knows a step's requests when the step before has been answered.
pipeline
    `infinity_mm.pipeline.synthesis.generate_part` in an actor, handed one partition after the other by
    `infinity_mm.engine.Engine.map_actors`, as `infinity-mm run` does: reads the pictures, asks the steps, checks the
    replies, writes the partitions. Once without the generation cache and once with an empty one.

`ray.data.llm` is measured by `benchmarks.ray_data_llm`.

The clock, and the CPU seconds of the whole process tree, run from the moment at which the engine has answered one
request of one token, so that neither its start nor Ray's counts, to the last answer or the last file.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.processes import cpu_of_tree, run_tree
from infinity_mm.engine import Engine
from infinity_mm.fs import Location
from infinity_mm.pipeline.generated import SynthTask
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.synthesis import AT_ONCE, generate_part
from infinity_mm.pipeline.workers import Models, WorkerSpec
from infinity_mm.resources import Resources
from infinity_mm.schema import RECORDS
from infinity_mm.store import Store
from infinity_mm.synth.cache.key import model_identity
from infinity_mm.synth.chat import EngineInfo, ModelSpec, Reply, Request, Sampling
from infinity_mm.synth.engines.common import messages, open_pictures
from infinity_mm.synth.engines.reviving import RevivingChat
from infinity_mm.synth.engines.vllm_offline import VllmChat, _sampling
from infinity_mm.synth.located import located
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.small_vlm.render import draw, png
from infinity_mm.synth.small_vlm.scenes import draw_scene

SEED = 17
#: Pixels a side of the drawn pictures; the model sees 64.
SIDE = 256
#: What the pipeline may lose against the engine alone, and from how many requests on.
BAR, BAR_REQUESTS = 0.9, 2_000
_RECIPE = Path(__file__).parents[1] / "pipelines" / "synthetic.yaml"
_PICTURES = "records/bench/part-00000.parquet"
_ASKED = "asked"
#: Pictures of the benchmark; a picture makes about 13 requests.
PICTURES = 384
#: Pictures of a partition, as recipes have them that say nothing of it.
PER_PART = SynthParams(images=1).partition_images
NAMES = {
    "alone": "vLLM alone",
    "all-cores": "vLLM alone, a thread per core",
    "pipeline": "pipeline",
    "cached": "pipeline, empty cache",
}
#: Name of the request, text, output tokens.
Answer = tuple[str, str | None, int]
#: Starts all that an engine starts late, such as its grammars.
PROBE = Request(key="probe", prompt="?", choices=("a", "b"), sampling=Sampling(max_tokens=8))


@dataclass(frozen=True)
class Cut:
    """How the pipeline cuts its work, and the cores of its engine."""

    pictures: int = PER_PART
    at_once: int = AT_ONCE
    cpus: int = 1

    def options(self) -> list[str]:
        """Return it as arguments of this script."""
        return ["--per-part", str(self.pictures), "--at-once", str(self.at_once), "--cpus", str(self.cpus)]


@dataclass(frozen=True)
class Taken:
    """What one contender took between the marks, and what it said."""

    requests: int
    wall: float
    cpu: float
    tokens: int
    #: Seconds until the engine had answered its first request.
    start: float
    #: Request key -> answer, as text.
    answers: dict[str, str | None]


def draw_pictures(folder: Path, count: int) -> None:
    """Store `count` seeded pictures as records of one part."""
    with Store(Location.of(folder)).writer(_PICTURES, RECORDS) as writer:
        for number in range(count):
            rng = random.Random(f"{SEED}/{number}")
            data = png(draw(draw_scene(rng), rng, SIDE))
            image = {"sha256": f"{number:064x}", "width": SIDE, "height": SIDE, "format": "png", "uri": f"{number}.png"}
            row = dict.fromkeys(RECORDS.names, "") | {
                "id": f"{number:032x}", "source": "bench", "category": "caption", "license": "none", "language": "en",
                "images": [image], "image_bytes": [data], "messages": [], "parent": None, "extra": "{}",
            }  # fmt: skip
            writer.add(row, len(data))


def parameters(cache: bool) -> SynthParams:
    """Return the `synth` of `pipelines/synthetic.yaml`, under vLLM."""
    whole = yaml.safe_load(_RECIPE.read_text())
    params = located(SynthParams.model_validate(whole["synth"]), _RECIPE.parent)
    model = params.model.model_copy(update={"engine": "vllm"})
    return params.model_copy(update={"model": model, "cache": None if cache else False})


def tasks_of(work: str, count: int, size: int) -> list[SynthTask]:
    """Return the partitions of the drawn pictures, of `size` each."""
    found = []
    for first in range(0, count, size):
        part = Part("synthetic", first // size, f"{first:016x}")
        places = tuple((_PICTURES, row) for row in range(first, min(count, first + size)))
        found.append(SynthTask(work, part, part.attributes("synth", part.fingerprint), places))
    return found


class Recorder:
    """An engine that keeps what it was asked and what it answered."""

    def __init__(self, engine: RevivingChat) -> None:
        self._engine = engine
        self._asked: list[tuple[Request, Reply]] = []
        self._told = 0

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    @property
    def seconds(self) -> float:
        return self._engine.seconds

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        replies = self._engine(requests)
        self._asked.extend(zip(requests, replies, strict=True))
        return replies

    def close(self) -> None:
        self._engine.close()

    def news(self) -> list[tuple[Request, Reply]]:
        """Return what was asked since the last time."""
        begin, self._told = self._told, len(self._asked)
        return self._asked[begin : self._told]


@dataclass(frozen=True)
class WatchedSpec:
    """What the actor needs: the pipeline's own, and whether requests are written down beside the partitions."""

    worker: WorkerSpec
    record: bool


class Watched:
    """The pipeline's worker, which besides tells what was answered; a task of None only starts its engine."""

    def __init__(self, spec: WatchedSpec) -> None:
        self._record = spec.record
        self._models = Models(spec.worker)
        self._turns = self._models.engines[0]
        self._recorder = Recorder(self._turns.engine)
        self._turns.engine = self._recorder
        self._ready = threading.Event()

    def __call__(self, task: SynthTask | None) -> list[Answer]:
        """Return what was answered since the last call returned."""
        if task is None:
            self._recorder([PROBE])
            self._recorder.news()
            self._ready.set()
            return []
        self._ready.wait()
        generate_part(self._models, task)
        with self._turns.lock:
            asked = self._recorder.news()
        if self._record:
            place = Store(Location(task.work)).at(f"{_ASKED}/{task.part.number:05d}.pickle")
            place.write_bytes(pickle.dumps([request for request, _ in asked]))
        return [answer_of(request, reply.text, reply.completion_tokens) for request, reply in asked]


def answer_of(request: Request, text: str | None, tokens: int) -> Answer:
    """Return what was answered, under a name that a retry does not share."""
    return f"{request.key} {request.seed}", text, tokens


def run_pipeline(folder: Path, count: int, cut: Cut, cache: bool, record: bool = False) -> Taken:
    """Run the pass in an actor, one partition after the other."""
    params = parameters(cache)
    store = folder / "cache" if cache else None
    spec = WorkerSpec(
        params_json=params.model_dump_json(),
        seed=SEED,
        cache=None if store is None else Location.of(store).uri,
        writer=model_identity(params.model),
        judge=None,
        only=None,
    )
    began = time.monotonic()
    cpu_of_tree()  # from now on what Ray starts stays in sight
    with Engine(None, 2) as engine:
        tasks = [None, *tasks_of(Location.of(folder).uri, count, cut.pictures)]
        need = Resources(cpus=cut.cpus)
        done = engine.map_actors("bench", Watched, WatchedSpec(spec, record), tasks, need, threads=cut.at_once)
        next(done)
        clock = Clock(began)
        return clock.stop([answer for _, answers in done for answer in answers])


def run_alone(folder: Path) -> Taken:
    """Ask vLLM itself, in this process, everything at once."""
    began = time.monotonic()
    asked = read_asked(folder)
    spec = parameters(False).model
    chat = VllmChat(spec)
    chat([PROBE])
    clock = Clock(began)
    outputs = chat._llm.chat(
        [messages(one, parts_of(one, spec), chat._special_tokens) for one in asked],
        [_sampling(one) for one in asked],
        use_tqdm=False,
    )
    texts = [output.outputs[0] for output in outputs]
    return clock.stop([answer_of(one, text.text, len(text.token_ids)) for one, text in zip(asked, texts, strict=True)])


def parts_of(request: Request, spec: ModelSpec) -> list[dict[str, Any]]:
    """Return a request's pictures as vLLM takes them."""
    return [{"type": "image_pil", "image_pil": picture} for picture in open_pictures(request, spec.max_image_side)]


def read_asked(folder: Path) -> list[Request]:
    """Return the requests that were written down, in the order in which the engine got them."""
    return [one for file in sorted((folder / _ASKED).iterdir()) for one in _requests(file)]


def _requests(file: Path) -> list[Request]:
    found: list[Request] = pickle.loads(file.read_bytes())  # noqa: S301 - written by this script
    return found


class Clock:
    """Seconds and CPU seconds from now on, of this process and all below it."""

    def __init__(self, began: float) -> None:
        self._start = time.monotonic() - began
        self._cpu = cpu_of_tree()
        self._wall = time.perf_counter()

    def stop(self, answers: list[Answer]) -> Taken:
        """Return what was taken since."""
        wall, cpu = time.perf_counter() - self._wall, cpu_of_tree() - self._cpu
        tokens = sum(count for _, _, count in answers)
        return Taken(len(answers), wall, cpu, tokens, self._start, {key: text for key, text, _ in answers})


def compare(pictures: int, rounds: int, cut: Cut) -> None:
    """Run all, in turn, and print a table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_pictures(folder, pictures)
        take("record", folder, pictures, cut)
        taken: dict[str, list[Taken]] = {what: [] for what in NAMES}
        for _ in range(rounds):
            for what in NAMES:
                taken[what].append(take(what, folder, pictures, cut))
                print(f"{what}: {taken[what][-1].wall:.1f} s; load {os.getloadavg()[0]:.1f}", flush=True)
    Console().print(table_of(taken))
    lost = 1 - rate(taken["pipeline"]) / max(rate(taken["alone"]), rate(taken["all-cores"]))
    print(
        f"the pipeline loses {lost:.1%} of the rate; at most {1 - BAR:.0%} is wanted, from {BAR_REQUESTS:,} requests on"
    )


def take(what: str, folder: Path, pictures: int, cut: Cut) -> Taken:
    """Run one contender in a process of its own."""
    for left in ("attributes", "cache", "state", "records/synthetic"):
        Store(Location.of(folder)).at(left).delete_dir()
    place = folder / "taken.json"
    command = [sys.executable, "-m", "benchmarks.synthesis", what, "--folder", str(folder)]
    # Ray gives the actor's engine one thread; without the variable vLLM takes every core.
    command = ["env", *(["-u", "OMP_NUM_THREADS"] if what == "all-cores" else ["OMP_NUM_THREADS=1"]), *command]
    run_tree([*command, "--pictures", str(pictures), "--to", str(place), *cut.options()])
    return Taken(**json.loads(place.read_text()))


def rate(taken: Sequence[Taken]) -> float:
    """Return requests per second, of the best round."""
    return max(one.requests / one.wall for one in taken)


def table_of(taken: dict[str, list[Taken]]) -> Table:
    """Return the best round of each contender, with its share of the rate of the engine alone."""
    alone = max(taken["alone"], key=lambda one: one.requests / one.wall)
    table = Table(title=f"{alone.requests:,} requests of the synthesis, best of {len(taken['alone'])} rounds each")
    for name in ("what", "s", "requests/s", "of vLLM alone", "CPU s", "tokens", "same answers", "start, s"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for what, rounds in taken.items():
        one = max(rounds, key=lambda one: one.requests / one.wall)
        same = sum(alone.answers.get(key, "") == text for key, text in one.answers.items())
        share = one.requests / one.wall / rate(taken["alone"])
        table.add_row(
            NAMES[what], f"{one.wall:.1f}", f"{one.requests / one.wall:.1f}", f"{share:.2f}", f"{one.cpu:.1f}",
            f"{one.tokens:,}", f"{same:,}", f"{one.start:.0f}",
        )  # fmt: skip
    return table


def main() -> None:
    """Run all, or one contender."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthesis", description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=("all", "record", *NAMES))
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--per-part", type=int, default=PER_PART, help="pictures of a partition")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="partitions in work at once")
    parser.add_argument("--cpus", type=int, default=1, help="cores, and threads, of the pipeline's engine")
    given = parser.parse_args()
    cut = Cut(given.per_part, given.at_once, given.cpus)
    if given.what == "all":
        compare(given.pictures, given.rounds, cut)
    elif given.what in ("alone", "all-cores"):
        given.to.write_text(json.dumps(asdict(run_alone(given.folder))))
    else:
        taken = run_pipeline(given.folder, given.pictures, cut, given.what == "cached", given.what == "record")
        given.to.write_text(json.dumps(asdict(taken)))


if __name__ == "__main__":
    main()
