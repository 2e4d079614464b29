"""How one HTTP exchange can end, and which end is whose fault."""

from __future__ import annotations

import errno
import time
import zlib
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import aiohttp
from aiohttp import http_exceptions

from infinity_mm.download.request import FailureReason
from infinity_mm.download.resolve import AddressRefused, NameUnresolved
from infinity_mm.download.urls import InvalidUrl, Target
from infinity_mm.errors import JobError

#: What an exchange can raise for what a host does. ValueError is aiohttp's for some malformed answers.
EXCHANGE_ERRORS: tuple[type[Exception], ...] = (
    aiohttp.ClientError,
    http_exceptions.HttpProcessingError,
    OSError,  # TimeoutError, AddressRefused and NameUnresolved among them
    ValueError,
    zlib.error,
)
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FORBIDDEN = frozenset({401, 403, 451})
_NOT_FOUND = frozenset({404, 410})
#: Server errors that say "never", not "not now".
_LASTING = frozenset({501, 505, 508, 510, 511})


@dataclass(frozen=True)
class Failure:
    """An exchange that gave no content."""

    reason: FailureReason
    detail: str
    #: Status of the answer, 0 without one.
    status: int = 0
    #: Whether another try may end better.
    transient: bool = False
    #: Whether the origin failed as a whole, not this URL of it.
    of_origin: bool = False
    #: Seconds that the host asks to be left alone; None where it did not say.
    retry_after: float | None = None


@dataclass(frozen=True)
class Content:
    """An exchange that gave a picture."""

    body: bytes
    status: int
    content_type: str


@dataclass(frozen=True)
class Moved:
    """An exchange that named another URL."""

    target: Target
    status: int


@dataclass(frozen=True)
class Paused:
    """Only robots.txt was fetched, and the host wants a pause before the next request."""


Ending = Content | Failure | Moved | Paused


def failure_of_status(status: int, retry_after: str = "") -> Failure:
    """Return the failure that an answer other than content or a redirect means."""
    wait = parse_retry_after(retry_after) if retry_after else None
    detail = f"status {status}"
    if status == 429:
        return Failure("http_rate_limited", detail, status, transient=True, of_origin=True, retry_after=wait)
    if status in _NOT_FOUND:
        return Failure("http_not_found", detail, status)
    if status in _FORBIDDEN:
        return Failure("http_forbidden", detail, status)
    if status >= 500:
        passing = status not in _LASTING
        busy = status == 503 and wait is not None
        return Failure("http_server_error", detail, status, transient=passing, of_origin=busy, retry_after=wait)
    return Failure("http_error", detail, status, transient=status in (408, 425))


def parse_retry_after(value: str) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110: a number or a date), None if it is neither."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def failure_of_error(fault: Exception, silent: bool) -> Failure:
    """Return the failure that `fault`, one of `EXCHANGE_ERRORS`, means.

    `silent` says that the origin has answered nobody since the exchange began: then a wait in vain or a lost connection
    is held against the whole origin, and else against the URL. Raises JobError where this machine is at fault.
    """
    detail = f"{type(fault).__name__}: {fault}".strip(": ")[:500]
    match fault:
        case InvalidUrl() | aiohttp.InvalidURL():
            return Failure("invalid_url", detail)
        case AddressRefused():
            return Failure("address_refused", str(fault), of_origin=True)
        case NameUnresolved():
            return Failure("dns_error", str(fault), transient=fault.temporary, of_origin=True)
        case aiohttp.ConnectionTimeoutError():
            return Failure("timeout", f"no connection: {fault}", transient=True, of_origin=True)
        case TimeoutError():
            return Failure("timeout", detail, transient=True, of_origin=silent)
        case aiohttp.ClientConnectorCertificateError():
            return Failure("tls_error", detail, of_origin=True)
        case aiohttp.ClientSSLError():  # the handshake; what breaks later is a lost connection
            return Failure("tls_error", detail, transient=True, of_origin=True)
        case aiohttp.ServerDisconnectedError():
            return Failure("connect_error", "closed without an answer", transient=True, of_origin=silent)
        case aiohttp.ClientPayloadError():
            return Failure("length_mismatch", _cut(fault), transient=True)
        case aiohttp.ClientConnectorDNSError():  # the guard's answer ran out between its check and the connection
            return failure_of_error(fault.os_error, silent)
        case OSError():  # aiohttp's ClientOSError and ClientConnectorError among them
            _check_own_limits(fault)
            return Failure("connect_error", detail, transient=True, of_origin=silent)
        case _:
            return Failure("protocol_error", detail)


def _cut(fault: aiohttp.ClientPayloadError) -> str:
    cause = fault.__cause__
    return f"the body was cut: {cause or fault}"[:500]


def _check_own_limits(fault: OSError) -> None:
    if fault.errno in (errno.EMFILE, errno.ENFILE):
        raise JobError(
            "no file descriptors left for connections: raise `ulimit -n` or lower download.concurrency"
        ) from fault
