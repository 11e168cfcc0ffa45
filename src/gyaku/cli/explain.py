"""``gyaku explain``: the derivative of a formula, or of a value in the user's own program, worked out."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import types
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gyaku.base.errors import ArgumentError, DataError, UnknownNameError
from gyaku.base.text import Phrases, language
from gyaku.cli.options import json_option, lang_option
from gyaku.cli.terminal import answer_json, tell

_EXAMPLES = """
\b
Examples:
  gyaku explain "(a*x - y)**2" a=2 x=3 y=1
  gyaku explain "u = sigmoid(x); -t*log(u) - (1-t)*log(1-u)" x=0.7 t=1 --wrt x
  gyaku explain "sum((X@W - T)**2)/2" "X=[[2,-1,1]]" "W=[[2,0],[1,1],[0,4]]" "T=[[1,2]]"
  gyaku explain program.py:loss --save loss.svg
"""
_ENDINGS = (".svg", ".html", ".pdf", ".png", ".tex", ".dot")


@click.command(epilog=_EXAMPLES)
@click.argument("formula", metavar="FORMULA|FILE.py[:NAME]")
@click.argument("values", metavar="NAME=VALUE...", nargs=-1)
@click.option("--wrt", multiple=True, metavar="NAME", help="Differentiate by this name only (may be repeated).")
@click.option("--order", type=click.IntRange(1, 2), default=1, show_default=True, help="2: second derivatives, too.")
@click.option("--latex", "as_latex", is_flag=True, help="Print the derivation as LaTeX (needs amsmath).")
@click.option("--save", metavar="PICTURE", help="Write the graph: " + ", ".join(e[1:] for e in _ENDINGS) + ".")
@json_option
@lang_option
def explain(
    formula: str, values: tuple[str, ...], wrt: tuple[str, ...], order: int, as_latex: bool, save: str | None,
    as_json: bool, lang: str | None,
) -> None:  # fmt: skip
    """Show value, graph and every derivative of a formula, path by path, with the numbers filled in.

    FORMULA is read, never evaluated: numbers, names, + - * / ** @, [[1,2],[3,4]], .T, exp, log, sin, sigmoid, relu,
    softmax, sum, ...; "s = a*x; s**2" names an intermediate value. FILE.py is your own program and is run as
    `python FILE.py` would; NAME is the value to explain (else its last scalar with a gradient).
    """
    from gyaku.explain.phrases import phrases

    say = phrases(language(lang))
    if save is not None and not save.lower().endswith(_ENDINGS):
        raise ArgumentError("--save", f"a name ending in {', '.join(_ENDINGS)}", repr(save))
    path, name = _file(formula)
    second: Any = None
    if path is None:
        explanation, second = _of_formula(formula, values, order)
    elif values:
        raise ArgumentError("explain", "no values after a file", values[0])
    else:
        explanation = _of_file(path, name, say, order)
    names = _wanted(explanation, wrt)
    if as_json:
        answer_json(_answer(explanation, names, second, say))
    elif as_latex:
        click.echo("\n\n".join(explanation.derivation(n, lang=say.lang).latex() for n in names))
    else:
        _print(explanation, names, second, bool(wrt), say)
    if save is not None:
        explanation.save(save, **({} if save.lower().endswith(".dot") else {"lang": say.lang}))
        tell(say("saved", path=save))


def _file(formula: str) -> tuple[Path | None, str]:
    """Return (path, name) of ``FILE.py`` or ``FILE.py:NAME``; a drive's colon (C:\\x.py) belongs to the path."""
    if formula.endswith(".py"):
        return Path(formula), ""
    head, colon, name = formula.rpartition(".py:")
    return (Path(head + ".py"), name) if colon and name.isidentifier() else (None, "")


def _of_formula(text: str, given: tuple[str, ...], order: int) -> tuple[Any, Any]:
    """Return the explanation of a formula, and (when asked for) the function names -> second derivatives."""
    from gyaku.explain.build import explain as build
    from gyaku.explain.derivation_second import second_derivatives
    from gyaku.explain.formula_parse import compute, parse, value_of

    formula = parse(text)
    values: dict[str, Any] = {}
    for each in given:
        name, sign, value = each.partition("=")
        name = unicodedata.normalize("NFKC", name.strip())  # as Python reads names
        if not sign or not name.isidentifier() or name in values:
            raise ArgumentError("explain", "values as NAME=VALUE, each name once", repr(each))
        values[name] = value_of(name, value).requires_grad_()
    result, inner = compute(formula, values)
    _refuse_constant(result, formula)
    if result.numel() != 1:
        raise ArgumentError(
            "explain", "a formula whose result is one number", f"an array of shape {tuple(result.shape)}",
            hint="sum it: sum(...)",
        )  # fmt: skip
    if not math.isfinite(result.item()):
        raise ArgumentError(
            "explain", "a formula that has a value here", f"{result.item()}", hint="choose other values"
        )
    fold = "names" if formula.inner else False  # parts that have names are the nodes; what is between stays inside
    explanation = build(result, names={**values, **inner}, fold=fold, scope={})
    return explanation, (lambda names: second_derivatives(result, values, names)) if order == 2 else None


def _refuse_constant(result: Any, formula: Any) -> None:
    if result._node is None or not formula.steps or not formula.inputs:
        raise ArgumentError("explain", "a formula with at least one name", formula.text[:80], hint="x**2 x=3")


def _wanted(explanation: Any, wrt: tuple[str, ...]) -> list[str]:
    """Return the names to differentiate by: those asked for, else all leaves."""
    leaves = [item.symbol for item in explanation.leaves]
    for name in wrt:
        if explanation.find(name) is None:
            raise UnknownNameError("--wrt", name, [i.symbol for i in explanation.items if not i.inline])
    return list(wrt) or leaves


def _print(explanation: Any, names: list[str], second: Any, chosen: bool, say: Phrases) -> None:
    from gyaku.explain.derivation_tree import tree

    again = [] if second is None else second(names)
    click.echo(tree(explanation, lang=say.lang))
    click.echo()
    parts = (
        [explanation.derivation(n, lang=say.lang) for n in names] if chosen else [explanation.derivation(lang=say.lang)]
    )
    click.echo("\n\n".join(map(str, parts)))
    if again:
        click.echo("\n".join(["", say("second"), *[f"  {line['text']}" for line in again]]))


def _answer(explanation: Any, names: list[str], second: Any, say: Phrases) -> dict[str, Any]:
    result = explanation.result
    answer: dict[str, Any] = {
        "name": result.symbol,
        "value": result.value.tolist(),
        "nodes": [
            {"name": i.symbol, "formula": i.formula, "shape": list(i.shape), "value": _plain(i.value),
             "delta": _plain(i.delta)}
            for i in explanation.items if not i.inline
        ],
        "derivatives": {},
    }  # fmt: skip
    for name in names:
        derivation = explanation.derivation(name, lang=say.lang)
        closing = derivation.equations[-1].rights[-1].text if derivation.equations else ""
        answer["derivatives"][name] = {
            "value": _plain(explanation[name].delta), "formula": closing, "text": str(derivation),
            "latex": derivation.latex(),
        }  # fmt: skip
    if second is not None:
        answer["second"] = second(names)
    return answer


def _plain(value: Any) -> Any:
    return None if value is None else value.tolist()


# --- a program of the user's ---


def _of_file(path: Path, name: str, say: Phrases, order: int) -> Any:
    """Run a program under recording and explain one of its values."""
    if order != 1:
        raise ArgumentError("--order", "a formula, for second derivatives", f"the file {path}")
    from gyaku.explain.build import explain as build
    from gyaku.explain.recorder import record

    if not path.is_file():
        raise DataError(f"read {path}", message="no such file")
    tell(say("ran", file=path))
    with record():
        variables = _run(path)
    return build(_value(variables, name, path), scope=variables, fold="auto")


def _run(path: Path) -> dict[str, Any]:
    """Run a file as ``python FILE`` does, with its prints on stderr, and return its variables."""
    from importlib.machinery import SourceFileLoader

    program = types.ModuleType("__main__")
    program.__file__ = str(path)
    with _as_program(path, program), contextlib.redirect_stdout(sys.stderr):
        try:
            SourceFileLoader("__main__", str(path)).exec_module(program)
        except SystemExit as end:
            if end.code not in (None, 0):
                raise DataError(f"run {path}", message=f"the program ended with status {end.code}") from end
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a program of somebody else's may raise
            raise _told(path, error) from error
    return vars(program)


def _told(path: Path, error: BaseException) -> DataError:
    """Return the one message for a program that failed: the last line of its own, and what was raised."""
    import traceback

    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
    place = f", line {lines[-1]}" if lines else f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
    last = traceback.format_exception_only(error)[-1].strip()  # also of an error that cannot say what it is
    return DataError(f"run {path}{place}", message=last)


@contextlib.contextmanager
def _as_program(path: Path, program: types.ModuleType) -> Iterator[None]:
    """Put a program in the place of the running one: ``__main__``, its folder first on the path, its arguments."""
    before = sys.modules["__main__"], sys.argv, list(sys.path), sys.dont_write_bytecode
    sys.modules["__main__"], sys.argv, sys.dont_write_bytecode = program, [str(path)], True
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    try:
        yield
    finally:
        sys.modules["__main__"], sys.argv, sys.path[:], sys.dont_write_bytecode = before


def _value(variables: dict[str, Any], name: str, path: Path) -> Any:
    """Return the tensor to explain: by name, else the last scalar with a gradient."""
    from gyaku.core.tensor import Tensor

    found = {k: v for k, v in variables.items() if isinstance(v, Tensor) and v._node is not None and k[0] != "_"}
    if name:
        if name not in variables:
            raise UnknownNameError(str(path), name, found or variables, what="value")
        if name not in found:
            raise ArgumentError(f"{path}:{name}", "a tensor with a gradient", type(variables[name]).__name__)
        return found[name]
    scalars = [v for v in found.values() if v.numel() == 1 and not v._node.is_leaf]
    if not scalars:
        hint = "bind the loss to a name: loss = ...; gyaku explain FILE.py:loss"
        raise ArgumentError(str(path), "a scalar tensor with a gradient", "none", hint=hint)
    return scalars[-1]
