"""`infinity-mm schemas`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("schemas"), show_default=True)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if the files there differ.")
def schemas(out: Path, check: bool) -> None:
    """Write the schemas of records, ledger, manifest and recipe (JSON Schema and Arrow as JSON)."""
    from infinity_mm.errors import JobError
    from infinity_mm.schemas import render_all

    stale = []
    for name, text in render_all().items():
        path = out / name
        if check:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
            continue
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(str(path))
    if stale:
        raise JobError(f"out of date in {out}: {', '.join(stale)}; run `make schemas` and commit the result")
