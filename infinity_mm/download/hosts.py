"""What is known of hosts and origins during a run: queues, manners asked for, failures in a row."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from infinity_mm.download.faults import Failure
from infinity_mm.download.policy import DownloadPolicy
from infinity_mm.download.request import Request
from infinity_mm.download.robots import Rules
from infinity_mm.download.urls import Target

#: Hosts remembered while they have nothing to do; the least recently used go first.
_REMEMBERED = 20_000


@dataclass(eq=False)
class Job:
    """One request on its way through tries and redirects."""

    request: Request
    #: Where it goes next.
    target: Target
    #: URLs requested, redirects included, each once; the last is the current one.
    visited: list[str] = field(default_factory=list)
    #: Failures that passed as transient so far.
    failures: int = 0
    #: HTTP requests sent; the second try that aiohttp makes by itself on a lost connection is not seen here.
    requests: int = 0
    #: Seconds of exchanges, waiting not included.
    seconds: float = 0.0


@dataclass(eq=False)
class Origin:
    """Scheme, host and port: what one robots.txt speaks for, and what is up or down as one."""

    name: str
    rules: Rules | None = None
    #: Answers of any kind, counted as their headers come.
    answers: int = 0
    #: Failures in a row of the origin as a whole.
    failures: int = 0
    #: Time of the last of them; exchanges that began earlier tell nothing new.
    failed_at: float = 0.0
    #: Why the rest of this run leaves it alone.
    given_up: Failure | None = None


@dataclass(eq=False)
class Host:
    """One host name (or address): what politeness is owed to, whatever the port."""

    name: str
    #: Exchanges it may have in flight once it has answered.
    limit: int
    #: Seconds between the starts of two requests.
    interval: float
    jobs: deque[Job] = field(default_factory=deque)
    active: int = 0
    #: Earliest start of the next request, by the loop's clock.
    ready_at: float = 0.0
    #: Whether it has ever answered; before that it gets one request at a time.
    answered: bool = False
    #: Whether it stands in one of the scheduler's queues.
    listed: bool = False
    origins: dict[str, Origin] = field(default_factory=dict)

    def origin(self, target: Target) -> Origin:
        """Return the origin of `target`, which is on this host."""
        name = target.origin
        found = self.origins.get(name)
        if found is None:
            found = self.origins[name] = Origin(name)
        return found

    def may_start(self) -> bool:
        """Return whether one more exchange is owed a turn, its time aside."""
        return bool(self.jobs) and self.active < (self.limit if self.answered else 1)

    def is_idle(self) -> bool:
        """Return whether nothing is queued or in flight."""
        return not (self.jobs or self.active or self.listed)


class Hosts:
    """All hosts of a run, bounded: idle ones are forgotten when there are too many."""

    def __init__(self, policy: DownloadPolicy) -> None:
        self._policy = policy
        self._hosts: dict[str, Host] = {}
        self._forget_at = 2 * _REMEMBERED

    def get(self, name: str) -> Host:
        """Return the host called `name`, new or remembered."""
        host = self._hosts.pop(name, None)
        if host is None:
            host = Host(name, self._policy.per_host_concurrency, self._policy.per_host_interval)
        self._hosts[name] = host
        if len(self._hosts) > self._forget_at:
            self._forget()
        return host

    def _forget(self) -> None:
        surplus = len(self._hosts) - _REMEMBERED
        idle = [name for name, host in self._hosts.items() if host.is_idle()]
        for name in idle[:surplus]:
            del self._hosts[name]
        self._forget_at = len(self._hosts) + _REMEMBERED  # not at every call where most of them are busy
