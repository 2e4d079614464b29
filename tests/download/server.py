"""A real HTTP server on loopback whose hosts misbehave as asked, byte by byte."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from infinity_mm.download.client import fetch_all
from infinity_mm.download.policy import DownloadPolicy
from infinity_mm.download.request import Outcome, Request

#: The magic number, then something of a body.
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4
PNG = b"\x89PNG\r\n\x1a\n" + bytes(300)


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    at: float
    host: str
    path: str
    headers: dict[str, str]


Handler = Callable[[Seen, asyncio.StreamWriter], Awaitable[None]]


def raw(data: bytes, *, then: float = 0.0) -> Handler:
    """Send these bytes, wait, and close."""

    async def handle(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(then)
        writer.close()

    return handle


def reply(body: bytes = JPEG, status: int = 200, headers: Iterable[str] = (), delay: float = 0.0) -> Handler:
    """Answer as a well-behaved server does, after `delay` seconds."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    if not any(line.lower().startswith("content-type") for line in lines):
        lines.append("Content-Type: image/jpeg")

    async def handle(_: Seen, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(delay)
        writer.write("\r\n".join([*lines, "", ""]).encode("utf-8") + body)

    return handle


def redirect(location: str, status: int = 302, headers: Iterable[str] = ()) -> Handler:
    return reply(b"", status, (f"Location: {location}", *headers))


def robots(text: str) -> Handler:
    return reply(text.encode(), headers=["Content-Type: text/plain"])


def sequence(*handlers: Handler) -> Handler:
    """Answer by each in turn, then by the last for good."""
    left = list(handlers)

    async def handle(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(seen, writer)

    return handle


def drip(piece: bytes, every: float, head: bytes = b"") -> Handler:
    """Send `piece` again and again, for as long as anyone listens."""

    async def handle(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(every)

    return handle


class Table:
    """A resolver that knows the hosts it is told and no others."""

    def __init__(self, names: dict[str, list[str]]) -> None:
        self.names = names
        self.asked: list[str] = []

    async def lookup(self, host: str) -> list[str]:
        self.asked.append(host)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.names[host]

    def close(self) -> None:
        pass


class Server:
    """Serves ``http://<name>.test:<port>/...`` for every name by the handler registered for (name, path)."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Handler] = {}
        self.seen: list[Seen] = []
        #: Most requests in progress at once, by host.
        self.peak: dict[str, int] = {}
        self.connections = 0
        self._active: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._started.wait()

    def on(self, name: str, path: str, handler: Handler) -> str:
        """Register a handler and return its URL."""
        self.routes[name, path] = handler
        return self.url(name, path)

    def url(self, name: str, path: str = "/") -> str:
        return f"http://{name}.test:{self.port}{path}"

    def paths(self, name: str) -> list[str]:
        """Return the paths requested of a host, in order, robots.txt left out."""
        return [seen.path for seen in self.seen if seen.host == f"{name}.test" and seen.path != "/robots.txt"]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = dict(line.split(": ", 1) for line in head[1:] if line)
                path, host = head[0].split(" ")[1], headers["Host"].split(":")[0]
                await self._answer(Seen(time.monotonic(), host, path, headers), writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass
        finally:
            writer.close()

    async def _answer(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        self.seen.append(seen)
        name = seen.host.removesuffix(".test")
        self._active[name] = self._active.get(name, 0) + 1
        self.peak[name] = max(self.peak.get(name, 0), self._active[name])
        try:
            await self.routes.get((name, seen.path), reply(b"gone", 404))(seen, writer)
            await writer.drain()
        finally:
            self._active[name] -= 1


#: Patient enough for a busy machine, short enough for a test.
QUICK = DownloadPolicy(
    contact="mailto:crawl@example.org",
    backoff_base=0.05,
    backoff_max=0.2,
    max_retry_after=0.5,
    dns_timeout=0.5,
    connect_timeout=0.5,
    idle_timeout=0.4,
    total_timeout=0.8,
    max_bytes=100_000,
)


class Names(Table):
    """Resolves every ``*.test`` name to the server's address."""

    async def lookup(self, host: str) -> list[str]:
        return ["127.0.0.1"] if host.endswith(".test") and host not in self.names else await super().lookup(host)


def policy(*names: str, **changes: object) -> DownloadPolicy:
    """Return `QUICK` with changes, allowing ``<name>.test`` to be on loopback."""
    allow = tuple(f"{name}.test" for name in names)
    return DownloadPolicy.model_validate(QUICK.model_dump() | {"allow_hosts": allow} | changes)


def fetch(
    urls: Iterable[str | Request], rules: DownloadPolicy, names: dict[str, list[str]] | None = None
) -> list[Outcome]:
    """Fetch from the server; `names` are further names with their addresses."""
    requests = [Request(url) if isinstance(url, str) else url for url in urls]
    return list(fetch_all(requests, rules, resolver=Names(names or {})))
