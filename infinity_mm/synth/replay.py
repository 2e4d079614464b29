"""Calls of one model, written down so that the steps can be run again without it.

Where judge and writer are different models and both do not fit into memory, the writer goes first and its calls are
written down; then it is closed, and with the judge at hand the steps are run again, the writer's part from what was
written down. Both runs make the same requests, so the outcome is that of one run with both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import orjson

from infinity_mm.errors import StageError
from infinity_mm.synth.cache.chat import RememberingChat
from infinity_mm.synth.cache.key import generation_key
from infinity_mm.synth.calls import Call
from infinity_mm.synth.chat import EngineInfo, Reply, Request


@dataclass(frozen=True)
class Recording:
    """A remembering model whose every call, made or recalled, is also kept here; what is kept is not asked again."""

    chat: RememberingChat
    #: By name of the generation; recordings of several models may share them, since a name tells the model as well.
    calls: dict[str, Call] = field(default_factory=dict)

    @property
    def info(self) -> EngineInfo:
        """Which engine, model and revision answers what is new."""
        return self.chat.info

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        """Ask the model itself."""
        return self.chat(requests)

    def close(self) -> None:
        """Free the model."""
        self.chat.close()

    def key(self, request: Request) -> str:
        """Return the name of the generation that a request asks for."""
        return self.chat.key(request)

    def recall(self, requests: Sequence[Request], keys: Sequence[str]) -> list[Call | None]:
        """Return the calls that were made before, in order, and keep them."""
        found = [
            self.calls.get(key) or before for key, before in zip(keys, self.chat.recall(requests, keys), strict=True)
        ]
        self.calls.update({key: one for key, one in zip(keys, found, strict=True) if one is not None})
        return found

    def remember(self, key: str, made: Call) -> None:
        """Keep a call, failed or not."""
        self.chat.remember(key, made)
        self.calls[key] = made

    def save(self) -> None:
        """Write down what is new to the model's memory."""
        self.chat.save()


@dataclass(frozen=True)
class Recorded:
    """A model that answers from calls that were written down, and nothing else."""

    calls: dict[str, Call]
    #: As for `RememberingChat`.
    model: str

    @property
    def info(self) -> EngineInfo:
        """Which engine, model and revision answered."""
        return next(iter(self.calls.values())).engine

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        """Raise `StageError`: what is not written down cannot be answered."""
        raise StageError(
            f"{len(requests)} calls of {self.model} are not among those that its pass wrote down, first "
            f"{requests[0].key}; this is a bug, please report it"
        )

    def close(self) -> None:
        """Do nothing."""

    def key(self, request: Request) -> str:
        """Return the name of the generation that a request asks for."""
        return generation_key(request, self.model)

    def recall(self, requests: Sequence[Request], keys: Sequence[str]) -> list[Call | None]:
        """Return the calls that were written down, in order."""
        del requests
        return [self.calls.get(key) for key in keys]

    def remember(self, key: str, made: Call) -> None:
        """Do nothing: nothing is ever made here."""

    def save(self) -> None:
        """Do nothing, for the same reason."""


def to_json(calls: dict[str, Call]) -> bytes:
    """Return the calls as JSON, without the pictures and prompts, which the second run makes again."""
    return orjson.dumps([_entry(key, calls[key]) for key in sorted(calls)])


def from_json(data: bytes) -> dict[str, Call]:
    """Return the calls of `to_json`."""
    return dict(_calls(orjson.loads(data)))


def _entry(key: str, made: Call) -> dict[str, object]:
    return {
        "key": key,
        "request": made.request.key,
        "reply": made.reply.model_dump(),
        "attempts": made.attempts,
        "prompt_tokens": made.prompt_tokens,
        "completion_tokens": made.completion_tokens,
        "engine": made.engine.model_dump(),
        "cached": made.cached,
    }


def _calls(entries: Iterable[dict[str, object]]) -> Iterable[tuple[str, Call]]:
    for entry in entries:
        yield (
            str(entry["key"]),
            Call(
                request=Request(key=str(entry["request"]), prompt=""),
                reply=Reply.model_validate(entry["reply"]),
                attempts=int(str(entry["attempts"])),
                prompt_tokens=int(str(entry["prompt_tokens"])),
                completion_tokens=int(str(entry["completion_tokens"])),
                engine=EngineInfo.model_validate(entry["engine"]),
                generation=str(entry["key"]),
                cached=bool(entry["cached"]),
            ),
        )
