"""From a URL as a data set writes it to one that can be sent.

Follows the WHATWG URL standard where data sets depend on browsers' leniency (blanks, backslashes, raw Unicode, odd
IPv4 spellings), and keeps every percent sign as it came: a signed URL must not be re-encoded. The given URL stays the
key of everything; what is made here is used for the request only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin

import idna
from yarl import URL

from infinity_mm.download.addresses import literal

_PORTS = {"http": 80, "https": 443}
#: scheme, authority, path, query; the fragment is never sent.
_PARTS = re.compile(r"(?i)(https?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_EDGES = "".join(map(chr, range(33)))
_BREAKS = str.maketrans("", "", "\t\r\n")
#: What a browser escapes in a path and in a query.
_UNSAFE_PATH = re.compile(r"[^\x21\x23-\x3b\x3d\x40-\x5d\x5f\x61-\x7a\x7c\x7e]+")
_UNSAFE_QUERY = re.compile(r"[^\x21\x23-\x26\x28-\x3b\x3d\x3f-\x7e]+")
_HOST = re.compile(r"[a-z0-9_.-]+")
_DOTS = re.compile(r"(?i)/(?:\.|%2e){1,2}(?:/|$)")
_MAX_LENGTH = 16_384


class InvalidUrl(ValueError):
    """The URL cannot be sent; the message says why."""


@dataclass(frozen=True)
class Target:
    """Where one request goes."""

    scheme: str
    #: Lower case ASCII name, or canonical address without brackets.
    host: str
    port: int
    #: Path and query as they are sent, beginning with "/".
    path: str

    @property
    def origin(self) -> str:
        """Return scheme, host and port, the reach of one robots.txt."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" if self.port == _PORTS[self.scheme] else f"{self.scheme}://{host}:{self.port}"

    @property
    def text(self) -> str:
        """Return the URL as it is sent."""
        return self.origin + self.path

    @property
    def url(self) -> URL:
        """Return the URL for aiohttp, which leaves it as it is."""
        return URL(self.text, encoded=True)


def parse_url(given: str) -> Target:
    """Return where `given` leads. Raises InvalidUrl for all but well-formed http and https URLs without credentials."""
    url = given.strip(_EDGES).translate(_BREAKS)
    if len(url) > _MAX_LENGTH:
        raise InvalidUrl(f"{len(url)} characters; at most {_MAX_LENGTH} are sent")
    if "\\" in url:
        before = len(re.split(r"[?#]", url, maxsplit=1)[0])
        url = url[:before].replace("\\", "/") + url[before:]
    match = _PARTS.match(url)
    if match is None:
        other = _SCHEME.match(url)
        raise InvalidUrl(f"expected http:// or https://, came {other.group() if other else url[:80]!r}")
    scheme, authority, path = match.group(1).lower(), match.group(2), match.group(3)
    query: str | None = match.group(4)
    if "@" in authority:
        raise InvalidUrl("the URL carries credentials, which are not sent")
    host, port = _authority(authority, scheme)
    path = _escape(_UNSAFE_PATH, path) or "/"
    if _DOTS.search(path):
        path = _without_dots(path)
    if query:  # a bare "?" is not sent
        path = f"{path}?{_escape(_UNSAFE_QUERY, query)}"
    return Target(scheme, host, port, path)


def redirect_url(source: Target, location: str) -> Target:
    """Return where a Location header of `source` leads. Raises InvalidUrl as `parse_url` does."""
    try:
        joined = urljoin(source.text, location.strip(_EDGES))
    except ValueError as fault:
        raise InvalidUrl(str(fault)) from fault
    return parse_url(joined)


def _authority(authority: str, scheme: str) -> tuple[str, int]:
    if authority.startswith("["):
        name, bracket, rest = authority[1:].partition("]")
        if not bracket or ":" not in name or "%" in name or (rest and not rest.startswith(":")):
            raise InvalidUrl(f"{authority!r} is no address in brackets")
        digits = rest[1:]
    else:
        name, _, digits = authority.partition(":")
    if digits and not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 0 < int(digits) < 65536):
        raise InvalidUrl(f"{digits!r} is no port")
    return _host(name), int(digits) if digits else _PORTS[scheme]


def _host(name: str) -> str:
    """Return the canonical form of a host: ASCII, lower case, addresses in their usual spelling."""
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except (idna.IDNAError, UnicodeError) as fault:
            raise InvalidUrl(f"{name!r} is no host name: {fault}") from fault
    name = name.lower()
    if ":" not in name:
        name = name[:-1] if name.endswith(".") else name
        if not name or len(name) > 253 or not _HOST.fullmatch(name) or not all(map(_is_label, name.split("."))):
            raise InvalidUrl(f"{name[:80]!r} is no host name" if name else "no host")
    try:
        address = literal(name)
    except ValueError as fault:
        raise InvalidUrl(str(fault)) from fault
    return name if address is None else str(address)


def _is_label(label: str) -> bool:
    return 0 < len(label) < 64


def _escape(unsafe: re.Pattern[str], text: str) -> str:
    if not unsafe.search(text):
        return text
    try:
        # A Location header in another encoding arrives with surrogates for its raw bytes: they are sent as they came.
        return unsafe.sub(lambda m: "".join(f"%{b:02X}" for b in m.group().encode("utf-8", "surrogateescape")), text)
    except UnicodeEncodeError as fault:
        raise InvalidUrl("a lone surrogate, which is no character") from fault


def _without_dots(path: str) -> str:
    """Resolve "." and ".." segments (RFC 3986, 5.2.4), so that none leads around a rule of robots.txt."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments):
        plain = segment.lower().replace("%2e", ".")
        if plain not in (".", ".."):
            kept.append(segment)
            continue
        if plain == ".." and kept:
            kept.pop()
        if number == len(segments) - 1:
            kept.append("")
    return "/" + "/".join(kept)
