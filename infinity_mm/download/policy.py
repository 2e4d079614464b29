"""How the download stage behaves towards other people's servers: the recipe key ``download:``.

The defaults are those of a guest: robots.txt and opt-out headers are honoured, a host sees a handful of connections and
an honest name, internal addresses are out of reach. Every limit is per process; run one process per set of hosts, or
divide the per-host limits by the number of processes that share a host.
"""

from __future__ import annotations

import ipaddress
import re

from pydantic import Field, field_validator, model_validator

import infinity_mm
from infinity_mm.frozen import Frozen

#: Directives of X-Robots-Tag that say no to a collector of pictures; "none" stands for "noindex, nofollow".
OPT_OUT_DIRECTIVES: tuple[str, ...] = ("noai", "noimageai", "noindex", "noimageindex", "noml", "none")

_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_PRODUCT = re.compile(r"[A-Za-z_-]+(?=$|[/ ])")


class DownloadPolicy(Frozen):
    """Limits and manners of the HTTP client. Times are in seconds, sizes in bytes."""

    #: The User-Agent header, beginning with a product token as in ``my-crawler/1.0``; "" is ``infinity-mm/<version>``.
    user_agent: str = ""
    #: An address of the person or page that answers for the crawl, appended to the User-Agent as ``(+contact)``.
    contact: str = ""

    #: HTTP exchanges in flight at once.
    concurrency: int = Field(default=128, ge=1, le=10_000)
    #: Of these, to one host. A host that has not answered yet gets one.
    per_host_concurrency: int = Field(default=6, ge=1)
    #: Between the starts of two requests to one host. A longer Crawl-delay of its robots.txt takes precedence.
    per_host_interval: float = Field(default=0.0, ge=0.0)
    #: The longest Crawl-delay that is obeyed to the letter; a longer one becomes this.
    max_crawl_delay: float = Field(default=30.0, ge=0.0)
    #: Requests that may wait for their hosts' turn. The larger, the less one slow host holds up the others; about
    #: 1 KiB of memory each, 3 KiB where each has a host of its own.
    lookahead: int = Field(default=50_000, ge=1)
    #: Finished bodies waiting for the consumer: no new exchange starts while they weigh more than this.
    max_buffered_bytes: int = Field(default=256 * 1024 * 1024, ge=1)

    #: Further tries after a failure that may pass: no connection, timeout, cut body, 408, 425, 429, 5xx.
    retries: int = Field(default=2, ge=0)
    #: Before the first retry; doubled before each further one, and multiplied by a jitter between 0.5 and 1.5.
    backoff_base: float = Field(default=1.0, ge=0.0)
    #: The longest such pause before jitter.
    backoff_max: float = Field(default=30.0, ge=0.0)
    #: The longest Retry-After that is waited for; it holds for the whole host.
    max_retry_after: float = Field(default=60.0, ge=0.0)
    #: A host that failed so many times in a row (no address, no connection, no TLS, no robots.txt, 429 after each
    #: pause) is given up for this run: its other URLs fail at once, for the same reason.
    host_failures: int = Field(default=3, ge=1)

    #: To look up a host name.
    dns_timeout: float = Field(default=10.0, gt=0.0)
    #: To connect, TLS included.
    connect_timeout: float = Field(default=10.0, gt=0.0)
    #: Without a single byte from the host.
    idle_timeout: float = Field(default=15.0, gt=0.0)
    #: For one exchange, from the request to the last byte of the body.
    total_timeout: float = Field(default=120.0, gt=0.0)
    #: How long a looked-up address is used.
    dns_ttl: float = Field(default=300.0, gt=0.0)

    #: Size of a body, on the wire and after undoing its Content-Encoding.
    max_bytes: int = Field(default=32 * 1024 * 1024, ge=1)
    #: Length of the status line and of one header line.
    max_header_bytes: int = Field(default=16 * 1024, ge=256)
    #: Hops after the first URL.
    max_redirects: int = Field(default=5, ge=0)
    #: Whether a redirect may lead from https to http.
    follow_to_http: bool = True
    #: Whether certificates are checked.
    verify_tls: bool = True

    #: Read robots.txt of every origin and obey it (RFC 9309).
    respect_robots: bool = True
    #: Obey X-Robots-Tag headers, on every hop.
    respect_x_robots_tag: bool = True
    #: Which of its directives are an opt-out.
    opt_out_directives: tuple[str, ...] = OPT_OUT_DIRECTIVES
    #: Obey ``TDM-Reservation: 1`` (W3C TDM Reservation Protocol), on every hop.
    respect_tdm_reservation: bool = True

    #: Host names, addresses or networks, as they stand in URLs, that may be internal: ``cache.lan``, ``10.1.2.3``,
    #: ``10.0.0.0/8``. A name that is not listed but resolves into a listed network stays refused.
    allow_hosts: tuple[str, ...] = ()

    @field_validator("user_agent", "contact")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError("expected printable ASCII, as it becomes part of a header")
        return value.strip()

    @field_validator("opt_out_directives")
    @classmethod
    def _lower(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(directive.strip().lower() for directive in value)

    @field_validator("allow_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if "/" in host:
                ipaddress.ip_network(host, strict=False)
        return tuple(host.strip().lower().strip("[]").rstrip(".") for host in value)

    @model_validator(mode="after")
    def _has_a_product(self) -> DownloadPolicy:
        if not _PRODUCT.match(self.header):
            raise ValueError(
                f"user_agent {self.user_agent!r} must begin with a product token of letters, '-' or '_', "
                "as in 'my-crawler/1.0': robots.txt addresses it by that name"
            )
        return self

    @property
    def header(self) -> str:
        """Return the value of the User-Agent header."""
        agent = self.user_agent or f"infinity-mm/{infinity_mm.__version__} (image data curation)"
        return f"{agent} (+{self.contact})" if self.contact else agent

    @property
    def product(self) -> str:
        """Return the product token by which robots.txt and X-Robots-Tag address this client, in lower case."""
        match = _PRODUCT.match(self.header)
        return match.group().lower() if match else ""
