"""The command ``gyaku``: train, pretrain, sweep, predict, info, data, figure, explain, check, doctor."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from gyaku.base.errors import GyakuError
from gyaku.cli.check import check
from gyaku.cli.data import data
from gyaku.cli.doctor import doctor
from gyaku.cli.explain import explain
from gyaku.cli.figure import figure
from gyaku.cli.info import info
from gyaku.cli.predict import predict
from gyaku.cli.pretrain import pretrain
from gyaku.cli.sweep import sweep
from gyaku.cli.terminal import tell_error, use_safe_streams
from gyaku.cli.train import train

__all__ = ["cli", "main"]


class _Door(click.Group):
    """A group whose commands end with one message and a status: 0, 2 for bad input, 1 for a failure."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            lang = os.environ.get("GYAKU_LANG")
            if isinstance(error, GyakuError) and error.where == "language":
                lang = "en"
            ctx.exit(tell_error(error, ctx.meta.get("lang") or lang))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx) from None


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        import gyaku

        click.echo(f"gyaku {gyaku.__version__}")
        ctx.exit()


@click.group(cls=_Door, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli() -> None:
    """Deep learning you can see through.

    \b
    gyaku train digits              train on the digits that come with it
    gyaku train sales.csv --target price
    gyaku predict runs/sales new.csv --out answers.csv
    """


for _command in (train, pretrain, sweep, predict, info, data, figure, explain, check, doctor):
    cli.add_command(_command)


def main() -> None:
    """Run the command and end the process with its status."""
    use_safe_streams()
    cli(prog_name="gyaku")
    sys.exit(0)
