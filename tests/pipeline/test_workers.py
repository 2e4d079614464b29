"""How often the models of a synthesis are started, and that one is gone before the next one comes."""

import shutil
from functools import partial

import pytest

from infinity_mm.fs import Location
from infinity_mm.pipeline import synthesis, workers
from infinity_mm.pipeline.run import RunOptions, run
from infinity_mm.recipe import load_recipe
from infinity_mm.synth.engines.openai_http import OpenAIChat
from infinity_mm.synth.engines.reviving import RevivingChat
from tests.running import digest_of

pytest.importorskip("openai")
pytestmark = pytest.mark.usefixtures("no_ray")

QUIET = RunOptions(quiet=True)
FOLDERS = ("records", "ledger", "quarantine", "exports", "attributes", "state/synth/judge", "state/synth/offers")


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


class Models:
    """Writes down every start and end of a model, and may be told to die at one of their batches."""

    def __init__(self):
        self.life = []
        self.batches = 0
        self.fatal = None

    def lasting(self, spec):
        def build():
            self.life.append(f"start {spec.revision}")
            return Model(spec, self)

        return RevivingChat(build, spec.name)

    def lived(self):
        """Return what happened since the last time."""
        life, self.life = self.life, []
        return life


class Model(OpenAIChat):
    def __init__(self, spec, models):
        super().__init__(spec)
        self.named, self.models = spec.revision, models

    def __call__(self, requests):
        self.models.batches += 1
        if self.models.batches == self.models.fatal:
            raise Killed
        return super().__call__(requests)

    def close(self):
        super().close()
        self.models.life.append(f"end {self.named}")


@pytest.fixture
def models(monkeypatch):
    """All models of the test, as if they ran on this machine."""
    found = Models()
    monkeypatch.setattr(workers, "lasting_chat", found.lasting)
    monkeypatch.setattr(synthesis, "apart", lambda params: params.judge not in (None, params.model))
    return found


@pytest.fixture
def make(write_served, served, tmp_path):
    """Return a function that runs a recipe with shares and a probe in a folder of the given name."""

    def make(name, **synth):
        keys = {
            "limit": 40,
            "images": 12,
            "per_image": 2,
            "partition_images": 5,
            "judge_probe": {"rows": 4},
            "cache": False,
        }
        keys |= {"offer": {"mapping": "package", "max_share": 0.25}}
        return run(load_recipe(write_served(**(keys | synth))), Location.of(tmp_path / name), QUIET)

    return partial(make, judge=served.spec(revision="judge"))


def test_each_of_two_models_is_started_once_and_one_after_the_other(make, models, tmp_path):
    made = make("w")
    assert [stage.name for stage in made.stages if stage.name.startswith(("synth", "judge"))] == [
        "synth-tag", "synth-offers", "synth-write", "synth", "judge-probe",
    ]  # fmt: skip
    assert models.lived() == ["start r1", "end r1", "start judge", "end judge"]
    before = digest_of(tmp_path / "w", FOLDERS)
    make("w")
    assert models.lived() == []
    shutil.rmtree(tmp_path / "w/state/synth/judge")
    make("w")
    assert models.lived() == ["start judge", "end judge"]
    assert digest_of(tmp_path / "w", FOLDERS) == before


@pytest.mark.parametrize("judge", [None, "itself"])
def test_a_model_that_judges_itself_is_started_once(make, served, models, judge):
    made = make("w", judge=judge and served.spec())
    assert made.synthesis.self_judged
    assert made.synthesis.judge.rows == 4
    assert models.lived() == ["start r1", "end r1"]
    make("w", judge=judge and served.spec())
    assert models.lived() == []


def test_killed_in_any_pass_the_same_run_finishes_with_the_same_bytes(make, models, tmp_path):
    make("calm")
    calm, batches = digest_of(tmp_path / "calm", FOLDERS), models.batches
    assert batches == 3 + 6 + 3 + 1, "tags, types and questions, verdicts of three partitions; the probe"
    for fatal in (2, 6, 11, 13):
        name = f"killed-{fatal}"
        models.batches, models.fatal = 0, fatal
        with pytest.raises(Killed):
            make(name)
        models.fatal = None
        models.lived()
        make(name)
        assert models.lived() in (["start r1", "end r1", "start judge", "end judge"], ["start judge", "end judge"])
        assert digest_of(tmp_path / name, FOLDERS) == calm, fatal
