"""Names to addresses, checked once and connected to as checked.

The connector asks `AddressGuard` and nobody else, and connects to the very addresses it returns: there is no second
look-up in which a name could point elsewhere (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from aiohttp.abc import AbstractResolver, ResolveResult

from infinity_mm.download.addresses import Address, Allowed, literal, refusal
from infinity_mm.download.policy import DownloadPolicy

#: Answers kept; the oldest go first.
_CACHE_SIZE = 50_000
_THREADS = 64
#: getaddrinfo errors that another try may heal.
_TEMPORARY = frozenset({socket.EAI_AGAIN, socket.EAI_SYSTEM, socket.EAI_MEMORY})


class AddressRefused(OSError):
    """The host leads to internal addresses only and is not allowed to."""


class NameUnresolved(OSError):
    """The host name has no address; `temporary` where another try may find one."""

    def __init__(self, detail: str, temporary: bool) -> None:
        super().__init__(detail)
        self.temporary = temporary


class Resolver(Protocol):
    """Looks names up; the seam by which tests, or a pre-resolved table, stand in for DNS."""

    async def lookup(self, host: str) -> list[str]:
        """Return the addresses of `host` as text. Raises socket.gaierror where there are none."""

    def close(self) -> None:
        """Give back what the resolver holds."""


class SystemResolver:
    """The operating system's resolver, on threads of its own: dead name servers hold up nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="dns")

    async def lookup(self, host: str) -> list[str]:
        """Return the addresses of `host` in the system's order of preference."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _addresses, host)

    def close(self) -> None:
        """Abandon what is still being looked up."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class _Answer:
    addresses: tuple[Address, ...]
    #: What was found instead, where nothing may be connected to.
    refused: str
    expires: float


class AddressGuard:
    """Resolves hosts and keeps only the addresses that `policy` lets the client connect to."""

    def __init__(self, policy: DownloadPolicy, resolver: Resolver, clock: Callable[[], float]) -> None:
        self._allowed = Allowed(policy.allow_hosts)
        self._timeout = policy.dns_timeout
        self._ttl = policy.dns_ttl
        self._resolver = resolver
        self._clock = clock
        self._answers: dict[str, _Answer] = {}

    async def addresses(self, host: str) -> tuple[Address, ...]:
        """Return the addresses of `host` that may be connected to, at least one.

        Raises AddressRefused where all are internal and NameUnresolved where there are none.
        """
        answer = self._answers.get(host)
        if answer is None or answer.expires < self._clock():
            answer = self._judge(host, await self._lookup(host))
            self._answers.pop(host, None)
            self._answers[host] = answer
            if len(self._answers) > _CACHE_SIZE:
                del self._answers[next(iter(self._answers))]
        if not answer.addresses:
            raise AddressRefused(answer.refused)
        return answer.addresses

    def _judge(self, host: str, found: list[Address]) -> _Answer:
        expires = self._clock() + self._ttl
        if host in self._allowed:
            return _Answer(tuple(found), "", expires)
        reasons = {address: refusal(address) for address in found}
        passed = tuple(address for address, reason in reasons.items() if reason is None)
        refused = ", ".join(f"{address} ({reason})" for address, reason in reasons.items() if reason)
        return _Answer(passed, f"{host} is {refused}; name it in allow_hosts if that is meant", expires)

    async def _lookup(self, host: str) -> list[Address]:
        address = literal(host)
        if address is not None:
            return [address]
        try:
            async with asyncio.timeout(self._timeout):
                texts = await self._resolver.lookup(host)
        except TimeoutError as fault:
            raise NameUnresolved(f"{host}: no answer from DNS in {self._timeout:g} s", temporary=True) from fault
        except socket.gaierror as fault:
            raise NameUnresolved(f"{host}: {fault.strerror or fault}", fault.errno in _TEMPORARY) from fault
        except UnicodeError as fault:  # what the standard library raises for labels it cannot encode
            raise NameUnresolved(f"{host}: {fault}", temporary=False) from fault
        if not texts:
            raise NameUnresolved(f"{host}: no addresses", temporary=False)
        return [ipaddress.ip_address(text) for text in texts]


class ConnectorResolver(AbstractResolver):
    """aiohttp's interface to an `AddressGuard`."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return what the guard lets through; raises as it does."""
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET6 if address.version == 6 else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await self._guard.addresses(host)
        ]

    async def close(self) -> None:
        """Hold nothing, so give nothing back."""
