"""Asking a model, again where another try can help, and keeping count of what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import Chat, EngineInfo, Reply, Request
from infinity_mm.synth.rows import Failed
from infinity_mm.synth.structured import read_reply

#: Errors of a reply that the same picture and prompt will always meet.
PERMANENT_ERRORS = frozenset(
    {"undecodable_image", "image_too_large", "image_too_narrow", "prompt_too_long", "refused", "engine_died"}
)


@dataclass(frozen=True)
class Call:
    """One question to a model, with all its tries."""

    #: As sent last: its seed is the first try's plus the number of retries.
    request: Request
    #: The last reply; its text may still be None or unusable.
    reply: Reply
    #: Tries, at least 1.
    attempts: int
    #: Of all tries.
    prompt_tokens: int
    #: Of all tries.
    completion_tokens: int
    #: Who answered.
    engine: EngineInfo
    #: Name of the generation; None where the model keeps no memory.
    generation: str | None = None
    #: True where the answer was given before and no call was made now.
    cached: bool = False

    @staticmethod
    def of(request: Request, reply: Reply, engine: EngineInfo) -> Call:
        """Return a call that was tried once."""
        return Call(request, reply, 1, reply.prompt_tokens, reply.completion_tokens, engine)


@runtime_checkable
class Remembering(Protocol):
    """What a `Chat` has besides, where answers that were given before are not asked for again."""

    def key(self, request: Request) -> str:
        """Return the name of the generation that a request asks for."""
        ...

    def recall(self, requests: Sequence[Request], keys: Sequence[str]) -> list[Call | None]:
        """Return the calls that were made before, in order."""
        ...

    def remember(self, key: str, made: Call) -> None:
        """Keep a call's answer, if it is one."""
        ...

    def save(self) -> None:
        """Write down what was kept: a step's answers have cost much, and the next step may be the last."""
        ...


def call(chat: Chat, requests: Sequence[Request], retries: int) -> list[Call]:
    """Answer every request, in order, with at most `retries` further tries each.

    A reply that failed or does not fit its request's constraint is asked for again with the seed one
    higher, unless its error is permanent, or the answer was unusable and greedy: then another try
    would only repeat it. Which requests are tried again depends on their own replies alone.
    A `Remembering` chat is asked only what it does not know, and the same question once.

    Raises `ModelError` where the engine does not answer request by request.
    """
    if not isinstance(chat, Remembering):
        return _ask_all(chat, requests, retries)
    keys = [chat.key(request) for request in requests]
    known = {key: one for key, one in zip(keys, chat.recall(requests, keys), strict=True) if one is not None}
    first = {key: request for key, request in zip(keys[::-1], requests[::-1], strict=True) if key not in known}
    unknown = {key: first[key] for key in dict.fromkeys(keys) if key in first}
    for key, one in zip(unknown, _ask_all(chat, list(unknown.values()), retries), strict=True):
        chat.remember(key, one)
        known[key] = one
    chat.save()
    return [_answer(request, key, known[key]) for request, key in zip(requests, keys, strict=True)]


def _answer(request: Request, key: str, made: Call) -> Call:
    """Return a call as the answer to a request of the same generation, which may be another row's."""
    sent = request.model_copy(update={"seed": request.seed + made.attempts - 1})
    again = made.request.key != request.key
    reply = made.reply.model_copy(update={"key": request.key})
    return replace(made, request=sent, reply=reply, generation=key, cached=made.cached or again)


def _ask_all(chat: Chat, requests: Sequence[Request], retries: int) -> list[Call]:
    replies = _ask(chat, requests)
    done = [Call.of(request, reply, chat.info) for request, reply in zip(requests, replies, strict=True)]
    for _ in range(retries):
        places = [k for k, one in enumerate(done) if _worth_another(one)]
        again = [_next_seed(done[k].request) for k in places]
        for k, request, reply in zip(places, again, _ask(chat, again), strict=True):
            before = done[k]
            done[k] = replace(
                before,
                request=request,
                reply=reply,
                attempts=before.attempts + 1,
                prompt_tokens=before.prompt_tokens + reply.prompt_tokens,
                completion_tokens=before.completion_tokens + reply.completion_tokens,
            )
    return done


def _ask(chat: Chat, requests: Sequence[Request]) -> list[Reply]:
    if not requests:
        return []
    replies = chat(requests)
    if [reply.key for reply in replies] != [request.key for request in requests]:
        raise ModelError(
            f"{chat.info.engine} {chat.info.version} was asked {len(requests)} requests and gave {len(replies)} "
            "replies, with other keys or in another order; this is a bug of the engine's adapter"
        )
    return replies


def _worth_another(one: Call) -> bool:
    read = read_reply(one.request, one.reply)
    if not isinstance(read, Failed) or one.reply.error in PERMANENT_ERRORS:
        return False
    return read.reason != "unparsable_reply" or one.request.sampling.temperature > 0


def _next_seed(request: Request) -> Request:
    return request.model_copy(update={"seed": request.seed + 1})
