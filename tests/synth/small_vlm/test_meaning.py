"""The four steps with the model that ships: what they say of pictures whose truth is known.

Bars are shares of outcomes; what was measured on many pictures stands in the checkpoint's README.md.
"""

import json
import random
from collections.abc import Sequence

import pytest

from infinity_mm.demo.drawn import Drawn, drawn_pictures
from infinity_mm.record import Image
from infinity_mm.synth import step1_tag, step2_classify, tiny_model
from infinity_mm.synth.chat import Chat, EngineInfo, ModelSpec, Reply, Request
from infinity_mm.synth.outcomes import Outcome
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.rows import Attempt, Drop, Parent
from infinity_mm.synth.run_step import synthesise
from infinity_mm.synth.small_vlm.evaluate import is_true
from infinity_mm.synth.small_vlm.questions import PREFERENCE, leaves
from infinity_mm.synth.small_vlm.tasks import askable, tags_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not tiny_model.is_trained(), reason="this checkout has no trained checkpoint"),
]

SEED = 17
PARAMS = SynthParams(
    images=24,
    per_image=2,
    types=tuple(sorted({leaf for kind in PREFERENCE.values() for leaf in kind})),
)


def parent_of(drawn: Drawn) -> Parent:
    digest, name = drawn.sha256, drawn.scene.picture.name
    image = Image(sha256=digest, width=128, height=128, format="png", uri=f"{name}.png")
    return Parent(digest[:32], "mathv360k", "Apache-2.0", image, drawn.scene.picture.data)


@pytest.fixture(scope="module")
def drawn() -> dict[str, Drawn]:
    return {one.sha256[:32]: one for one in drawn_pictures(SEED, PARAMS.images)}


@pytest.fixture(scope="module")
def chat():
    pytest.importorskip("torch")
    from infinity_mm.synth.engines.select import load_chat

    loaded = load_chat(ModelSpec(engine="transformers"))
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def outcomes(chat, drawn) -> list[Outcome]:
    return synthesise(chat, chat, [parent_of(one) for one in drawn.values()], PARAMS, SEED)


def share(values: Sequence[bool]) -> float:
    assert len(values) >= 10, "too few to tell"
    return sum(values) / len(values)


def truth_of(outcome: Outcome, drawn: dict[str, Drawn]) -> bool:
    made = outcome.generation
    distractors = [option for option in made["options"] if option != made["answer"]]
    scene = drawn[outcome.parent].truth
    return is_true(scene, outcome.leaf, outcome.format, made["question"], made["answer"], distractors)


def test_tags_are_those_of_the_scene(chat, drawn):
    requests = [step1_tag.request(parent_of(one), PARAMS, SEED) for one in drawn.values()]
    right = []
    for one, reply in zip(drawn.values(), chat(requests), strict=True):
        read = step1_tag.read(parent_of(one), reply, PARAMS, SEED)
        assert not isinstance(read, Drop), read
        right.append(set(read.tags) == set(tags_of(one.truth)))
    assert share(right) >= 0.85


def test_types_suit_the_scene(outcomes, drawn):
    right = []
    for outcome in outcomes:
        scene, row = drawn[outcome.parent].truth, Attempt(_Tagged(parent_of(drawn[outcome.parent])), outcome.n)
        offered = {leaf.name for leaf in step2_classify.candidates(row, PARAMS, SEED)}
        best = next((leaf for leaf in leaves(scene) if leaf in offered), None)
        right.append(outcome.leaf == best)
    assert share(right) >= 0.85


def test_what_is_kept_is_true(outcomes, drawn):
    kept = [truth_of(outcome, drawn) for outcome in outcomes if outcome.outcome == "kept"]
    assert len(kept) >= len(outcomes) / 2
    assert share(kept) >= 0.9


def test_the_filter_passes_most_of_what_is_true(outcomes, drawn):
    judged = [one for one in outcomes if one.generation is not None and one.generation["score"] is not None]
    assert share([one.outcome == "kept" for one in judged if truth_of(one, drawn)]) >= 0.85


def test_the_filter_catches_wrong_answers(chat, drawn):
    liar = Liar(chat, drawn)
    ended = synthesise(liar, chat, [parent_of(one) for one in drawn.values()], PARAMS, SEED)
    judged = [one for one in ended if one.generation is not None and one.generation["score"] is not None]
    false = [one for one in judged if not truth_of(one, drawn)]
    assert len(false) >= 0.8 * len(judged)
    assert share([one.reason == "low_score" for one in false]) >= 0.85


class Liar:
    """Passes requests on, and puts a wrong answer where the model wrote a right one."""

    def __init__(self, chat: Chat, drawn: dict[str, Drawn]):
        self._chat, self._drawn = chat, drawn

    @property
    def info(self) -> EngineInfo:
        return self._chat.info

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        replies = self._chat(requests)
        return [self._altered(q, a) for q, a in zip(requests, replies, strict=True)]

    def close(self) -> None:
        pass

    def _altered(self, request: Request, reply: Reply) -> Reply:
        if not request.key.endswith("/generate") or reply.text is None:
            return reply
        value, scene = json.loads(reply.text), self._drawn[request.key.split("/")[0]].truth
        for form in ("brief", "detailed", "multiple_choice", "word_or_phrase"):
            for question in askable(scene):
                if (question.text, question.said(form)) == (value["question"], value["answer"]):
                    wrong = random.Random(request.key).choice(value.get("distractors", question.wrong))
                    if "distractors" in value:
                        value["distractors"][value["distractors"].index(wrong)] = value["answer"]
                    value["answer"] = question.said(form, wrong)
                    return reply.model_copy(update={"text": json.dumps(value)})
        return reply


class _Tagged:
    """A parent with whatever tags: candidates do not depend on them."""

    def __init__(self, parent: Parent):
        self.parent, self.tags = parent, ()
