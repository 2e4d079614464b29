"""Options that several commands share, and how they print."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import orjson
from rich.console import Console

if TYPE_CHECKING:
    from infinity_mm.licenses import LicensePolicy
    from infinity_mm.recipe import Recipe

F = TypeVar("F", bound=Callable[..., Any])


def work_option(required: bool = False) -> Callable[[F], F]:
    """Return the ``--work`` option."""
    return click.option(
        "--work", metavar="DIR", required=required, help="Run folder (local path, s3://..., gs://...); made if absent."
    )


def ray_options(command: F) -> F:
    """Add ``--address`` and ``--workers``."""
    command = click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        help="Run on an embedded Ray node of N CPUs [default: all].",
    )(command)
    return click.option(
        "--address",
        metavar="ADDR",
        help='Ray cluster, e.g. "auto" inside a job [default: RAY_ADDRESS; without it, an embedded node].',
    )(command)


def set_option(command: F) -> F:
    """Add ``--set``."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a recipe key, e.g. --set synth.images=8 or --set sources.vqav2.limit=100; repeatable.",
    )(command)


def policy_option(command: F) -> F:
    """Add ``--policy``."""
    return click.option(
        "--policy",
        multiple=True,
        metavar="KEY=VALUE",
        help="Manners of the download, as under a recipe's key download, e.g. --policy retry=all; repeatable.",
    )(command)


def no_download_option(command: F) -> F:
    """Add ``--no-download``."""
    return click.option(
        "--no-download", is_flag=True, help="Fetch nothing: use what was downloaded before, quarantine the rest."
    )(command)


def licenses_option(command: F) -> F:
    """Add ``--licenses``."""
    return click.option(
        "--licenses",
        metavar="POLICY",
        callback=_parse_licenses,
        help="Which licences may stay: any, commercial, permissive, or names; +NAME allows, -NAME denies by name, "
        'e.g. "commercial,+unknown". In place of the recipe\'s key of that name.',
    )(command)


def _parse_licenses(context: click.Context, parameter: click.Parameter, value: str | None) -> LicensePolicy | None:
    from pydantic import ValidationError

    from infinity_mm.licenses import LicensePolicy

    try:
        return None if value is None else LicensePolicy.model_validate(value)
    except ValidationError as error:
        words = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise click.BadParameter(words, context, parameter) from error


def with_licenses(recipe: Recipe, licenses: LicensePolicy | None) -> Recipe:
    """Return the recipe under another licence policy, if one is given."""
    return recipe if licenses is None else recipe.model_copy(update={"licenses": licenses})


def json_option(command: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")(command)


def print_json(value: Any) -> None:
    """Print a JSON document to stdout."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def console() -> Console:
    """Return a console on stdout, as wide as the terminal, or wide enough for tables in a log."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=140)
