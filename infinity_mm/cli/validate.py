"""`infinity-mm validate`."""

from __future__ import annotations

from dataclasses import asdict

import click

from infinity_mm.cli.options import console, json_option, print_json


@click.command()
@click.argument("path")
@json_option
def validate(path: str, as_json: bool) -> None:
    """Check records or shards: schema, checksums, keys, and a reading by their own loader.

    PATH is a run folder, its records, or an export. Exit status 1 if anything is wrong.
    """
    from infinity_mm.errors import JobError
    from infinity_mm.export.validate import validate as check
    from infinity_mm.fs import Location

    findings = check(Location.of(path))
    if as_json:
        print_json({"errors": [asdict(fault) for fault in findings.errors], "counts": dict(findings.counts)})
    else:
        out = console()
        for fault in findings.errors:
            out.print(str(fault), markup=False, soft_wrap=True)
        counts = ", ".join(f"{name} {count:,}" for name, count in findings.counts.items())
        out.print(f"{path}: {counts}; {len(findings.errors)} faults", markup=False, soft_wrap=True)
    if findings.errors:
        raise JobError(f"{path} has {len(findings.errors)} faults")
