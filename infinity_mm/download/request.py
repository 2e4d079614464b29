"""What the download stage asks of the network and what comes back: plain values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

#: Why a URL gave no content. Snake case, no numbers; numbers go to the detail.
FailureReason = Literal[
    "invalid_url",  # not http(s), no host, or not parseable
    "address_refused",  # the host resolves to a private, loopback, link-local or otherwise internal address
    "dns_error",  # the host name does not resolve
    "connect_error",  # refused, reset, unreachable
    "tls_error",  # certificate or handshake
    "timeout",  # no answer, or not the whole of it, in time
    "too_many_redirects",
    "http_not_found",  # 404, 410
    "http_forbidden",  # 401, 403, 451
    "http_rate_limited",  # 429 after all retries
    "http_server_error",  # 5xx after all retries
    "http_error",  # any other status that is no success
    "robots_disallowed",  # robots.txt refuses the URL, or could not be had (RFC 9309)
    "opted_out",  # an X-Robots-Tag header (noai, noimageai, noindex, noimageindex ...)
    "too_large",  # more bytes than the limit, on the wire or after decompression
    "length_mismatch",  # fewer bytes than Content-Length promised
    "protocol_error",  # no valid HTTP
    "empty",  # zero bytes
    "not_an_image",  # the content is none by its first bytes, an error page for example
    "checksum_mismatch",  # not the content that the publisher saw
]
FAILURE_REASONS: tuple[str, ...] = FailureReason.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Request:
    """One distinct URL to fetch."""

    #: As the publisher writes it; the key of everything that is stored about it.
    url: str
    #: ``md5:<hex>`` or ``sha256:<hex>`` of the content that is expected, or "".
    checksum: str = ""


@dataclass(frozen=True)
class Outcome:
    """How one request ended: with content, or with a reason."""

    url: str
    #: The body, as sent (after undoing Content-Encoding); None where it failed.
    content: bytes | None = field(default=None, repr=False)
    #: None where content was received.
    reason: FailureReason | None = None
    #: What was expected and what came, for people.
    detail: str = ""
    #: Status of the last answer; 0 where there was none.
    http_status: int = 0
    #: URL after redirects; "" where no request was sent.
    final_url: str = ""
    content_type: str = ""
    #: HTTP requests sent for the URL itself, redirects and retries included.
    requests: int = 0
    #: Seconds from the first request to the last byte, waiting for the host's turn not included.
    seconds: float = 0.0
