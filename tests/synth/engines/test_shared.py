"""Threads that share one engine: one batch at a time, and each user's own seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from infinity_mm.synth.chat import EngineInfo, Reply, Request
from infinity_mm.synth.engines.reviving import RevivingChat
from infinity_mm.synth.engines.shared import SharedChat, Turns


class Engine:
    """Takes a while, and notes whether it was asked from two threads at once."""

    def __init__(self) -> None:
        self.busy = threading.Lock()
        self.batches: list[list[str]] = []

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(engine="vllm", version="1", model="m", revision="r", batch_invariant=True)

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        assert self.busy.acquire(blocking=False), "two batches at once"
        time.sleep(0.02 * len(requests))
        self.batches.append([request.key for request in requests])
        self.busy.release()
        return [Reply(key=request.key, text=request.key.upper()) for request in requests]

    def close(self) -> None:
        pass


def test_batches_stay_whole_and_seconds_are_each_users_own() -> None:
    engine = Engine()
    turns = Turns(RevivingChat(lambda: engine, "m"))
    users = [SharedChat(turns) for _ in range(3)]
    batches = [[Request(key=f"{name}{number}", prompt="p") for number in range(3)] for name in "abc"]
    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(lambda user, batch: user(batch), users, batches))
    assert [[reply.text for reply in each] for each in replies] == [
        [request.key.upper() for request in batch] for batch in batches
    ]
    assert sorted(engine.batches) == [[request.key for request in batch] for batch in batches]
    assert sum(user.seconds for user in users) == pytest.approx(turns.engine.seconds)
    assert all(user.seconds > 0.05 for user in users), "waiting for a turn is not counted, answering is"


def test_a_closed_engine_is_built_again_for_whoever_asks() -> None:
    built: list[Engine] = []

    def build() -> Engine:
        built.append(Engine())
        return built[-1]

    turns = Turns(RevivingChat(build, "m"))
    one, other = SharedChat(turns), SharedChat(turns)
    one([Request(key="a", prompt="p")])
    one.close()
    assert other([Request(key="b", prompt="p")])[0].text == "B"
    assert other.info.model == "m"
    assert len(built) == 2
