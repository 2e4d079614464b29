"""One engine for several threads: while it answers one partition, the others are read, checked and written.

Every batch is still one partition's own, so what the engine sees together does not depend on the threads.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from infinity_mm.synth.chat import EngineInfo, Reply, Request
from infinity_mm.synth.engines.reviving import RevivingChat


@dataclass
class Turns:
    """An engine, and the lock by which its users take turns."""

    engine: RevivingChat
    lock: threading.RLock = field(default_factory=threading.RLock)


class SharedChat:
    """One user's `Chat` with a shared engine; counts the seconds of its own answers."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        #: Seconds that the engine spent on this user's answers; starts and waiting left out.
        self.seconds = 0.0

    @property
    def info(self) -> EngineInfo:
        """Which engine, model and revision answers."""
        with self._turns.lock:
            return self._turns.engine.info

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer every request, in order, when it is this user's turn; raises what the engine raises."""
        with self._turns.lock:
            before = self._turns.engine.seconds
            try:
                return self._turns.engine(requests)
            finally:
                self.seconds += self._turns.engine.seconds - before

    def close(self) -> None:
        """Free the model, also for the other users; whoever asks next builds it again."""
        with self._turns.lock:
            self._turns.engine.close()
