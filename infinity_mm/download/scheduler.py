"""Whose turn it is: a queue per host, so that no host waits for another.

Every exchange, each redirect and each retry included, waits for a turn of the host it goes to. Hosts that have never
answered get one exchange at a time and together at most three quarters of all slots: any number of dead hosts leaves
the rest to the living.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace

from infinity_mm.download.faults import Content, Ending, Failure, Moved, Paused
from infinity_mm.download.hosts import Host, Hosts, Job, Origin
from infinity_mm.download.policy import DownloadPolicy
from infinity_mm.download.request import Outcome
from infinity_mm.keyed import keyed_unit


class Scheduler:
    """Runs jobs to their outcomes on the current event loop."""

    def __init__(
        self,
        policy: DownloadPolicy,
        step: Callable[[Job, Host], Awaitable[Ending]],
        deliver: Callable[[Outcome], None],
        has_room: Callable[[], bool],
    ) -> None:
        """`deliver` takes each job's outcome; no exchange starts while `has_room` says no (call `pump` when it may)."""
        self._policy = policy
        self._step = step
        self._deliver = deliver
        self._has_room = has_room
        self._loop = asyncio.get_running_loop()
        self._hosts = Hosts(policy)
        #: Hosts whose turn has come: those that have answered before, and those that have not.
        self._known: deque[Host] = deque()
        self._unknown: deque[Host] = deque()
        #: Hosts and jobs whose time has not come: (time, serial number, which).
        self._later: list[tuple[float, int, Host | Job]] = []
        self._serial = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        #: When the timer rings.
        self._alarm = math.inf
        self._tasks: set[asyncio.Task[None]] = set()
        self._probing = 0
        self._probes = max(1, policy.concurrency * 3 // 4)
        #: Done when a step raised what it never should.
        self.broken: asyncio.Future[None] = self._loop.create_future()

    def add(self, job: Job, *, first: bool = False) -> None:
        """Queue `job` with the host of its target, at the front with `first`. Starts nothing; `pump` does."""
        host = self._hosts.get(job.target.host)
        given_up = host.origin(job.target).given_up
        if given_up is not None:
            self._finish(job, given_up)
            return
        if first:
            host.jobs.appendleft(job)
        else:
            host.jobs.append(job)
        self._list(host, self._loop.time())

    def pump(self) -> None:
        """Start what may start now."""
        now = self._loop.time()
        self._wake(now)
        while len(self._tasks) < self._policy.concurrency and self._has_room():
            host = self._next()
            if host is None:
                break
            host.listed = False
            if host.ready_at <= now and host.may_start():
                self._start(host, now)
            self._list(host, now)
        self._set_timer()

    async def close(self) -> None:
        """Cancel everything in flight and wait until it is gone."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _next(self) -> Host | None:
        if self._unknown and self._probing < self._probes:
            return self._unknown.popleft()
        return self._known.popleft() if self._known else None

    def _list(self, host: Host, now: float) -> None:
        """Put `host` into the queue it belongs to, unless it stands in one or has nothing to start."""
        if host.listed or not host.may_start():
            return
        host.listed = True
        if host.ready_at > now:
            heapq.heappush(self._later, (host.ready_at, next(self._serial), host))
        else:
            (self._known if host.answered else self._unknown).append(host)

    def _wake(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            _, _, entry = heapq.heappop(self._later)
            if isinstance(entry, Job):
                self.add(entry, first=True)
            else:
                entry.listed = False
                self._list(entry, now)

    def _set_timer(self) -> None:
        """Have `pump` called when the first of the waiting is due."""
        due = self._later[0][0] if self._later else math.inf
        if due == self._alarm:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._alarm = due
        self._timer = self._loop.call_at(due, self._ring) if self._later else None

    def _ring(self) -> None:
        self._alarm = math.inf
        self._timer = None
        self.pump()

    def _start(self, host: Host, now: float) -> None:
        job = host.jobs.popleft()
        host.active += 1
        host.ready_at = max(host.ready_at, now + host.interval)
        probe = not host.answered
        self._probing += probe
        task = self._loop.create_task(self._run(job, host, probe, now))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        fault = task.exception()
        if fault is None:
            self.pump()
        elif not self.broken.done():
            self.broken.set_exception(fault)

    async def _run(self, job: Job, host: Host, probe: bool, began: float) -> None:
        try:
            ending = await self._step(job, host)
        finally:
            host.active -= 1
            self._probing -= probe
        self._settle(job, host, ending, began)
        self._list(host, self._loop.time())
        if host.is_idle():
            for origin in host.origins.values():
                if origin.rules is not None:
                    origin.rules.shrink()

    def _settle(self, job: Job, host: Host, ending: Ending, began: float) -> None:
        origin = host.origin(job.target)
        if isinstance(ending, Paused):
            host.ready_at = max(host.ready_at, self._loop.time() + host.interval)
            self.add(job, first=True)
            return
        if ending.status:
            host.answered = True
        if isinstance(ending, Failure):
            self._fail(job, host, origin, ending, began)
            return
        origin.failures = 0
        if isinstance(ending, Moved):
            job.target = ending.target
            self.add(job, first=True)
        else:
            self._finish(job, ending)

    def _fail(self, job: Job, host: Host, origin: Origin, fault: Failure, began: float) -> None:
        """Retry `job` or end it, and hold against its origin what is the origin's."""
        if fault.of_origin:
            self._blame(host, origin, fault, began)
        elif fault.status:
            origin.failures = 0
        if not fault.transient or job.failures >= self._policy.retries or origin.given_up is not None:
            self._finish(job, fault)
            return
        job.failures += 1
        if fault.of_origin:  # the host as a whole pauses
            self.add(job, first=True)
        else:
            due = self._loop.time() + self._pause(job.request.url, job.failures, fault.retry_after)
            heapq.heappush(self._later, (due, next(self._serial), job))

    def _blame(self, host: Host, origin: Origin, fault: Failure, began: float) -> None:
        """Count a failure of the whole origin, once for all exchanges that ran side by side, and let the host rest."""
        now = self._loop.time()
        if began >= origin.failed_at:
            origin.failures += 1
            origin.failed_at = now
            if fault.reason == "http_rate_limited":
                host.limit = max(1, host.limit // 2)
        if not fault.transient or origin.failures >= self._policy.host_failures:
            times = f" given up after {origin.failures} failures in a row" if fault.transient else ""
            origin.given_up = replace(fault, detail=f"{origin.name}{times}: {fault.detail}")
            self._flush(host, origin)
        else:
            pause = self._pause(origin.name, origin.failures, fault.retry_after)
            host.ready_at = max(host.ready_at, now + pause)

    def _flush(self, host: Host, origin: Origin) -> None:
        jobs, host.jobs = host.jobs, deque()
        for job in jobs:
            if host.origin(job.target) is origin and origin.given_up is not None:
                self._finish(job, origin.given_up)
            else:
                host.jobs.append(job)

    def _pause(self, key: str, failures: int, asked: float | None) -> float:
        """Return the seconds to wait: exponential with jitter, or longer where the host asks for it."""
        base = min(self._policy.backoff_max, self._policy.backoff_base * 2.0 ** (failures - 1))
        pause = base * (0.5 + keyed_unit(0, "download.backoff", f"{key}\x1f{failures}"))
        return max(pause, min(asked or 0.0, self._policy.max_retry_after))

    def _finish(self, job: Job, ending: Content | Failure) -> None:
        content = ending if isinstance(ending, Content) else None
        fault = ending if isinstance(ending, Failure) else None
        self._deliver(
            Outcome(
                url=job.request.url,
                content=content.body if content else None,
                reason=fault.reason if fault else None,
                detail=fault.detail if fault else "",
                http_status=ending.status,
                final_url=job.visited[-1] if job.visited else "",
                content_type=content.content_type if content else "",
                requests=job.requests,
                seconds=job.seconds,
            )
        )
