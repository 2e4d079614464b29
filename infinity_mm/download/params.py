"""The recipe key ``download:``: the manners of the client, and what the stage around it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from infinity_mm.download.policy import DownloadPolicy
from infinity_mm.errors import UsageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.nearest import nearest

Retry = Literal["transient", "all", "none"]


class DownloadParams(DownloadPolicy):
    """`DownloadPolicy` with the storage of what was fetched. Times are in seconds, sizes in bytes."""

    #: False fetches nothing: what an earlier run has fetched is used, other pictures count as not downloaded.
    enabled: bool = True
    #: Which failures of earlier runs are tried again: those that may pass (`infinity_mm.download.retry`), all, or none.
    retry: Retry = "transient"
    #: A task fetches about so many URLs; a host is never divided, so that its limits hold inside one process.
    partition_urls: int = Field(default=20_000, gt=0)
    #: A shard is closed after so many URLs, so many bytes or so many seconds, whichever comes first: what a kill loses.
    shard_urls: int = Field(default=2_000, gt=0)
    shard_bytes: int = Field(default=256 * 1024 * 1024, gt=0)
    shard_seconds: float = Field(default=300.0, gt=0.0)


#: What decides whether an answer is accepted, as opposed to how patiently it is asked for.
_JUDGING = {
    "user_agent", "contact", "max_bytes", "max_header_bytes", "max_redirects", "follow_to_http", "verify_tls",
    "respect_robots", "respect_x_robots_tag", "opt_out_directives", "respect_tdm_reservation", "allow_hosts",
}  # fmt: skip


def judgement(params: DownloadParams) -> str:
    """Return the fingerprint of what decides on refusals: noted with each outcome."""
    return fingerprint(params.model_dump(mode="json", include=_JUDGING))


def parse_params(texts: Sequence[str], enabled: bool = True) -> DownloadParams:
    """Return the parameters of ``KEY=VALUE`` texts, values in YAML. Raises `UsageError` naming the nearest key."""
    tree: dict[str, object] = {} if enabled else {"enabled": False}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key not in DownloadParams.model_fields:
            hint = nearest(key, DownloadParams.model_fields)
            raise UsageError(f"--policy {text!r}: expected KEY=VALUE with a key of the policy; {hint}")
        try:
            tree[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--policy {text!r}: the value is not YAML: {error}") from error
    try:
        return DownloadParams.model_validate(tree)
    except ValidationError as error:
        faults = (f"--policy {'.'.join(map(str, f['loc']))}: {f['msg']}, got {f['input']!r}" for f in error.errors())
        raise UsageError("\n".join(faults)) from error
