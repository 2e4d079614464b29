"""The download stage of a run: what is wanted, fetching it, and the way back to the splits.

::

    splits ─ urls ─> state/urls/ ─ wanted ─> state/wanted/          (distinct, ordered by host)
    state/wanted/ ─ fetch ─> downloads/hosts-*/*.tar, *.parquet     (one task per range of hosts)
    state/wanted/, downloads/ ─ outcomes ─> state/outcomes/         (ordered by group of splits)
    state/outcomes/ ─ resolve ─> state/resolved/                    (per split; its digest names the ingest part)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infinity_mm.download.keys import HostRange
from infinity_mm.manifest import DownloadReport
from infinity_mm.pipeline.fetching import run_fetch
from infinity_mm.pipeline.ingest import Pictures
from infinity_mm.pipeline.passes import Context
from infinity_mm.pipeline.resolving import OutcomesTask, report_downloads, run_outcomes, run_resolve
from infinity_mm.pipeline.urls import Group, count_wanted, run_urls
from infinity_mm.recipe import SourceUse
from infinity_mm.sources.base import Plan


@dataclass(frozen=True)
class Downloads:
    """What the download stage hands on."""

    #: Source -> number of the split -> its pictures; sources without pictures by URL are absent.
    pictures: Mapping[str, Mapping[int, Pictures]] = field(default_factory=dict)
    #: None where no source has pictures by URL.
    report: DownloadReport | None = None


def run_downloads(context: Context, plans: Mapping[str, Plan]) -> Downloads:
    """Download the pictures of the recipe's sources that give them by URL, and resolve them for ingestion."""
    uses = _by_url(context.recipe.sources)
    if not uses:
        return Downloads()
    groups, outcomes = _download(context, uses, plans)
    pictures = run_resolve(context, groups, outcomes)
    return Downloads(pictures, report_downloads(context.store, outcomes))


def download_alone(context: Context, plans: Mapping[str, Plan]) -> DownloadReport:
    """Download without ingesting; a later run in the same folder finds what is there."""
    _, outcomes = _download(context, _by_url(context.recipe.sources), plans)
    return report_downloads(context.store, outcomes)


def _download(
    context: Context, uses: Sequence[SourceUse], plans: Mapping[str, Plan]
) -> tuple[tuple[Group, ...], list[OutcomesTask]]:
    groups = run_urls(context, uses, plans)
    ranges = HostRange.cut(count_wanted(context.store, groups), context.recipe.download.partition_urls)
    shards = run_fetch(context, groups, ranges)
    return groups, run_outcomes(context, groups, ranges, shards)


def _by_url(uses: Sequence[SourceUse]) -> list[SourceUse]:
    return [use for use in uses if use.load().downloads]
