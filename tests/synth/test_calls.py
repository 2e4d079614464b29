from __future__ import annotations

from typing import Any

import pytest

from infinity_mm.errors import ModelError
from infinity_mm.synth.calls import PERMANENT_ERRORS, call
from infinity_mm.synth.chat import Reply, Request, Sampling


def request(key: str, temperature: float = 0.5, choices: tuple[str, ...] | None = ("yes", "no")) -> Request:
    return Request(key=key, prompt="p", choices=choices, sampling=Sampling(temperature=temperature), seed=100)


def failing(error: str) -> Any:
    return lambda r: Reply(key=r.key, text=None, error=error, prompt_tokens=3, completion_tokens=1)


def test_good_answers_are_asked_for_once(kit: Any) -> None:
    chat = kit.chat(lambda r: "yes")
    made = call(chat, [request("a"), request("b")], retries=3)
    assert [(one.reply.text, one.attempts, one.request.seed) for one in made] == [("yes", 1, 100)] * 2
    assert len(chat.asked) == 2


def test_a_failed_call_is_tried_again_with_the_next_seed(kit: Any) -> None:
    chat = kit.chat(lambda r: "yes" if r.seed == 102 or r.key == "b" else None)
    first, second = call(chat, [request("a"), request("b")], retries=5)
    assert (first.reply.text, first.attempts, first.request.seed) == ("yes", 3, 102)
    assert (second.attempts, second.request.seed) == (1, 100)
    assert [(r.key, r.seed) for r in chat.asked] == [("a", 100), ("b", 100), ("a", 101), ("a", 102)]
    assert (first.prompt_tokens, first.completion_tokens) == (30, 3)


def test_retries_are_bounded_and_the_last_reply_is_kept(kit: Any) -> None:
    chat = kit.chat(lambda r: "perhaps")
    (made,) = call(chat, [request("a")], retries=2)
    assert (made.attempts, made.reply.text, made.request.seed) == (3, "perhaps", 102)
    assert made.completion_tokens == 3 * len("perhaps")
    assert len(call(chat, [request("a")], retries=0)) == 1


@pytest.mark.parametrize("error", sorted(PERMANENT_ERRORS))
def test_permanent_errors_are_not_tried_again(kit: Any, error: str) -> None:
    (made,) = call(kit.chat(failing(error)), [request("a")], retries=4)
    assert (made.attempts, made.reply.text, made.reply.error) == (1, None, error)


def test_an_unusable_greedy_answer_is_not_asked_for_again(kit: Any) -> None:
    assert call(kit.chat(lambda r: "perhaps"), [request("a", 0.0)], retries=4)[0].attempts == 1
    assert call(kit.chat(failing("truncated")), [request("a", 0.0)], retries=4)[0].attempts == 1
    assert call(kit.chat(failing("timeout")), [request("a", 0.0)], retries=4)[0].attempts == 5


def test_nothing_is_asked_for_nothing(kit: Any) -> None:
    chat = kit.chat(lambda r: "yes")
    assert call(chat, [], retries=2) == []
    assert chat.asked == []


def test_replies_in_another_order_are_an_error_of_the_engine(kit: Any) -> None:
    class Reversed(kit.chat):  # type: ignore[misc,name-defined]
        def __call__(self, requests: Any) -> Any:
            return super().__call__(requests)[::-1]

    with pytest.raises(ModelError, match="asked 2 requests and gave 2 replies"):
        call(Reversed(lambda r: "yes"), [request("a"), request("b")], retries=0)
