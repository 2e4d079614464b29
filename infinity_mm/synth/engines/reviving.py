"""An engine that is built when it is first needed, and built again when it dies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from infinity_mm.errors import EngineDiedError, ModelError
from infinity_mm.synth.chat import Chat, EngineInfo, Reply, Request, Sampling
from infinity_mm.synth.engines import common

#: Engines in a row that may die before they have answered anything.
STILLBORN = 3
#: Requests in a row that may each bring down a new engine while none is answered.
KILLERS = 3
#: What a new engine must answer before it gets work.
_PROBE = Request(key="probe", prompt="?", sampling=Sampling(max_tokens=1))


class RevivingChat:
    """A `Chat` that outlives its engine.

    When the engine dies, a new one is built and the batch is sent again, for the death may have been bad luck. If it
    dies again, the batch is halved until the requests that bring engines down stand alone; those get the error
    ``engine_died``, and all others their answers. Nothing is built where nothing is asked.
    """

    def __init__(self, build: Callable[[], Chat], name: str) -> None:
        """`build` makes an engine, and raises `ModelError` where it cannot; `name` is the model's, for messages."""
        self._build = build
        self._name = name
        self._chat: Chat | None = None
        self._deaths = 0
        self._stillborn = 0
        self._killers = 0
        #: Seconds that engines spent on answers, their starts left out.
        self.seconds = 0.0

    @property
    def info(self) -> EngineInfo:
        """Which engine, model and revision answers."""
        return self._engine().info

    def __call__(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer every request, in order.

        Raises
        ------
        ModelError
            No engine can be built, `STILLBORN` engines died without an answer, or `KILLERS` requests in a row each
            brought one down.
        """
        return self._answer(requests, may_be_luck=True) if requests else []

    def close(self) -> None:
        """Free the model; a later request builds an engine again."""
        if self._chat is not None:
            self._chat.close()
            self._chat = None

    def _answer(self, requests: Sequence[Request], may_be_luck: bool = False) -> list[Reply]:
        try:
            replies = self._ask(self._engine(), requests)
            self._killers = 0
            return replies
        except EngineDiedError as fault:
            self._bury()
            if may_be_luck:
                return self._answer(requests)
            if len(requests) == 1:
                return [self._blame(requests[0], fault)]
        middle = len(requests) // 2
        return self._answer(requests[:middle]) + self._answer(requests[middle:])

    def _engine(self) -> Chat:
        """Return an engine; one that follows on a death has answered a harmless request."""
        while self._chat is None:
            try:
                self._chat = self._build()
                if self._deaths:
                    self._chat([_PROBE])
            except EngineDiedError as fault:
                self._bury()
                self._stillborn += 1
                if self._stillborn >= STILLBORN:
                    raise ModelError(
                        f"{self._stillborn} engines for model {self._name!r} died before they answered anything, "
                        f"the last with: {fault}. {_ADVICE}"
                    ) from fault
        self._stillborn = 0
        return self._chat

    def _ask(self, chat: Chat, requests: Sequence[Request]) -> list[Reply]:
        began = time.monotonic()
        try:
            return chat(requests)
        finally:
            self.seconds += time.monotonic() - began

    def _bury(self) -> None:
        self._deaths += 1
        chat, self._chat = self._chat, None
        if chat is not None:
            chat.close()

    def _blame(self, request: Request, fault: EngineDiedError) -> Reply:
        self._killers += 1
        if self._killers >= KILLERS:
            raise ModelError(
                f"{self._killers} requests in a row each brought down an engine of model {self._name!r}, the last "
                f"({request.key}) with: {fault}. {_ADVICE}"
            ) from fault
        return common.failed(request, "engine_died", fault)


_ADVICE = (
    "Out of memory is the usual cause: lower synth.model.max_model_len or max_image_side, give it more memory or "
    "GPUs, or take another synth.model.engine. What was generated is kept; the same command goes on from there."
)
