"""`infinity-mm doctor`."""

from __future__ import annotations

import click

from infinity_mm.cli.options import console, json_option, print_json


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Say what this machine can do: Python, Ray, engines, GPUs, loaders, memory, disk."""
    from infinity_mm.doctor import examine

    findings = examine()
    if as_json:
        print_json([finding.model_dump() for finding in findings])
        return
    out = console()
    for finding in findings:
        mark = {"ok": "ok  ", "missing": "none", "problem": "BAD "}[finding.state]
        out.print(f"{mark} {finding.what:<14} {finding.detail}", markup=False, soft_wrap=True)
