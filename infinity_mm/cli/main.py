"""`infinity-mm`: exit 0 done, 1 the job failed, 2 bad recipe or arguments (found before any work)."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from infinity_mm import __version__
from infinity_mm.errors import InfinityMMError

#: Command -> module with a function of that name (underscores for dashes); loaded when called, so
#: that `--help` does not import Ray.
COMMANDS = {
    "run": "infinity_mm.cli.run",
    "plan": "infinity_mm.cli.plan",
    "ingest": "infinity_mm.cli.ingest",
    "download": "infinity_mm.cli.download",
    "sources": "infinity_mm.cli.sources",
    "status": "infinity_mm.cli.status",
    "explain": "infinity_mm.cli.explain",
    "diff": "infinity_mm.cli.diff",
    "export": "infinity_mm.cli.export",
    "synth": "infinity_mm.cli.synth",
    "validate": "infinity_mm.cli.validate",
    "dedup": "infinity_mm.cli.dedup",
    "decontaminate": "infinity_mm.cli.decontaminate",
    "mapping": "infinity_mm.cli.mapping",
    "schemas": "infinity_mm.cli.schemas",
    "doctor": "infinity_mm.cli.doctor",
}


class _Lazy(click.Group):
    """Imports a command's module only when that command is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from infinity_mm.nearest import nearest

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no such command {args[0]!r}; {nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="infinity-mm")
def cli() -> None:
    """Turn public multimodal data into training shards, with every row accounted for.

    \b
    Start here:
      infinity-mm run pipelines/quickstart.yaml --work runs/quickstart   the whole job; again to resume
      infinity-mm explain runs/quickstart ID                             one row's life
      infinity-mm sources                                                what can be ingested

    Progress goes to stderr, results to stdout. Exit status: 0 done; 1 the job failed, and the message
    says what to do; 2 bad recipe or arguments, found before any work started.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line and exit with its status."""
    try:
        cli.main(args=arguments, prog_name="infinity-mm", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("interrupted; finished partitions are kept: run the same command again to go on", err=True)
        sys.exit(130)
    except InfinityMMError as error:
        click.echo(f"infinity-mm: {error}", err=True)
        sys.exit(error.exit_status)
    except BrokenPipeError:
        # The reader of stdout (head, less) went away; that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)
