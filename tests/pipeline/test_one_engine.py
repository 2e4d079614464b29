"""Writer and judge in one worker without a pass before: one engine at a time."""

import pytest

from infinity_mm.pipeline import synthesis, workers
from infinity_mm.pipeline.generated import SynthTask
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.synthesis import PilotWorker, generate
from infinity_mm.pipeline.workers import EngineSeconds, Models, WorkerSpec
from infinity_mm.synth.params import SynthParams
from tests.synth.conftest import ScriptedChat, parent, sound, step_of


class Engines:
    """Which of the engines is loaded, and what each was asked."""

    def __init__(self):
        self.loaded = set()
        self.most = 0
        self.steps = {"writer": [], "judge": []}

    def chat(self, spec):
        return Engine(spec.name, self)


class Engine:
    """Loads when it is asked, like the real one; an answer takes it a second."""

    def __init__(self, name, engines):
        self.seconds = 1.0
        self.name = name
        self.engines = engines
        self.chat = ScriptedChat(sound, model=name)

    @property
    def info(self):
        return self.chat.info

    def __call__(self, requests):
        if requests:
            self.engines.loaded.add(self.name)
            self.engines.most = max(self.engines.most, len(self.engines.loaded))
            self.engines.steps[self.name] += [step_of(request) for request in requests]
        self.seconds += len(requests)
        return self.chat(requests)

    def close(self):
        self.engines.loaded.discard(self.name)


@pytest.fixture
def engines(monkeypatch):
    engines = Engines()
    monkeypatch.setattr(workers, "lasting_chat", engines.chat)
    monkeypatch.setattr(synthesis, "read_parents", lambda store, places: [parent(name) for name in places])
    return engines


def spec_of(**judge):
    models = {"model": {"name": "writer", "engine": "transformers", "gpus": 4}, **judge}
    params = SynthParams.model_validate({"images": 4, "per_image": 2} | models)
    return WorkerSpec(params.model_dump_json(), 3, None, "w", "j" if judge else None, None)


JUDGE = {"judge": {"name": "judge", "engine": "vllm", "gpus": 1}}


def task_of(number, tmp_path):
    return SynthTask(str(tmp_path), Part(SYNTHETIC, number, "0" * 16), "a", (f"p{number}", f"q{number}"))


def test_writer_and_judge_are_never_loaded_together(engines, tmp_path):
    models = Models(spec_of(**JUDGE))
    spent = EngineSeconds()
    for number in range(2):
        found, seconds = generate(models, task_of(number, tmp_path))
        assert [one.outcome for one in found] == ["kept"] * 4
        spent += seconds
    assert engines.most == 1
    assert set(engines.steps["judge"]) == {"judge"}
    assert set(engines.steps["writer"]) == {"tag", "classify", "generate"}
    assert spent == EngineSeconds(len(engines.steps["writer"]), len(engines.steps["judge"])) == EngineSeconds(20, 8)


@pytest.mark.parametrize(("judge", "gpu_seconds"), [(JUDGE, 4 * 10 + 1 * 4), ({}, 4 * (10 + 4))])
def test_a_pilot_counts_each_models_seconds_by_its_own_gpus(engines, tmp_path, judge, gpu_seconds):
    spent, _ = PilotWorker(spec_of(**judge))(task_of(0, tmp_path))
    assert (spent["seconds"], spent["gpu_seconds"]) == (14, gpu_seconds)
    assert (spent["tag.calls"], spent["judge.calls"]) == (2, 4)
