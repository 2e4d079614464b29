"""How fast requests may follow each other: an endpoint's limit is met by waiting, not by being refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class Pace:
    """Gives out moments at which a request may be sent, evenly spread.

    Even spacing is the leaky bucket with room for one (Turner 1986, "New directions in communications"): no minute
    ever holds more than the limit, wherever it begins.
    """

    def __init__(
        self,
        per_minute: int | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`per_minute` None sets no limit; `clock` gives seconds and `sleep` waits for some."""
        self._gap = 0.0 if per_minute is None else 60.0 / per_minute
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0

    async def wait(self) -> None:
        """Return when the caller may send its request."""
        if not self._gap:
            return
        now = self._clock()
        mine = max(now, self._next)
        self._next = mine + self._gap
        if mine > now:
            await self._sleep(mine - now)
