"""Names of URLs and of sets of hosts: what is stored where."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from infinity_mm.download.urls import InvalidUrl, parse_url
from infinity_mm.keyed import keyed_u64

#: Hosts are spread over 2 ** BITS buckets.
BITS = 16


def url_hash(url: str) -> str:
    """Return the name of a URL: 32 hex digits of the SHA-256 of the URL as its publisher writes it."""
    return hashlib.sha256(url.encode()).hexdigest()[:32]


def host_of(url: str) -> str:
    """Return the host that a request for `url` would go to, "" where none can be sent."""
    try:
        return parse_url(url).host
    except InvalidUrl:
        return ""


def bucket_of(host: str) -> int:
    """Return the bucket of a host, 0 to 2 ** `BITS` - 1."""
    return keyed_u64(0, "download host", host) >> (64 - BITS)


def is_storable(url: str) -> bool:
    """Return whether the URL is text at all: JSON can smuggle in lone surrogates, which no file or request can hold."""
    try:
        url.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, order=True)
class HostRange:
    """The hosts whose buckets begin with the binary digits `bits`; all hosts for ``""``.

    Ranges are halves of halves: of two of them, one contains the other or they share no host. So runs with more or
    fewer partitions find what others have stored by the names of folders.
    """

    bits: str

    @staticmethod
    def cut(urls: int, per_range: int) -> tuple[HostRange, ...]:
        """Return the ranges, a power of two of them, that hold about `per_range` of `urls` URLs each."""
        depth = min(BITS, (-(-max(urls, 1) // per_range) - 1).bit_length())
        return tuple(HostRange(f"{number:0{depth}b}" if depth else "") for number in range(1 << depth))

    @staticmethod
    def of_folder(name: str) -> HostRange:
        """Return the range of a folder below ``downloads/``."""
        return HostRange(name.removeprefix("hosts-").removesuffix("all"))

    @property
    def folder(self) -> str:
        """Name of its folder below ``downloads/``: ``hosts-all``, ``hosts-01``."""
        return f"hosts-{self.bits or 'all'}"

    @property
    def buckets(self) -> tuple[int, int]:
        """First bucket, and the one after the last."""
        width = BITS - len(self.bits)
        first = int(self.bits or "0", 2) << width
        return first, first + (1 << width)

    def meets(self, other: HostRange) -> bool:
        """Return whether the two have hosts in common."""
        return self.bits.startswith(other.bits) or other.bits.startswith(self.bits)


def related(folders: Iterable[str], hosts: HostRange) -> list[str]:
    """Return those of the folders below ``downloads/`` that can hold URLs of the range, sorted."""
    return sorted(name for name in folders if name.startswith("hosts-") and hosts.meets(HostRange.of_folder(name)))
