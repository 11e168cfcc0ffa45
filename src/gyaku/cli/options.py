"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from gyaku.base.text import LANGUAGES


def _remember(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    ctx.meta["lang"] = value
    return value


def lang_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--lang en|ja``; also what an error message is framed in."""
    help_text = "Language of messages and report (else GYAKU_LANG, else the locale)."
    return click.option("--lang", type=click.Choice(LANGUAGES), callback=_remember, is_eager=True, help=help_text)(
        command
    )


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--json``: the answer for programs, on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON on stdout.")(command)


class Numbers(click.ParamType):
    """Whole numbers separated by commas (``100,100``); ``none`` is the empty list."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a tuple of integers."""
        if isinstance(value, tuple):
            return value
        try:
            return () if value == "none" else tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"expected whole numbers such as 100,100 (or none), got {value!r}.", param, ctx)


class Size(click.ParamType):
    """Height and width of images (``28x28``)."""

    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return (height, width)."""
        if isinstance(value, tuple):
            return value
        height, _, width = value.partition("x")
        if not (height.isdigit() and width.isdigit()):
            self.fail(f"expected height and width such as 28x28, got {value!r}.", param, ctx)
        return int(height), int(width)
