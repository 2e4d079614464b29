"""An engine in a process of its own, killed for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infinity_mm.errors import EngineDiedError, ModelError
from infinity_mm.synth.chat import ModelSpec, Request, Sampling
from infinity_mm.synth.engines.hosted import HostedChat
from infinity_mm.synth.engines.reviving import RevivingChat
from tests.synth.engines.conftest import need_vllm, vllm_gpus


def ask(*prompts: str) -> list[Request]:
    return [Request(key=prompt, prompt=prompt, sampling=Sampling(max_tokens=3)) for prompt in prompts]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_model_that_cannot_be_loaded_is_an_error_here() -> None:
    with pytest.raises(ModelError, match=r"needs synth\.model\.base_url"):
        HostedChat(ModelSpec(engine="openai"))


def test_the_process_ends_with_its_parent() -> None:
    """A parent that is killed outright leaves no engine behind, even one that is at work."""
    script = (
        "import socket, subprocess, sys, os\n"
        "ours, theirs = socket.socketpair()\n"
        "child = subprocess.Popen([sys.executable, '-m', 'infinity_mm.synth.engines.hosted', str(theirs.fileno()),"
        " str(os.getpid())], pass_fds=[theirs.fileno(), ours.fileno()])\n"
        "print(child.pid, flush=True)\n"
        "import time; time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while not gone(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert gone(child)
    parent.stdout.close()


@pytest.fixture
def hosted(engine_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[HostedChat]]:
    need_vllm()
    for name, value in engine_environment.items():
        monkeypatch.setenv(name, value)
    built: list[HostedChat] = []
    yield built
    for chat in built:
        assert gone(chat.pid), "every engine's process has ended"


@pytest.mark.slow
def test_a_killed_vllm_is_started_again_and_its_requests_are_answered(hosted: list[HostedChat]) -> None:
    def build() -> HostedChat:
        hosted.append(HostedChat(ModelSpec(name="random", engine="vllm", gpus=vllm_gpus())))
        return hosted[-1]

    chat = RevivingChat(build, "random")
    before = chat(ask("one", "two"))
    assert [reply.error for reply in before] == [None, None]
    os.kill(hosted[0].pid, signal.SIGKILL)
    assert chat(ask("one", "two")) == before
    assert len(hosted) == 2
    os.kill(hosted[1].pid, signal.SIGKILL)
    with pytest.raises(EngineDiedError, match="was ended by SIGKILL"):
        hosted[1](ask("one"))
    chat.close()


#: Stands in for `load_chat` in a child: an engine that hangs on prompts that say so, and works slowly on others.
HANGING = """
import sys, time
from infinity_mm.synth.chat import EngineInfo, Reply
from infinity_mm.synth.engines import select

class Engine:
    info = EngineInfo(engine="vllm", version="1", model="m", revision="r", batch_invariant=True)
    steps = 0

    def __call__(self, requests):
        for request in requests:
            while "hang" in request.prompt:
                time.sleep(60)
            for _ in range(25 if "slow" in request.prompt else 1):
                time.sleep(0.1)
                self.steps += 1
        return [Reply(key=request.key, text="fine") for request in requests]

    def close(self):
        pass

select.load_chat = lambda spec: Engine()
"""


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], HostedChat]:
    """Builds children whose engine is `HANGING`, ended after two seconds without progress."""
    (tmp_path / "sitecustomize.py").write_text(HANGING)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda: HostedChat(ModelSpec(engine="vllm", stall_timeout_s=2.0))


def test_an_engine_that_hangs_is_ended(hanging: Callable[[], HostedChat]) -> None:
    chat = hanging()
    assert [reply.text for reply in chat(ask("one"))] == ["fine"]
    with pytest.raises(EngineDiedError, match=r"no progress for 2 s.*stall_timeout_s"):
        chat(ask("one", "hang"))
    chat.close()
    assert gone(chat.pid)


def test_an_engine_that_is_slow_but_goes_on_is_left_alone(hanging: Callable[[], HostedChat]) -> None:
    chat = hanging()
    assert [reply.text for reply in chat(ask("slow 1", "slow 2"))] == ["fine", "fine"]
    chat.close()


@pytest.mark.slow
def test_a_request_that_hangs_the_engine_is_quarantined(hanging: Callable[[], HostedChat]) -> None:
    chat = RevivingChat(hanging, "m")
    replies = chat(ask("one", "hang", "two"))
    chat.close()
    assert [(reply.text, reply.error) for reply in replies] == [
        ("fine", None),
        (None, "engine_died"),
        ("fine", None),
    ]
    assert "made no progress for 2 s" in replies[1].detail
