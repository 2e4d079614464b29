"""Which failures of earlier runs are worth another try."""

from __future__ import annotations

from infinity_mm.download.params import Retry

#: The state of the network or of a server, which may be another by the next run.
TRANSIENT: frozenset[str] = frozenset(
    {
        "dns_error",
        "connect_error",
        "tls_error",
        "timeout",
        "http_rate_limited",
        "http_server_error",
        "length_mismatch",
        "protocol_error",
    }
)
#: What our own policy refused: worth another try only under another policy.
REFUSED_BY_POLICY: frozenset[str] = frozenset(
    {"address_refused", "robots_disallowed", "opted_out", "too_large", "too_many_redirects"}
)


def is_due(reason: str, judged_by: str, policy: str, retry: Retry) -> bool:
    """Return whether a failure is tried again under `policy`; `judged_by` is the policy that it failed under.

    Both are fingerprints, see `infinity_mm.download.params.judgement`.
    """
    if retry == "none":
        return False
    if retry == "all" or reason in TRANSIENT:
        return True
    return reason in REFUSED_BY_POLICY and judged_by != policy
