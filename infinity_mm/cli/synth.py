"""`infinity-mm synth`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from infinity_mm.cli.options import (
    console,
    json_option,
    licenses_option,
    print_json,
    ray_options,
    set_option,
    with_licenses,
    work_option,
)

if TYPE_CHECKING:
    from infinity_mm.fs import Location
    from infinity_mm.licenses import LicensePolicy
    from infinity_mm.manifest import Manifest, SynthesisReport
    from infinity_mm.pipeline.run import RunOptions
    from infinity_mm.pipeline.synthesis import Subset
    from infinity_mm.recipe import Recipe
    from infinity_mm.synth.params import SynthParams


def _list_prompts(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value:
        return
    from infinity_mm.synth.prompts import load_prompt, packaged_prompts
    from infinity_mm.synth.provenance import PROMPTS

    used = {name: step for step, name in PROMPTS.items()}
    for name in packaged_prompts():
        prompt = load_prompt(*name)
        step = f"prompts.{used[name]}" if name in used else "the package's"
        click.echo(f"{prompt.file:<16} {prompt.sha256[:16]}  {step:<16} {', '.join(s for s, _ in prompt.sections)}")
    context.exit()


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@work_option(required=True)
@click.option("--only", multiple=True, metavar="TYPE", help="Only this instruction type, or all below it; repeatable.")
@click.option("--changed", is_flag=True, help="Only what changed prompts or models touch, for pictures drawn before.")
@click.option("--estimate", is_flag=True, help="Say what is left to do and what it would cost, from a small pilot.")
@click.option("--retry", is_flag=True, help="Ask again what failed (attempts in quarantine); the rest is in the cache.")
@click.option(
    "--cache", metavar="DIR", help="Generation cache (path, s3://..., gs://...); in place of the recipe's synth.cache."
)
@click.option(
    "--prompts",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_prompts,
    help="List the package's prompt files with the key of synth that replaces them, and exit.",
)
@set_option
@licenses_option
@ray_options
@json_option
def synth(
    recipe: Path,
    work: str,
    only: tuple[str, ...],
    changed: bool,
    estimate: bool,
    retry: bool,
    cache: str | None,
    overrides: tuple[str, ...],
    licenses: LicensePolicy | None,
    address: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Generate the synthetic rows of RECIPE in WORK, or generate them again.

    Rows are curated first where they are not yet, as `run` does; exports are left to `run`, which ends as if this had
    never been called. An answer that is in the generation cache is never asked for again, so with nothing changed there
    is not one call. With --only, other types end as `type_not_asked_for` until the next `synth` or `run`. --estimate
    counts what the other options would do: with --retry also what failed.
    """
    from infinity_mm.fs import Location
    from infinity_mm.pipeline.run import RunOptions, run
    from infinity_mm.pipeline.synthesis import Subset
    from infinity_mm.recipe import load_recipe

    loaded, params = _with_cache(with_licenses(load_recipe(recipe, overrides), licenses), recipe, cache)
    folder, options = Location.of(work), RunOptions(address, workers)
    subset = Subset(_leaves(only, params), changed, retry)
    told: dict[str, Any] = {}
    if changed and _tell_changes(folder, params, told, as_json) and not retry:
        return
    if estimate:
        _tell_estimate(loaded, folder, options, subset, told, as_json)
        return
    _tell_outcome(run(loaded, folder, options, exports=(), subset=subset), told, as_json)


def _tell_changes(folder: Location, params: SynthParams, told: dict[str, Any], as_json: bool) -> bool:
    """Say what changed prompts and models touch, and note it in `told`; True where that is nothing."""
    from infinity_mm.pipeline.changes import changes

    found = changes(folder, params)
    for line in found.lines():
        click.echo(line, err=as_json)
    told["changes"] = found.model_dump()
    if found.nothing and as_json:
        print_json(told)
    return found.nothing


def _tell_estimate(
    recipe: Recipe, folder: Location, options: RunOptions, subset: Subset, told: dict[str, Any], as_json: bool
) -> None:
    from infinity_mm.pipeline.estimate import estimate

    predicted = estimate(recipe, folder, options, subset)
    if as_json:
        print_json(told | {"estimate": predicted.model_dump()})
        return
    for line in predicted.lines():
        click.echo(line)


def _tell_outcome(manifest: Manifest, told: dict[str, Any], as_json: bool) -> None:
    report, books = manifest.synthesis, manifest.books["synthetic"]
    if as_json or report is None:
        print_json(told | {"synthesis": None if report is None else report.model_dump(), "books": books.model_dump()})
        return
    out = console()
    out.print(types_table(report))
    out.print(steps_table(report))
    if report.comparisons:
        out.print(comparisons_table(report))
    out.print(
        f"{books.rows:,} attempts: {books.kept:,} kept, {sum(books.dropped.values()):,} dropped, "
        f"{sum(books.quarantined.values()):,} quarantined; {report.engine} {report.engine_version} ran {report.model} "
        f"({report.revision})",
        markup=False,
        soft_wrap=True,
    )


def _with_cache(loaded: Recipe, path: Path, cache: str | None) -> tuple[Recipe, SynthParams]:
    from infinity_mm.errors import RecipeError
    from infinity_mm.fs import Location

    if loaded.synth is None:
        raise RecipeError(f"{path} has no synth section; add one, for example `synth: {{images: 100}}`")
    params = loaded.synth if cache is None else loaded.synth.model_copy(update={"cache": Location.of(cache).uri})
    return loaded.model_copy(update={"synth": params}), params


def _leaves(only: tuple[str, ...], params: SynthParams) -> tuple[str, ...] | None:
    """Return the leaves that `--only` means; raises `UsageError` for an unknown type, or one the recipe leaves out."""
    from infinity_mm.errors import RecipeError, UsageError
    from infinity_mm.synth.taxonomy import Taxonomy

    if not only:
        return None
    taxonomy = Taxonomy.load()
    try:
        chosen = {leaf.name for leaf in taxonomy.select(only)}
    except RecipeError as error:
        raise UsageError(str(error).replace("synth.types:", "--only:", 1)) from error
    made = {leaf.name for leaf in taxonomy.select(params.types)}
    if not chosen & made:
        raise UsageError(f"--only {', '.join(only)}: the recipe's synth.types leaves all of that out")
    return tuple(sorted(chosen & made))


def types_table(report: SynthesisReport) -> Table:
    """Return the yield of the steps by instruction type: attempts in and out, and why others ended."""
    table = Table(title="yields by instruction type", title_justify="left")
    table.add_column("type")
    for name in ("typed", "written", "kept"):
        table.add_column(name, justify="right")
    table.add_column("ended, by step.reason", overflow="fold")
    for leaf, counts in report.types.items():
        typed = counts.kept + counts.dropped + counts.quarantined
        before = sum(n for reason, n in counts.reasons.items() if not reason.startswith("synth.filter."))
        reasons = "  ".join(f"{reason.removeprefix('synth.')} {n}" for reason, n in counts.reasons.items())
        table.add_row(leaf, f"{typed:,}", f"{typed - before:,}", f"{counts.kept:,}", reasons)
    return table


def steps_table(report: SynthesisReport) -> Table:
    """Return the yield and the cost of each step."""
    from infinity_mm.synth.outcomes import COUNTS, STAGES

    table = Table(title="steps", title_justify="left")
    table.add_column("step")
    for name in ("in", "out", "calls", "from cache", "tokens in", "tokens out"):
        table.add_column(name, justify="right")
    table.add_column("ended", overflow="fold")
    for one in report.taggers:
        reasons = "  ".join(f"{reason} {n}" for reason, n in one.reasons.items())
        row = (one.pictures, one.tagged, one.pictures, 0, 0, 0)
        table.add_row(f"tagger {one.tagger.name}", *(f"{n:,}" for n in row), reasons)
    for stage, step in STAGES:
        flow, cost = report.yields[stage], report.calls[step]
        reasons = "  ".join(f"{reason} {n}" for reason, n in flow.items() if reason not in COUNTS)
        numbers = (flow["in"], flow["out"], cost.calls, cost.cached, cost.prompt_tokens, cost.completion_tokens)
        table.add_row(step, *(f"{n:,}" for n in numbers), reasons)
    return table


def comparisons_table(report: SynthesisReport) -> Table:
    """Return how the answers of blind test and agreement compared with the written ones, and by what."""
    table = Table(title="answers compared with the written ones", title_justify="left")
    table.add_column("check")
    kinds = [f"{by}_{end}" for by in ("exact", "numeric", "semantic") for end in ("same", "other")] + ["unknown"]
    for kind in kinds:
        table.add_column(kind.replace("_", ": "), justify="right")
    for check, counts in report.comparisons.items():
        table.add_row(check, *(f"{counts.get(kind, 0):,}" for kind in kinds))
    return table
