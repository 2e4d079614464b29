"""A chat whose answers a test writes, and pictures to ask about; nothing here loads a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from infinity_mm.record import Image
from infinity_mm.synth.chat import EngineInfo, Reply, Request
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.rows import Attempt, Generated, Parent, Tag, Tagged, Typed
from infinity_mm.synth.taxonomy import Taxonomy

Answer = Callable[[Request], "str | Reply | None"]

LONG = (
    "A red car stands beside a brick wall in the foreground. Its door is open and nobody sits inside. "
    "So the driver has left the car."
)


@dataclass
class ScriptedChat:
    """Answers each request by a function of the request; keeps what it was asked."""

    answer: Answer
    model: str = "scripted-vlm"
    asked: list[Request] = field(default_factory=list)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(
            engine="transformers", version="0.0", model=self.model, revision="0123456789abcdef", batch_invariant=True
        )

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        self.asked += requests
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        answer = self.answer(request)
        if isinstance(answer, Reply):
            return answer
        error = "engine_error" if answer is None else None
        tokens = 0 if answer is None else len(answer)
        return Reply(key=request.key, text=answer, error=error, prompt_tokens=10, completion_tokens=tokens)

    def close(self) -> None:
        pass


def step_of(request: Request) -> str:
    return request.key.rsplit("/", 1)[1]


def sound(request: Request) -> str:
    """A model that always answers well; each attempt has a question of its own."""
    match step_of(request):
        case "tag":
            return json.dumps({"tags": [{"tag": "red car", "confidence": 5}, {"tag": "brick wall", "confidence": 4}]})
        case "classify":
            assert request.choices is not None
            return request.choices[0]
        case "generate":
            assert request.json_schema is not None
            answer = request.json_schema["properties"]["answer"]
            mark = request.key.split("/")[1]
            value = {"question": f"Where is the vehicle number {mark} standing?"}
            value["answer"] = LONG if answer["maxLength"] >= 200 else "beside a wall"
            if "distractors" in request.json_schema["properties"]:
                value["distractors"] = ["on a bridge", "in a garage", "under a tree"]
            return json.dumps(value)
        case _:
            return json.dumps({"reason": "The car is beside the wall.", "score": 9})


def parent(name: str = "a") -> Parent:
    digest = hashlib.sha256(name.encode()).hexdigest()
    image = Image(sha256=digest, width=32, height=24, format="png", uri=f"{name}.png")
    return Parent(id=digest[:32], source="photos", license="CC0-1.0", image=image, data=name.encode())


def attempt(name: str = "a", n: int = 0) -> Attempt:
    return Attempt(Tagged(parent(name), (Tag("red car", 5), Tag("brick wall", 4))), n)


def typed(form: str = "word_or_phrase", leaf: str = "Recognize color", name: str = "a", n: int = 0) -> Typed:
    found = Taxonomy.load().canonical(leaf)
    assert found is not None
    return Typed(attempt(name, n), found, form)  # type: ignore[arg-type]


def generated(
    question: str, answer: str, form: str = "word_or_phrase", options: tuple[str, ...] = (), n: int = 0
) -> Generated:
    return Generated(typed(form, n=n), question, answer, options)


@dataclass(frozen=True)
class Kit:
    """What the tests build their cases from."""

    chat: type[ScriptedChat] = ScriptedChat
    params: SynthParams = field(default_factory=lambda: SynthParams(images=8))
    sound = staticmethod(sound)
    step_of = staticmethod(step_of)
    parent = staticmethod(parent)
    attempt = staticmethod(attempt)
    typed = staticmethod(typed)
    generated = staticmethod(generated)

    def with_params(self, **changes: object) -> SynthParams:
        return SynthParams.model_validate({"images": 8} | changes)

    @staticmethod
    def reply(text: str | None, error: str | None = None) -> Reply:
        return Reply(key="k", text=text, error=error, detail="for the test" if error else "")


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()
