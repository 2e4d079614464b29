"""Which addresses a URL from a data set may lead to.

A list of URLs comes from strangers and the worker that fetches them sits inside somebody's network: without this guard
a row could read a cloud's metadata service or a printer. Only globally routed unicast addresses pass. The lists follow
the IANA special-purpose address registries (RFC 6890 and its successors) and are written out, for what `ipaddress`
calls private differs from one Python to the next.
"""

from __future__ import annotations

import ipaddress
import re

IPv4 = ipaddress.IPv4Address
IPv6 = ipaddress.IPv6Address
Address = IPv4 | IPv6

_REFUSED_V4 = tuple(
    (ipaddress.IPv4Network(network), name)
    for network, name in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "Azure's platform service"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_REFUSED_V6 = tuple(
    (ipaddress.IPv6Network(network), name)
    for network, name in (
        ("2001::/23", "reserved"),  # Teredo and ORCHID are in here
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
    )
)
_NAMED_V6 = tuple(
    (ipaddress.IPv6Network(network), name)
    for network, name in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


def refusal(address: Address) -> str | None:
    """Return what makes `address` internal, or None where it is globally routed unicast.

    An IPv6 address that carries an IPv4 address (IPv4-mapped, 6to4, NAT64) is judged by the one it carries.
    """
    if isinstance(address, IPv4):
        return next((name for network, name in _REFUSED_V4 if address in network), None)
    carried = address.ipv4_mapped or address.sixtofour
    if carried is None and address in _NAT64:
        carried = IPv4(int(address) & 0xFFFFFFFF)
    if carried is not None:
        return refusal(carried)
    if address not in _GLOBAL_V6:
        return next((name for network, name in _NAMED_V6 if address in network), "reserved")
    return next((name for network, name in _REFUSED_V6 if address in network), None)


def literal(host: str) -> Address | None:
    """Return the address that `host` spells, or None where it is a name.

    `host` is lower case, without brackets. IPv4 in every spelling that a browser takes (WHATWG URL, "IPv4 parser"):
    1 to 4 parts, each decimal, octal (leading 0) or hexadecimal (0x), the last filling what is left. A C library
    takes these too, so a guard that knows only dotted quads can be walked around.

    Raises ValueError where the last label is a number, or there is a colon, and it is no address all the same.
    """
    if ":" in host:
        return IPv6(host)
    labels = host.split(".")
    if not _NUMBER.fullmatch(labels[-1]):
        return None
    if len(labels) > 4 or not all(_NUMBER.fullmatch(label) for label in labels):
        raise ValueError(f"{host!r} is no IPv4 address")
    *first, last = (_number(label) for label in labels)
    if any(part > 255 for part in first) or last >= 256 ** (4 - len(first)):
        raise ValueError(f"{host!r} is no IPv4 address: a part is too large")
    value = last + sum(part << (8 * (3 - place)) for place, part in enumerate(first))
    return IPv4(value)


def _number(label: str) -> int:
    if len(label) > 64:
        raise ValueError("a part of more than 64 digits")
    if label[:2] in ("0x", "0X"):
        return int(label[2:] or "0", 16)
    return int(label, 8) if len(label) > 1 and label[0] == "0" else int(label)


class Allowed:
    """The hosts that may be internal, by the name or address that stands in the URL."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        self._names = frozenset(host for host in hosts if "/" not in host)
        self._networks = tuple(ipaddress.ip_network(host, strict=False) for host in hosts if "/" in host)

    def __contains__(self, host: str) -> bool:
        if host in self._names:
            return True
        if not self._networks or (address := literal(host)) is None:
            return False
        return any(address in network for network in self._networks)
