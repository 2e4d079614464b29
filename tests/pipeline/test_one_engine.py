"""Writer and judge in one worker without a pass before: one engine at a time."""

from infinity_mm.pipeline import synthesis, workers
from infinity_mm.pipeline.generated import SynthTask
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.synthesis import generate
from infinity_mm.pipeline.workers import Models, WorkerSpec
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
    """Loads when it is asked, like the real one."""

    seconds = 1.0

    def __init__(self, name, engines):
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
        return self.chat(requests)

    def close(self):
        self.engines.loaded.discard(self.name)


def test_writer_and_judge_are_never_loaded_together(tmp_path, monkeypatch):
    engines = Engines()
    monkeypatch.setattr(workers, "lasting_chat", engines.chat)
    monkeypatch.setattr(synthesis, "read_parents", lambda store, places: [parent(name) for name in places])
    named = {"model": {"name": "writer", "engine": "transformers"}, "judge": {"name": "judge", "engine": "vllm"}}
    params = SynthParams.model_validate({"images": 4, "per_image": 2} | named)
    models = Models(WorkerSpec(params.model_dump_json(), 3, None, "w", "j", None))
    for number in range(2):
        task = SynthTask(str(tmp_path), Part(SYNTHETIC, number, "0" * 16), "a", (f"p{number}", f"q{number}"))
        found, seconds = generate(models, task)
        assert [one.outcome for one in found] == ["kept"] * 4
        assert seconds == 0.0, "the difference of the engines' counters"
    assert engines.most == 1
    assert set(engines.steps["judge"]) == {"judge"}
    assert set(engines.steps["writer"]) == {"tag", "classify", "generate"}
