"""`infinity-mm doctor`."""

from __future__ import annotations

from pathlib import Path

import click

from infinity_mm.cli.options import console, json_option, print_json


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path), required=False)
@json_option
def doctor(recipe: Path | None, as_json: bool) -> None:
    """Say what this machine can do: Python, Ray, engines, GPUs, loaders, memory, disk.

    With RECIPE also what its models take, and whether they can run here.
    """
    from infinity_mm.doctor import examine
    from infinity_mm.recipe import load_recipe

    findings = examine(None if recipe is None else load_recipe(recipe))
    if as_json:
        print_json([finding.model_dump() for finding in findings])
        return
    out = console()
    for finding in findings:
        mark = {"ok": "ok  ", "missing": "none", "problem": "BAD "}[finding.state]
        out.print(f"{mark} {finding.what:<14} {finding.detail}", markup=False, soft_wrap=True)
