"""Requests in, outcomes out: the event loop that fetches, on a thread of its own, and the generator in front of it.

The consumer may take its time (hash, write, upload): the loop goes on meanwhile, and stops starting exchanges when
finished bodies pile up. In memory are at most `concurrency` bodies being received and as many waiting to be taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import aiohttp

from infinity_mm.download.content import is_checksum
from infinity_mm.download.exchange import Exchanger
from infinity_mm.download.hosts import Job
from infinity_mm.download.policy import DownloadPolicy
from infinity_mm.download.request import Outcome, Request
from infinity_mm.download.resolve import AddressGuard, ConnectorResolver, Resolver, SystemResolver
from infinity_mm.download.scheduler import Scheduler
from infinity_mm.download.urls import InvalidUrl, parse_url

#: Requests handed to the loop at a time, and taken from the input before finished outcomes are looked for.
_BATCH = 256
#: Seconds of waiting for a slow input before finished outcomes are looked for.
_PATIENCE = 0.05
#: Seconds an idle connection to a host with further requests is kept.
_KEEP_ALIVE = 10.0
_READ_BUFFER = 256 * 1024
_ACCEPT = "image/jpeg,image/png,image/webp,image/gif,image/*;q=0.9,*/*;q=0.1"


def fetch_all(
    requests: Iterable[Request], policy: DownloadPolicy, *, resolver: Resolver | None = None
) -> Iterator[Outcome]:
    """Fetch every request and yield its outcome, exactly one for each, in the order in which they end.

    Nothing that a host does raises: it becomes the reason of an outcome. `requests` is read by the calling thread,
    at most `policy.lookahead` ahead of the outcomes. Closing the generator cancels what is in flight. `resolver` stands
    in for the system's name resolution; its answers are checked like any other.

    Raises JobError where this machine cannot go on (out of file descriptors), and what iterating `requests` raises.
    """
    worker = _Worker(policy, resolver or SystemResolver())
    try:
        yield from worker.outcomes(iter(requests))
    finally:
        worker.close()


def _pull(source: Iterator[Request], count: int) -> list[Request]:
    """Return up to `count` requests, fewer where the input is slow, none at its end."""
    batch: list[Request] = []
    deadline = time.monotonic() + _PATIENCE
    for request in itertools.islice(source, count):
        batch.append(request)
        if time.monotonic() > deadline:
            break
    return batch


class _Worker:
    """The loop's thread, and the two queues between it and the consumer."""

    def __init__(self, policy: DownloadPolicy, resolver: Resolver) -> None:
        self._policy = policy
        self._resolver = resolver
        self._inbox: deque[Request] = deque()
        #: This, the bytes of its contents, the fault and `_starved` change under `_news`.
        self._outbox: deque[Outcome] = deque()
        self._weight = 0
        self._fault: BaseException | None = None
        #: Whether the scheduler found no room in the outbox and is to be told when there is.
        self._starved = False
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._scheduler: Scheduler | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="download", daemon=True)
        self._thread.start()
        self._ready.wait()

    # The consumer's side.

    def outcomes(self, source: Iterator[Request]) -> Iterator[Outcome]:
        """Feed the loop from `source` and yield what comes back."""
        room = self._policy.lookahead
        size = 1
        while True:
            if size and room:
                batch = _pull(source, min(size, room))
                size = min(_BATCH, 2 * len(batch))  # small at first and where the input is slow; 0 at its end
                room -= len(batch)
                self._inbox.extend(batch)
                self._call(self._accept)
                if batch and not self._outbox:
                    continue
            if room == self._policy.lookahead:
                return
            outcome = self._take()
            room += 1
            yield outcome

    def close(self) -> None:
        """Stop the loop, cancelling what is in flight, and wait for its thread."""
        self._call(self._stop.set)
        self._thread.join()

    def _take(self) -> Outcome:
        with self._news:
            while not self._outbox and self._fault is None:
                self._news.wait()
            if self._fault is not None:
                raise self._fault
            outcome = self._outbox.popleft()
            self._weight -= len(outcome.content or b"")
            resume = self._starved and len(self._outbox) <= self._policy.concurrency // 2
            if resume:
                self._starved = False
        if resume:
            self._call(self._resume)
        return outcome

    def _call(self, function: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended; `_fault` says why
            self._loop.call_soon_threadsafe(function)

    # The loop's side.

    def _main(self) -> None:
        task: asyncio.Task[None] = self._loop.create_task(self._serve())
        try:
            self._loop.run_until_complete(asyncio.wait([task]))
            with self._news:
                self._fault = task.exception()
                self._news.notify()
        finally:
            self._loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        policy = self._policy
        guard = AddressGuard(policy, self._resolver, self._loop.time)
        try:
            async with _session(policy, guard) as session:
                step = Exchanger(session, guard, policy, self._loop.time).step
                scheduler = self._scheduler = Scheduler(policy, step, self._deliver, self._has_room)
                self._ready.set()
                scheduler.broken.add_done_callback(lambda _: self._stop.set())
                await self._stop.wait()
                await scheduler.close()
                if scheduler.broken.done():
                    scheduler.broken.result()
        finally:
            self._resolver.close()

    def _accept(self) -> None:
        """Move a batch from the inbox to the scheduler, and leave the loop to others before the next."""
        scheduler = self._scheduler
        if scheduler is None:
            return
        for _ in range(min(_BATCH, len(self._inbox))):
            request = self._inbox.popleft()
            fault = self._admit(request, scheduler)
            if fault is not None:
                self._deliver(fault)
        scheduler.pump()
        if self._inbox:
            self._loop.call_soon(self._accept)

    def _admit(self, request: Request, scheduler: Scheduler) -> Outcome | None:
        """Hand `request` to the scheduler, or return why it cannot be sent."""
        if not is_checksum(request.checksum):
            detail = f"expected md5: with 32 or sha256: with 64 hex digits, the source gives {request.checksum[:80]!r}"
            return Outcome(request.url, reason="checksum_mismatch", detail=detail)
        try:
            target = parse_url(request.url)
        except InvalidUrl as fault:
            return Outcome(request.url, reason="invalid_url", detail=str(fault))
        scheduler.add(Job(request, target))
        return None

    def _resume(self) -> None:
        if self._scheduler is not None:
            self._scheduler.pump()

    def _deliver(self, outcome: Outcome) -> None:
        with self._news:
            self._outbox.append(outcome)
            self._weight += len(outcome.content or b"")
            self._news.notify()

    def _has_room(self) -> bool:
        with self._news:
            full = len(self._outbox) >= self._policy.concurrency or self._weight >= self._policy.max_buffered_bytes
            self._starved = self._starved or full
        return not full


def _session(policy: DownloadPolicy, guard: AddressGuard) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=ConnectorResolver(guard),
            use_dns_cache=False,
            limit=0,
            keepalive_timeout=_KEEP_ALIVE,
            ssl=policy.verify_tls,
        ),
        # Answers are unpacked by hand, under a limit. Pictures gain nothing from a second compression.
        auto_decompress=False,
        headers={"User-Agent": policy.header, "Accept": _ACCEPT, "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=policy.total_timeout, sock_connect=policy.connect_timeout, sock_read=policy.idle_timeout
        ),
        read_bufsize=_READ_BUFFER,
        max_line_size=policy.max_header_bytes,
        max_field_size=policy.max_header_bytes,
    )
