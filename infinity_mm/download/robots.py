"""robots.txt by RFC 9309, one per origin.

Parsing and matching are Protego's. What the RFC leaves open is decided as large crawlers do: 429 counts as a server
error, robots.txt that redirects more than five times as absent. An origin whose robots.txt could not be had is
disallowed as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from protego import Protego

#: RFC 9309, 2.5: at least this much must be read; the rest is ignored.
MAX_ROBOTS_BYTES: Final = 500 * 1024
#: RFC 9309, 2.3.1.2.
MAX_ROBOTS_REDIRECTS: Final = 5
#: RFC 9309, 2.4: not to be used for longer, in seconds.
MAX_ROBOTS_AGE: Final = 24 * 3600.0


@dataclass(eq=False)
class Rules:
    """What one robots.txt says to `product`. The parsed form, many times the text's size, can be dropped and remade."""

    #: "" where everything is allowed.
    text: str
    product: str
    #: By the loop's clock.
    fetched_at: float
    _parsed: Protego | None = field(default=None, repr=False)

    def allow(self, url: str) -> bool:
        """Return whether `url`, of this origin, may be fetched."""
        return not self.text or self._rules().can_fetch(url, self.product)

    def crawl_delay(self) -> float:
        """Return the seconds that Crawl-delay asks for between requests, 0 without one."""
        return (self._rules().crawl_delay(self.product) or 0.0) if self.text else 0.0

    def shrink(self) -> None:
        """Drop the parsed form."""
        self._parsed = None

    def _rules(self) -> Protego:
        if self._parsed is None:
            self._parsed = Protego.parse(self.text)
        return self._parsed


def parse_rules(body: bytes, product: str, fetched_at: float) -> Rules:
    """Return the rules of a robots.txt with this body; what is no robots.txt has none and allows everything."""
    text = body[:MAX_ROBOTS_BYTES].decode("utf-8-sig", errors="replace")
    lowered = text.lower()
    says_something = "disallow" in lowered or "crawl-delay" in lowered
    return Rules(text if says_something else "", product, fetched_at)
