"""An engine in a process of its own, killed for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

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
