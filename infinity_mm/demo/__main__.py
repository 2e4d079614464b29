"""`python -m infinity_mm.demo OUT` builds the input; `python -m infinity_mm.demo check OUT WORK` checks a run."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from infinity_mm.errors import InfinityMMError

#: Share of true rows below which a run's synthetic rows are called wrong.
LEAST_TRUE = 0.9


class _BuildByDefault(click.Group):
    """Takes a first argument that is no command as that of `build`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["build", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_BuildByDefault)
def main() -> None:
    """Make and check the quickstart's input."""


@main.command("build")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--seed", default=17, show_default=True)
def build_command(out: Path, seed: int) -> None:
    """Build the input below OUT: folders in the layouts of public sources, and traps.json."""
    from infinity_mm.demo.build import build, count_traps

    counts = build(out, seed)
    click.echo(
        f"{out}: {sum(counts.values())} raw rows of {len(counts)} sources, {sum(count_traps(out).values())} planted"
    )


@main.command("check")
@click.argument("out", type=click.Path(path_type=Path, exists=True))
@click.argument("work", type=click.Path(path_type=Path, exists=True))
@click.option("--seed", default=17, show_default=True, help="that OUT was built from")
def check_command(out: Path, work: Path, seed: int) -> None:
    """Check that the books of WORK name every fault planted in OUT, and that its synthetic rows are true.

    Exits 1 where a fault is not named, or fewer than 90 % of the synthetic rows about drawn pictures are true.
    """
    from infinity_mm.demo.check import check
    from infinity_mm.demo.truth import truth

    outcome = check(out, work)
    table = Table(title="planted faults and the books", title_justify="left")
    for name in ("fault", "planted", "found as expected"):
        table.add_column(name, justify="left" if name == "fault" else "right")
    for trap, planted in sorted(outcome.planted.items()):
        table.add_row(trap, str(planted), str(outcome.found[trap]))
    table.add_section()
    table.add_row("all", str(outcome.planted.total()), str(outcome.found.total()))
    Console(highlight=False).print(table)
    for finding in outcome.mismatches[:20]:
        click.echo(f"{finding.trap}: {finding.place}\n  expected {finding.expected}\n  got      {finding.got}")
    made = truth(work, seed)
    click.echo(f"{made.rows - len(made.wrong)} of {made.rows} synthetic rows about drawn pictures are true")
    for question, answer in made.wrong[:20]:
        click.echo(f"not true: {question} {answer}")
    sys.exit(1 if outcome.mismatches or made.share < LEAST_TRUE else 0)


if __name__ == "__main__":
    try:
        main()
    except (InfinityMMError, FileExistsError) as error:
        click.echo(f"infinity_mm.demo: {error}", err=True)
        sys.exit(1)
