"""Asking a model, again where another try can help, and keeping count of what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import Chat, Reply, Request
from infinity_mm.synth.rows import Failed
from infinity_mm.synth.structured import read_reply

#: Errors of a reply that the same picture and prompt will always meet.
PERMANENT_ERRORS = frozenset({"undecodable_image", "prompt_too_long", "refused"})


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


def call(chat: Chat, requests: Sequence[Request], retries: int) -> list[Call]:
    """Answer every request, in order, with at most `retries` further tries each.

    A reply that failed or does not fit its request's constraint is asked for again with the seed one
    higher, unless its error is permanent, or the answer was unusable and greedy: then another try
    would only repeat it. Which requests are tried again depends on their own replies alone.

    Raises `ModelError` where the engine does not answer request by request.
    """
    done = [
        Call(request, reply, 1, reply.prompt_tokens, reply.completion_tokens)
        for request, reply in zip(requests, _ask(chat, requests), strict=True)
    ]
    for _ in range(retries):
        places = [k for k, one in enumerate(done) if _worth_another(one)]
        again = [_next_seed(done[k].request) for k in places]
        for k, request, reply in zip(places, again, _ask(chat, again), strict=True):
            before = done[k]
            done[k] = Call(
                request,
                reply,
                before.attempts + 1,
                before.prompt_tokens + reply.prompt_tokens,
                before.completion_tokens + reply.completion_tokens,
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
    return read.reason == "model_call_failed" or one.request.sampling.temperature > 0


def _next_seed(request: Request) -> Request:
    return request.model_copy(update={"seed": request.seed + 1})
