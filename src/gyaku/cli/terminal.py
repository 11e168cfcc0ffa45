"""Speaking to a terminal of any encoding, plain tables, and the exit status of an error."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
import unicodedata
from collections.abc import Sequence
from typing import Any

import click

from gyaku.base.errors import DataError, DivergedError, GyakuError
from gyaku.cli.words import words

_OUR_FAULT = ("write ", "save ", "make folder ")


def use_safe_streams() -> None:
    """Let characters that the terminal's encoding lacks become ``?`` instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def tell(text: str) -> None:
    """Say something to the person: on stderr, so that stdout stays for answers."""
    click.echo(text, err=True)


def answer_json(value: Any) -> None:
    """Print JSON in ASCII, which every encoding carries; NaN becomes null."""
    click.echo(json.dumps(without_nan(value), indent=1))


def without_nan(value: Any) -> Any:
    """Return plain JSON values with NaN and infinities as None."""
    if isinstance(value, dict):
        return {key: without_nan(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and value - value != 0.0 else value


def status_of(error: BaseException) -> int:
    """Return 2 for bad input, 1 for a failure (diverged, disk full, a fault of ours)."""
    if isinstance(error, DivergedError) or not isinstance(error, GyakuError):
        return 1
    return 1 if isinstance(error, DataError) and error.where.startswith(_OUR_FAULT) else 2


def tell_error(error: BaseException, lang: str | None) -> int:
    """Say one clear message and return the exit status; ``GYAKU_DEBUG=1`` shows the traceback, too."""
    say = words(lang)
    if os.environ.get("GYAKU_DEBUG"):
        tell("".join(traceback.format_exception(error)))
    if isinstance(error, GyakuError):
        error.context = ""  # a line of Python says nothing to somebody at a prompt
        text = str(error)
    elif isinstance(error, MemoryError):
        text = "not enough memory"
    elif isinstance(error, OSError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error} ({say('internal')})"
    tell(say("error", text=text))
    return status_of(error)


def width(text: str) -> int:
    """Return the columns a text takes in a terminal: Japanese characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of texts as aligned columns."""
    widths = [max(width(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(cell + " " * (w - width(cell)) for cell, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
