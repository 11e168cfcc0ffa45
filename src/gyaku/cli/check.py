"""``gyaku check``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from gyaku.base.errors import ArgumentError, DataError
from gyaku.base.text import Phrases, language
from gyaku.cli.options import Numbers, json_option, lang_option
from gyaku.cli.terminal import answer_json, tell

_EXAMPLES = """
\b
Examples:
  gyaku check layers.py:Affine
  gyaku check layers.py                          all its classes with forward and backward
  gyaku check layers.py:ReLU --input-shape 8,5 --curve curve.svg
"""
_WORDS = {
    "runs": (
        "note: {file} is run as your own program, in a process of its own; it may do what you may do",
        "注意: {file} をあなた自身のプログラムとして（別のプロセスで）実行します。あなたと同じ権限で動きます",
    ),
    "printed": ("your program printed:", "プログラムの出力:"),
    "curve": ("curve: {path}", "曲線: {path}"),
}


@click.command(epilog=_EXAMPLES)
@click.argument("target", metavar="FILE.py[:LAYER]", nargs=1)
@click.option("--input-shape", "shape", type=Numbers(), help="Shape of x, batch first.  [several are tried]")
@click.option("--curve", metavar="PICTURE", help="Also draw the error against the step h (.svg, .png or .pdf).")
@click.option("--seed", type=click.IntRange(min=0, max=2**31), default=0, show_default=True, help="Of random numbers.")
@click.option("--timeout", type=click.IntRange(min=1), default=120, show_default=True, help="Seconds for your program.")
@json_option
@lang_option
@click.pass_context
def check(
    ctx: click.Context, target: str, shape: tuple[int, ...] | None, curve: str | None, seed: int, timeout: int,
    as_json: bool, lang: str | None,
) -> None:  # fmt: skip
    """Check the gradients of a layer you wrote, and name the likely mistake.

    LAYER is a class (or a function that makes an object): a class of the lectures with forward and backward, an
    autograd.Function or an nn.Module. The exit status is 0 when all gradients are right, 1 when one is wrong,
    2 when a layer could not be checked.
    """
    say = Phrases(_WORDS, lang)
    if curve and Path(curve).suffix not in (".svg", ".png", ".pdf"):
        raise ArgumentError("--curve", "a name that ends with .svg, .png or .pdf", curve)
    if shape is not None and (not shape or min(shape) < 1):
        raise ArgumentError("--input-shape", "positive sizes such as 8,5", ",".join(map(str, shape)))
    file, _, name = target.rpartition(":") if ".py:" in target else (target, "", "")
    request = {"file": file, "names": [name] if name else [], "shape": shape, "seed": seed, "curve": bool(curve),
               "lang": language(lang)}  # fmt: skip
    tell(say("runs", file=file))
    found = _run(request, timeout, say)
    if as_json:
        answer_json(found["results"])
    else:
        click.echo("\n".join(r["text"] for r in found["results"]))
    if curve and found["curve"]:
        _draw(found["curve"], curve, language(lang))
        tell(say("curve", path=curve))
    verdicts = [r["ok"] for r in found["results"]]
    ctx.exit(1 if False in verdicts else 2 if None in verdicts else 0)


def _run(request: dict[str, Any], timeout: int, say: Phrases) -> dict[str, Any]:
    """Return what the process says in which the file runs. Raises ``DataError`` when it ends early or never."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "answer.json"
        command = [sys.executable, "-m", "gyaku.check.student", json.dumps(request), str(out)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise DataError(
                request["file"], f"an end within {timeout} s", "a program that still runs", hint="use --timeout"
            ) from None
        printed = (done.stdout + done.stderr).decode(errors="replace").strip()
        if printed:
            tell(f"{say('printed')}\n{printed}")
        if not out.is_file():
            raise DataError(request["file"], "a program that comes back", f"exit status {done.returncode}")
        answer: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    if "error" in answer:
        where, _, rest = answer["error"].partition(": ")
        raise DataError(where, message=rest)
    return answer


def _draw(curve: dict[str, Any], path: str, lang: str) -> None:
    from gyaku.check.curve import Curve
    from gyaku.figures.numeric_cost import save_curve

    save_curve(Curve(**curve), path, lang)
