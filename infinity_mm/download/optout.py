"""Headers by which a site says that its pictures are not to be collected.

X-Robots-Tag as Google documents it (comma lists, several headers, a leading ``agent:`` that holds until the next one),
with the directives that picture sites added (noai, noimageai), and TDM-Reservation of the W3C community group's
TDM Reservation Protocol, the machine-readable form of the reservation in article 4 of the EU's DSM directive.
"""

from __future__ import annotations

from multidict import CIMultiDictProxy

from infinity_mm.download.policy import DownloadPolicy

#: Directives that carry a value after a colon; any other word before a colon names an agent.
_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


def opt_out(headers: CIMultiDictProxy[str], policy: DownloadPolicy) -> str | None:
    """Return the header that opts out under `policy`, or None."""
    if policy.respect_x_robots_tag and "X-Robots-Tag" in headers:
        for value in headers.getall("X-Robots-Tag"):
            directive = _opting_out(value, policy.product, policy.opt_out_directives)
            if directive is not None:
                return f"X-Robots-Tag: {directive}"
    if policy.respect_tdm_reservation and headers.get("TDM-Reservation", "").strip() == "1":
        return "TDM-Reservation: 1"
    return None


def _opting_out(value: str, product: str, directives: tuple[str, ...]) -> str | None:
    """Return the first of `directives` in one header's value that is addressed to everyone or to `product`."""
    agent = ""
    for part in value.lower().split(","):
        before, colon, after = part.partition(":")
        if colon and before.strip() not in _WITH_VALUE:
            agent, part = before.strip(), after
        if agent in ("", "*", product) and part.strip() in directives:
            return part.strip() if not agent else f"{agent}: {part.strip()}"
    return None
