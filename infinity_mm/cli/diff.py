"""`infinity-mm diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from infinity_mm.cli.options import console, json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from infinity_mm.diff import Change, Difference, Setting

#: Settings that a screen shows; all are in --json.
_SHOWN = 20
_WIDE = 60


@click.command()
@click.argument("work_a")
@click.argument("work_b")
@click.option(
    "--examples", default=3, show_default=True, metavar="N", type=click.IntRange(0), help="Rows of each kind."
)
@click.option("--out", metavar="FILE", help="Write all changed rows there: Parquet, one row each, path or URI.")
@json_option
def diff(work_a: str, work_b: str, examples: int, out: str | None, as_json: bool) -> None:
    """Say which rows ended differently in two run folders, and why.

    Compares the ledgers of two finished runs by the ids of rows: what was kept in WORK_A and dropped in
    WORK_B, dropped for another reason, or is in one of them only; with the values that decided. Then what the
    runs have not in common: settings of the recipe, files, versions of packages, models.

    \b
      infinity-mm diff runs/monday runs/tuesday --out changed.parquet
      infinity-mm explain runs/tuesday ID      one row's life, with an id from there
    """
    from infinity_mm.diff import diff as compare
    from infinity_mm.fs import Location
    from infinity_mm.store import Store

    place = None if out is None else Location.of(out)
    found = compare(Store(Location.of(work_a)), Store(Location.of(work_b)), examples, place)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    screen = console()
    if found.changes:
        screen.print(_table(found, work_a, work_b))
    for line in _lines(found):
        screen.print(line, markup=False, soft_wrap=True)
    if place is not None:
        screen.print(f"changed rows: {place}", markup=False, soft_wrap=True)


def _table(found: Difference, work_a: str, work_b: str) -> Table:
    from rich.table import Table

    table = Table(title="rows that ended differently", title_justify="left")
    for name in ("source", f"in {work_a}", f"in {work_b}"):
        table.add_column(name, overflow="fold")
    table.add_column("rows", justify="right")
    for change in found.changes:
        table.add_row(change.source, str(change.a), str(change.b), f"{change.rows:,}")
    return table


def _lines(found: Difference) -> Iterator[str]:
    for change in found.changes:
        yield from _example_lines(change)
    changed = sum(change.rows for change in found.changes)
    yield f"{found.same:,} rows ended alike, {changed:,} did not; {found.rows_a:,} rows in A, {found.rows_b:,} in B"
    yield from _setting_lines("recipe", found.recipe)
    yield from _setting_lines("made with", found.made_with)


def _example_lines(change: Change) -> Iterator[str]:
    if change.examples:
        yield f"{change.source}: {change.a} -> {change.b}"
    for one in change.examples:
        told = []
        for side, detail, winner in (("A", one.detail_a, one.winner_a), ("B", one.detail_b, one.winner_b)):
            said = "; ".join(filter(None, (detail, winner and f"lost to {winner}")))
            told += [f"{side}: {said}"] if said else []
        yield f"  {one.id}  {one.source_ref}" + (f"  {' | '.join(told)}" if told else "")


def _setting_lines(title: str, settings: Sequence[Setting]) -> Iterator[str]:
    if not settings:
        yield f"{title}: the same"
        return
    yield f"{title}:"
    for one in settings[:_SHOWN]:
        yield f"  {one.key}: {_short(one.a)} -> {_short(one.b)}"
    if len(settings) > _SHOWN:
        yield f"  and {len(settings) - _SHOWN} more, all in --json"


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 3]}..."
