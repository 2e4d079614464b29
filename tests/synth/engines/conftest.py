"""Engines for the tests: each is started once per session, on the checkpoint with random weights, without network or GPU."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Listener
from pathlib import Path

import pytest

from infinity_mm.synth.chat import Chat, EngineInfo, ModelSpec, Reply, Request
from infinity_mm.synth.engines.select import local_gpus, vllm_is_cpu_build

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def engine_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A cache of the session's own, and the environment of child processes."""
    with pytest.MonkeyPatch.context() as patch:
        # Ten seconds of CPU for each cache that does not have what vLLM finds out about its own classes.
        usual = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
        patch.setenv("VLLM_CACHE_ROOT", os.environ.get("VLLM_CACHE_ROOT", str(usual / "vllm")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        yield os.environ | {"PYTHONPATH": path}


def need(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


def need_vllm() -> None:
    need("vllm")
    if not vllm_is_cpu_build() and not local_gpus():
        pytest.skip("vLLM is installed for GPUs and there is none")


def vllm_gpus() -> float:
    return 0.0 if vllm_is_cpu_build() else 1.0


class ChildChat:
    """The `Chat` protocol, answered by a child process."""

    def __init__(self, spec: ModelSpec, environment: dict[str, str], folder: Path):
        address = str(folder / "socket")
        #: What the child prints.
        self.log = log = folder / "log"
        command = [sys.executable, str(Path(__file__).with_name("engine_child.py")), address, spec.model_dump_json()]
        with Listener(address, family="AF_UNIX") as listener, log.open("wb") as stream:
            self._process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
            self._connection = listener.accept()
        try:
            self.info: EngineInfo = self._connection.recv()
        except EOFError:
            raise AssertionError(log.read_text()[-5000:]) from None

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        self._connection.send(list(requests))
        answer = self._connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sabotage(self, word: str) -> None:
        """Make the engine fail on prompts that hold `word`; mend it with an empty word."""
        self._connection.send(word)
        assert self._connection.recv() is None

    def close(self) -> None:
        self._connection.send(None)
        assert self._process.wait(timeout=60) == 0


@pytest.fixture(scope="session")
def transformers_chat(engine_environment: dict[str, str]) -> Iterator[Chat]:
    need("torch", "transformers", "llguidance")
    from infinity_mm.synth.engines.transformers_local import TransformersChat

    chat = TransformersChat(ModelSpec(name="random"))
    yield chat
    chat.close()


@pytest.fixture(scope="session")
def vllm_chat(engine_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    need_vllm()
    spec = ModelSpec(name="random", engine="vllm", gpus=vllm_gpus())
    chat = ChildChat(spec, engine_environment, tmp_path_factory.mktemp("vllm"))
    yield chat
    chat.close()


@pytest.fixture(scope="session")
def vllm_server(engine_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of `vllm serve` on the checkpoint with random weights."""
    need_vllm()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    command = [sys.executable, "-m", "infinity_mm.synth.serve", "random", "--port", str(port)]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=engine_environment, cwd=ROOT, stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + 200
        while not _healthy(port):
            assert process.poll() is None, log.read_text()[-5000:]
            assert time.monotonic() < deadline, log.read_text()[-5000:]
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(timeout=60)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="session")
def openai_chat(vllm_server: str) -> Iterator[Chat]:
    need("openai")
    from infinity_mm.synth.engines.openai_http import OpenAIChat

    chat = OpenAIChat(ModelSpec(name="random", engine="openai", base_url=vllm_server))
    yield chat
    chat.close()


@pytest.fixture(
    params=[
        "transformers",
        pytest.param("vllm", marks=pytest.mark.slow),
        pytest.param("openai", marks=pytest.mark.slow),
    ]
)
def chat(request: pytest.FixtureRequest) -> Chat:
    """Each engine in turn."""
    engine: Chat = request.getfixturevalue(f"{request.param}_chat")
    return engine
