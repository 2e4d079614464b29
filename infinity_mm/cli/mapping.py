"""`infinity-mm mapping`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="SEEDS_OR_WORK...")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Mapping file to write.")
@click.option(
    "--seeds", type=click.Path(path_type=Path, dir_okay=False), help="Also write all seed rows as one JSON Lines file."
)
def mapping(inputs: tuple[str, ...], out: Path, seeds: Path | None) -> None:
    """Build the file that leads from tags of pictures to instruction types.

    SEEDS_OR_WORK are JSON Lines files of annotated rows, run folders whose kept synthetic rows count as such, or the
    word `package` for the rows that the project brings. Read the result, change what you know better, and name it in a
    recipe as synth.offer.mapping; the seed rows (--seeds) can be named as synth.seeds, as examples for the generator.
    """
    from infinity_mm.fs import Location
    from infinity_mm.synth.annotated import read_seeds
    from infinity_mm.synth.mapping import build_weights, mapping_text
    from infinity_mm.synth.seeds import seed_line

    found = read_seeds([Location.of(name) if name != "package" else None for name in inputs])
    tagged = [seed for seed in found if seed.row.tags]
    weights = build_weights(tagged)
    Location.of(str(out)).write_bytes(mapping_text(weights, len(tagged)).encode())
    if seeds is not None:
        lines = "".join(seed_line(seed.row) + "\n" for seed in found)
        Location.of(str(seeds)).write_bytes(lines.encode())
    click.echo(f"{out}: {len(weights)} types from {len(tagged)} tagged rows")
