"""An engine that dies: who is blamed, who is answered, and when it is enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.errors import EngineDiedError, ModelError
from infinity_mm.synth.chat import EngineInfo, Reply, Request
from infinity_mm.synth.engines.reviving import KILLERS, STILLBORN, RevivingChat


@dataclass
class Machine:
    """Builds engines that die when `kills` says so of (number of the engine, batch)."""

    kills: Callable[[int, Sequence[Request]], bool]
    built: int = 0
    batches: list[list[str]] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)

    def __call__(self) -> Engine:
        self.built += 1
        return Engine(self, self.built)


@dataclass
class Engine:
    machine: Machine
    number: int

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(engine="vllm", version="1", model="m", revision="r", batch_invariant=True)

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        self.machine.batches.append([request.key for request in requests])
        if self.machine.kills(self.number, requests):
            raise EngineDiedError("killed by SIGKILL")
        return [Reply(key=request.key, text=request.key.upper()) for request in requests]

    def close(self) -> None:
        self.machine.closed.append(self.number)


def ask(keys: Sequence[str]) -> list[Request]:
    return [Request(key=key, prompt="p") for key in keys]


def poison(*keys: str) -> Callable[[int, Sequence[Request]], bool]:
    return lambda number, batch: any(request.key in keys for request in batch)


def test_nothing_is_built_where_nothing_is_asked() -> None:
    machine = Machine(poison())
    chat = RevivingChat(machine, "m")
    assert chat([]) == []
    assert machine.built == 0
    assert [reply.text for reply in chat(ask("ab"))] == ["A", "B"]
    assert machine.built == 1
    assert machine.batches == [["a", "b"]]
    chat.close()
    assert machine.closed == [1]


def test_a_killed_engine_is_built_again_and_its_batch_sent_again() -> None:
    machine = Machine(lambda number, batch: number == 1)
    chat = RevivingChat(machine, "m")
    assert [reply.text for reply in chat(ask("abc"))] == ["A", "B", "C"]
    assert machine.built == 2
    assert machine.closed == [1]
    assert machine.batches == [["a", "b", "c"], ["probe"], ["a", "b", "c"]]


@given(size=st.integers(1, 40), data=st.data())
def test_poisoned_requests_are_isolated_and_their_neighbours_answered(size: int, data: st.DataObject) -> None:
    keys = [f"k{number}" for number in range(size)]
    # Two in a row that stand alone are bad luck; a third without an answer in between is the engine's fault.
    bad = set(data.draw(st.lists(st.sampled_from(keys), unique=True, max_size=KILLERS - 1)))
    machine = Machine(poison(*bad))
    replies = RevivingChat(machine, "m")(ask(keys))
    assert [reply.key for reply in replies] == keys
    for reply in replies:
        assert (reply.text, reply.error) == ((None, "engine_died") if reply.key in bad else (reply.key.upper(), None))
    assert machine.built <= 1 + len(bad) * (2 + size.bit_length())
    assert machine.closed == list(range(1, len(machine.closed) + 1)), "each dead engine is closed, once"


def test_an_engine_that_never_answers_is_given_up() -> None:
    machine = Machine(lambda number, batch: True)
    with pytest.raises(ModelError, match=rf"{STILLBORN} engines for model 'm' died before.*SIGKILL.*the same command"):
        RevivingChat(machine, "m")(ask("abcd"))
    assert machine.built == 1 + STILLBORN


def test_requests_that_all_kill_are_the_engines_fault() -> None:
    machine = Machine(lambda number, batch: batch[0].key != "probe")
    with pytest.raises(ModelError, match=rf"{KILLERS} requests in a row.*max_model_len.*the same command"):
        RevivingChat(machine, "m")(ask("abcdefgh"))
    assert machine.built <= 12


def test_what_cannot_be_built_is_told_at_once() -> None:
    def fail() -> Engine:
        raise ModelError("vLLM cannot be imported")

    with pytest.raises(ModelError, match="cannot be imported"):
        RevivingChat(fail, "m")(ask("a"))


def test_seconds_are_those_of_answers() -> None:
    chat = RevivingChat(Machine(poison()), "m")
    assert chat.seconds == 0
    chat(ask("a"))
    assert chat.seconds > 0
