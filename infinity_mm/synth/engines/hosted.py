"""An engine in a process of its own, so that its death is an error here and not the end of this process.

What kills an engine seldom raises: the kernel takes its memory, a kernel of the GPU or a decoder faults, an operator
ends it. Requests and replies travel over a socket pair; a few hundred kilobytes of picture cost a fraction of a
millisecond beside the generation.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import IO, Any

from infinity_mm.errors import EngineDiedError, ModelError
from infinity_mm.synth.chat import Chat, EngineInfo, ModelSpec, Reply, Request, Stepping

#: Seconds that a process gets to end by itself.
_PATIENCE_S = 20.0
#: Bytes of a dead process's last words that an error shows.
_LAST_WORDS = 1500
#: Seconds between looks whether the parent is still there.
_WATCH_S = 1.0
#: What the child says in between while it works, no more often than every `_WATCH_S`.
_PROGRESS = "progress"


class HostedChat:
    """The `Chat` of a model that `load_chat` loads in a child process."""

    def __init__(self, spec: ModelSpec) -> None:
        """Start the process and load the model.

        Raises
        ------
        ModelError
            The engine is not installed, or the model cannot be loaded.
        EngineDiedError
            The process died while it loaded.
        """
        ours, theirs = socket.socketpair()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), str(os.getpid())],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
            )
        self._connection = Connection(ours.detach())
        self._patience = spec.stall_timeout_s
        try:
            #: Which engine, model and revision answers.
            self.info: EngineInfo = self._ask(spec)
        except ModelError:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The child process."""
        return self._process.pid

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer every request, in order.

        Raises
        ------
        EngineDiedError
            The process or its engine died, or showed no progress for `ModelSpec.stall_timeout_s` seconds and was ended.
        """
        replies: list[Reply] = self._ask(list(requests), self._patience)
        return replies

    def close(self) -> None:
        """End the process and free the model; the object is not used again."""
        self._connection.close()
        try:
            self._process.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _ask(self, message: object, patience: float | None = None) -> Any:
        try:
            self._connection.send(message)
            answer: Any = _PROGRESS
            while answer == _PROGRESS:
                if not self._connection.poll(patience):
                    self._process.kill()
                    raise EngineDiedError(
                        f"the engine's process made no progress for {patience:g} s and was ended; where it is only "
                        "slow, raise synth.model.stall_timeout_s"
                    )
                answer = self._connection.recv()
        except (EOFError, OSError) as fault:
            raise EngineDiedError(f"the engine's process {self._ended()}") from fault
        if isinstance(answer, ModelError):
            raise answer
        return answer

    def _ended(self) -> str:
        try:
            status = self._process.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            return "stopped answering"
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - _LAST_WORDS))
        words = self._log.read().decode(errors="replace").strip()
        return how + (f"; its last words: {words}" if words else "")


def serve(connection: Connection) -> None:
    """Load the model that the first message names, and answer until the other side closes."""
    from infinity_mm.synth.engines.select import load_chat

    chat: Chat | None = None
    sending = threading.Lock()

    def send(message: object) -> None:
        with sending:
            connection.send(message)

    with contextlib.suppress(EOFError, OSError):  # the parent closed or is gone
        while True:
            message = connection.recv()
            try:
                if chat is None:
                    chat = load_chat(message)
                    if isinstance(chat, Stepping):
                        threading.Thread(target=_tell_progress, args=(chat, send), daemon=True).start()
                    send(chat.info)
                else:
                    send(chat(message))
            except ModelError as error:
                send(type(error)(str(error)))
    if chat is not None:
        chat.close()


def _tell_progress(chat: Stepping, send: Callable[[object], None]) -> None:
    """Tell the parent from time to time that the model has made steps since."""
    seen = chat.steps
    with contextlib.suppress(OSError):
        while True:
            time.sleep(_WATCH_S)
            if chat.steps != seen:
                seen = chat.steps
                send(_PROGRESS)


def _watch(parent: int) -> None:
    """End this process when its parent has ended, also in the middle of a batch: it holds memory that others need."""
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_watch, args=(int(sys.argv[2]),), daemon=True).start()
    serve(Connection(int(sys.argv[1])))
