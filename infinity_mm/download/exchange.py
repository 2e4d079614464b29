"""One HTTP exchange: the guard's check, robots.txt where it is not known yet, the request, the body.

An exchange follows no redirect and tries nothing twice; both are the scheduler's, so that every hop waits for the turn
of the host it goes to.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import aiohttp

from infinity_mm.download.body import BodyFault, read_body
from infinity_mm.download.content import checksum_of
from infinity_mm.download.faults import (
    EXCHANGE_ERRORS,
    REDIRECTS,
    Content,
    Ending,
    Failure,
    Moved,
    Paused,
    failure_of_error,
    failure_of_status,
)
from infinity_mm.download.hosts import Host, Job, Origin
from infinity_mm.download.optout import opt_out
from infinity_mm.download.policy import DownloadPolicy
from infinity_mm.download.resolve import AddressGuard
from infinity_mm.download.robots import (
    MAX_ROBOTS_AGE,
    MAX_ROBOTS_BYTES,
    MAX_ROBOTS_REDIRECTS,
    Rules,
    parse_rules,
)
from infinity_mm.download.urls import InvalidUrl, Target, redirect_url

_CLOSE = {"Connection": "close"}
#: Failures to fetch robots.txt that say more by their own name than as "disallowed": the origin itself is out of reach.
_UNREACHABLE = frozenset({"address_refused", "dns_error", "connect_error", "tls_error", "timeout"})


class Exchanger:
    """Sends requests over one session. What a host does ends as a value, never as an exception."""

    def __init__(
        self, session: aiohttp.ClientSession, guard: AddressGuard, policy: DownloadPolicy, clock: Callable[[], float]
    ) -> None:
        self._session = session
        self._guard = guard
        self._policy = policy
        self._clock = clock

    async def step(self, job: Job, host: Host) -> Ending:
        """Bring `job` one exchange further; `host` is the one that its target is on."""
        origin = host.origin(job.target)
        if self._policy.respect_robots and self._is_stale(origin.rules):
            fault = await self._learn(origin, host, job.target)
            if fault is not None:
                return fault
            if host.interval > 0:
                return Paused()
        if origin.rules is not None and not origin.rules.allow(job.target.text):
            return Failure("robots_disallowed", f"robots.txt of {origin.name} disallows it to {self._policy.product}")
        began = time.perf_counter()
        answers = origin.answers
        try:
            return await self._fetch(job, host, origin)
        except EXCHANGE_ERRORS as fault:
            return failure_of_error(fault, silent=origin.answers == answers)
        finally:
            job.seconds += time.perf_counter() - began

    async def _fetch(self, job: Job, host: Host, origin: Origin) -> Ending:
        target, policy = job.target, self._policy
        await self._guard.addresses(target.host)
        if not job.visited or job.visited[-1] != target.text:
            job.visited.append(target.text)
        job.requests += 1
        last = not host.jobs and host.active == 1
        response = await self._session.get(target.url, allow_redirects=False, headers=_CLOSE if last else None)
        origin.answers += 1
        host.answered = True
        try:
            status = response.status
            said = opt_out(response.headers, policy)
            if said is not None:
                return Failure("opted_out", said, status)
            if status in REDIRECTS and "Location" in response.headers:
                return self._redirect(job, status, response.headers["Location"])
            if status in (204, 205):
                return Failure("empty", f"status {status}", status)
            if status not in (200, 203):
                return failure_of_status(status, response.headers.get("Retry-After", ""))
            body = await read_body(response, policy.max_bytes, pictures_only=True)
            if isinstance(body, BodyFault):
                return Failure(body.reason, body.detail, status)
            return self._checked(job, Content(body, status, response.content_type))
        finally:
            response.release()  # keeps the connection where the body has been read, closes it elsewhere

    def _redirect(self, job: Job, status: int, location: str) -> Moved | Failure:
        try:
            target = redirect_url(job.target, location)
        except InvalidUrl as fault:
            return Failure("invalid_url", f"redirected to {location[:200]!r}: {fault}", status)
        if target.scheme == "http" and job.target.scheme == "https" and not self._policy.follow_to_http:
            return Failure("invalid_url", f"redirected from https to {target.text[:200]}", status)
        if target.text in job.visited:
            return Failure("too_many_redirects", f"redirects in a circle, back to {target.text[:200]}", status)
        if len(job.visited) > self._policy.max_redirects:
            return Failure("too_many_redirects", f"more than {self._policy.max_redirects} redirects", status)
        return Moved(target, status)

    def _checked(self, job: Job, content: Content) -> Content | Failure:
        expected = job.request.checksum
        if expected:
            came = checksum_of(content.body, expected)
            if came != expected.lower():
                return Failure("checksum_mismatch", f"expected {expected}, came {came}", content.status)
        return content

    def _is_stale(self, rules: Rules | None) -> bool:
        return rules is None or self._clock() - rules.fetched_at > MAX_ROBOTS_AGE

    async def _learn(self, origin: Origin, host: Host, target: Target) -> Failure | None:
        """Fetch robots.txt of `origin` into `origin.rules`, or return why there is none to go by."""
        try:
            rules = await self._robots(target)
        except EXCHANGE_ERRORS as error:
            fault = failure_of_error(error, silent=True)
            reason = fault.reason if fault.reason in _UNREACHABLE else "robots_disallowed"
            return Failure(reason, f"robots.txt: {fault.detail}", 0, fault.transient, of_origin=True)
        if isinstance(rules, Failure):
            return rules
        origin.rules = rules
        host.answered = True
        host.interval = max(host.interval, min(rules.crawl_delay(), self._policy.max_crawl_delay))
        return None

    async def _robots(self, target: Target) -> Rules | Failure:
        place = Target(target.scheme, target.host, target.port, "/robots.txt")
        for _ in range(MAX_ROBOTS_REDIRECTS + 1):
            await self._guard.addresses(place.host)
            response = await self._session.get(place.url, allow_redirects=False)
            try:
                status = response.status
                if status in REDIRECTS and "Location" in response.headers:
                    place = redirect_url(place, response.headers["Location"])
                    continue
                if status == 429 or status >= 500:
                    wait = failure_of_status(status, response.headers.get("Retry-After", "")).retry_after
                    detail = f"robots.txt answered with status {status}, which disallows everything (RFC 9309)"
                    return Failure("robots_disallowed", detail, status, True, of_origin=True, retry_after=wait)
                if status != 200:
                    break
                body = await read_body(response, MAX_ROBOTS_BYTES, pictures_only=False)
                if isinstance(body, BodyFault):
                    return Failure("robots_disallowed", f"robots.txt: {body.detail}", status, of_origin=True)
                return parse_rules(body, self._policy.product, self._clock())
            finally:
                response.release()
        return Rules("", self._policy.product, self._clock())
