"""``gyaku doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from gyaku.base.errors import ArgumentError
from gyaku.base.text import language
from gyaku.cli.options import json_option, lang_option
from gyaku.cli.terminal import answer_json

_EXAMPLES = """
\b
Examples:
  gyaku doctor runs/digits
  gyaku doctor runs/digits --json
  gyaku doctor runs/digits --strict
"""


@click.command(epilog=_EXAMPLES)
@click.argument("run", metavar="RUN")
@click.option("--steps", type=int, default=300, show_default=True, help="Length of the short reruns.")
@click.option("--no-proof", is_flag=True, help="Leave out the reruns that prove a remedy.")
@click.option("--strict", is_flag=True, help="Exit with status 1 when something is found.")
@json_option
@lang_option
def doctor(run: str, steps: int, no_proof: bool, strict: bool, as_json: bool, lang: str | None) -> None:
    """Say what is wrong with a run, where, and what helps: reads its logs, trains a copy for a few steps, and again
    with the remedy. The verdict goes to RUN/doctor.json and into its report.
    """
    from gyaku.doctor.runs import examine_run, write_verdict
    from gyaku.report import write_report
    from gyaku.train.run import REPORT

    if steps < 1:
        raise ArgumentError("--steps", ">= 1", str(steps))
    verdict = examine_run(run, steps=steps, proof=not no_proof, lang=language(lang))
    write_verdict(run, verdict)
    if (Path(run) / REPORT).is_file():
        write_report(run, language(lang))
    if as_json:
        answer_json({"run": run, **verdict.to_json()})
    else:
        click.echo(str(verdict))
    if strict and not verdict.healthy:
        raise click.exceptions.Exit(1)
