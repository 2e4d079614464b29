"""Tables for people: the books, the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from infinity_mm.decontam.leakage import LeakageReport
from infinity_mm.fs import Location
from infinity_mm.manifest import DownloadReport, Manifest
from infinity_mm.synth.comparison_quality import REWORDED, ComparisonReport
from infinity_mm.synth.judge_quality import ALTERED, JudgeReport
from infinity_mm.synth.probe import AS_WRITTEN


def books_table(manifest: Manifest) -> Table:
    """Return the books of a run, one line per source and a total."""
    table = Table(title=f"books of {manifest.name}", title_justify="left")
    table.add_column("source", no_wrap=True)
    for name in ("rows", "kept", "dropped", "quarantined", "MB kept"):
        table.add_column(name, justify="right")
    table.add_column("why, by stage.reason; mended rows in brackets", overflow="fold")
    totals = [0, 0, 0, 0]
    size = 0
    for source, book in manifest.books.items():
        numbers = [book.rows, book.kept, sum(book.dropped.values()), sum(book.quarantined.values())]
        totals = [total + number for total, number in zip(totals, numbers, strict=True)]
        size += book.image_bytes
        reasons = [f"{reason} {count}" for reason, count in {**book.dropped, **book.quarantined}.items()]
        reasons += [f"({note} {count})" for note, count in book.notes.items()]
        if book.images_lost:
            reasons.append(f"(optional pictures lost {book.images_lost})")
        table.add_row(source, *(f"{n:,}" for n in numbers), f"{book.image_bytes / 1e6:,.1f}", "  ".join(reasons))
    table.add_section()
    table.add_row("all", *(f"{n:,}" for n in totals), f"{size / 1e6:,.1f}", "every row is in exactly one column")
    return table


def download_table(report: DownloadReport) -> Table:
    """Return how the URLs of a folder ended, one line per outcome and a total."""
    title = f"downloads: {report.references:,} pictures by URL, {report.repeats_saved:,} repeats not fetched"
    table = Table(title=title, title_justify="left")
    table.add_column("outcome", no_wrap=True)
    for name in ("URLs", "share", "MB"):
        table.add_column(name, justify="right")
    table.add_column("most at these hosts", overflow="fold")
    lines = [("downloaded", report.downloaded), *sorted(report.failed.items(), key=lambda item: (-item[1], item[0]))]
    if report.not_downloaded:
        lines.append(("not downloaded", report.not_downloaded))
    for name, count in lines:
        hosts = [f"{host.host or '(none)'} {host.failed[name]}" for host in report.worst_hosts if name in host.failed]
        size = f"{report.bytes / 1e6:,.1f}" if name == "downloaded" else ""
        table.add_row(name, f"{count:,}", f"{count / max(report.urls, 1):.1%}", size, "  ".join(hosts[:4]))
    table.add_section()
    table.add_row("all", f"{report.urls:,}", "", "", "every distinct URL is in exactly one line")
    return table


def leakage_lines(report: LeakageReport) -> Iterator[str]:
    """Yield what each source leaks of the evaluation sets."""
    verb = "dropped" if report.mode == "drop" else "marked"
    leaking = {source: leakage for source, leakage in report.sources.items() if leakage.rows}
    for source, leakage in leaking.items():
        parts = ", ".join(f"{name} {leak.rows:,}" for name, leak in leakage.benchmarks.items())
        yield f"leakage: {source}: {leakage.rows:,} of {leakage.checked:,} rows {verb} ({parts})"
    if not leaking:
        yield f"leakage: none of {', '.join(report.benchmarks)}"


def judge_lines(report: JudgeReport) -> Iterator[str]:
    """Yield how often the judge passes right rows and altered ones, and what to mind."""
    right, wrong = report.overall(AS_WRITTEN), report.overall(ALTERED)
    if right is not None and wrong is not None:
        shares = (
            f"{one.passed.passed} of {one.passed.of} ({one.passed.low:.0%} to {one.passed.high:.0%})"
            for one in (right, wrong)
        )
        yield f"judge {report.model}: passes {next(shares)} rows as written, {next(shares)} altered ones"
    yield from (f"warning: {line}" for line in report.warnings)


def comparer_lines(report: ComparisonReport) -> Iterator[str]:
    """Yield how often the model that compares finds reworded answers and altered ones the same, and what to mind."""
    right, wrong = report.overall(REWORDED), report.overall(ALTERED)
    if right is not None and wrong is not None:
        shares = (f"{one.passed} of {one.of} ({one.low:.0%} to {one.high:.0%})" for one in (right.same, wrong.same))
        yield f"comparison by {report.model}: the same are {next(shares)} reworded answers, {next(shares)} altered ones"
    yield from (f"warning: {line}" for line in report.warnings)


def summary_lines(manifest: Manifest, work: Location) -> Iterator[str]:
    """Yield what a person wants to know after the books."""
    for source, reason in manifest.refused.items():
        yield f"left out: {source}: {reason}"
    if manifest.synthesis is not None:
        made = manifest.synthesis
        noise = (
            "; its weights are random, so its words are noise: only structure is real" if made.random_weights else ""
        )
        yield f"synthesis: {made.engine} {made.engine_version} ran {made.model} ({made.revision}){noise}"
        if made.judge is not None:
            yield from judge_lines(made.judge)
        if made.comparer is not None:
            yield from comparer_lines(made.comparer)
    if manifest.leakage is not None:
        yield from leakage_lines(manifest.leakage)
    for export in manifest.exports:
        yield (
            f"export {export.name}: {export.samples:,} samples in {export.shards} {export.format} shards, "
            f"{export.bytes / 1e6:,.1f} MB, in {work / f'exports/{export.name}'}"
            + ("" if export.current else "; of an earlier recipe: `infinity-mm export` without --name writes it again")
        )
    slowest = sorted(manifest.stages, key=lambda stage: -stage.seconds)[:4]
    yield f"{manifest.seconds:,.1f} s ({', '.join(f'{s.name} {s.seconds:,.1f}' for s in slowest)})"
    yield f"report: {work / 'report/index.html'}"
    yield f"next: infinity-mm explain {work} ID, with an id of {work / 'ledger'}"
