"""``gyaku explain``: what it prints, refuses and writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from gyaku.base.errors import ArgumentError, GyakuError, UnknownNameError
from gyaku.cli import cli
from gyaku.explain.derivation_text import width
from gyaku.explain.formula_parse import compute, parse, value_of

SQUARE = ("(a*x - y)**2", "a=2", "x=3", "y=1")


def run(*arguments: object, lang: str = "en") -> Result:
    result = CliRunner().invoke(cli, ["explain", *map(str, arguments)], env={"GYAKU_LANG": lang})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def refused(*arguments: object) -> str:
    """Return the one message of a command that must fail."""
    result = run(*arguments)
    assert result.exit_code == 2 and result.stdout == "" and "Traceback" not in result.stderr, result.output
    return result.stderr


def test_a_formula() -> None:
    result = run(*SQUARE)
    assert result.exit_code == 0
    for line in ("z = t²", "└─ t = s - y", "= 25", "= 2(5) · 1 · 3", "= 2x(ax - y)", "= -2(ax - y)", "= 2a(ax - y)"):
        assert line in result.stdout
    assert "経路は 1 本" in run(*SQUARE, lang="ja").stdout


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize(
    "arguments",
    [
        SQUARE,
        ("u = sigmoid(x); -t*log(u) - (1-t)*log(1-u)", "x=0.7", "t=1"),
        ("sum((X@W - T)**2)/2", "X=[[2,-1,1]]", "W=[[2,0],[1,1],[0,4]]", "T=[[1,2]]"),
        ("sum(softmax(X)@w)", "X=[[1,2],[3,4]]", "w=[[1],[-1]]"),
        ("max(x, y)*relu(x) + sqrt(abs(y)) + x**y", "x=2", "y=0.5"),
        ("tanh(w2*tanh(w1*x + b1) + b2)**2", "w1=0.5", "w2=-1.5", "b1=0.1", "b2=0.2", "x=1"),
        ("sum(X.T @ X)", "X=[[1,2],[3,4]]"),
    ],
)
def test_lines_fit_a_terminal(arguments: tuple[str, ...], lang: str) -> None:
    result = run(*arguments, lang=lang)
    assert result.exit_code == 0, result.output
    assert all(width(line) <= 80 for line in result.stdout.splitlines()), result.stdout


def test_only_what_is_asked_for() -> None:
    result = run(*SQUARE, "--wrt", "a")
    assert "∂z/∂a: " in result.stdout and "∂z/∂x: " not in result.stdout
    assert "Hint: did you mean" in refused("sin(abc)", "abc=1", "--wrt", "abd")


def test_second_derivatives() -> None:
    text = run(*SQUARE, "--order", 2).stdout
    assert "∂²z/∂a² = 2x² = 18" in text and "∂²z/∂a∂y = -2x = -6" in text and "∂²z/∂y² = 2" in text
    assert "∂²z/∂a∂x = 2(2ax - y) = 22" in text


def test_latex() -> None:
    text = run(*SQUARE, "--latex", "--wrt", "a").stdout
    assert r"\frac{\partial z}{\partial a} &= \frac{\partial z}{\partial t} \cdot" in text
    assert r"&= 2 x \left(a x - y\right)" in text and text.count(r"\begin{align*}") == 1


def test_json() -> None:
    answer = json.loads(run(*SQUARE, "--json", "--order", 2).stdout)
    assert answer["name"] == "z" and answer["value"] == 25.0
    assert answer["derivatives"]["a"]["value"] == 30.0 and answer["derivatives"]["a"]["formula"] == "2x(ax - y)"
    assert [s["value"] for s in answer["second"]] == [18.0, 22.0, -6.0, 8.0, -4.0, 2.0]
    assert {n["name"]: n["value"] for n in answer["nodes"]}["t"] == 5.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("(a*x - y", "a=1"), "'(' was never closed"),
        (("a*x - y)", "a=1"), "unmatched ')'"),
        (("a^2", "a=1"), "Hint: write x**2"),
        (("sigmid(a)", "a=1"), "did you mean 'sigmoid'?"),
        (("__import__('os').system('ls')",), "expression: "),
        (("a.real", "a=1"), ".T (the transpose)"),
        (("a.T.T.__class__", "a=1"), ".T (the transpose)"),
        (("[x for x in a]", "a=1"), "not allowed"),
        (("lambda: 1",), "not allowed"),
        (("a if a else 2", "a=1"), "not allowed"),
        (("'text'",), "expected a number"),
        (("a**99999", "a=1"), "exponent of at most"),
        (("9**9**9*a", "a=1"), "inf"),
        (("log(-a)", "a=1"), "nan"),
        (("a*1e999", "a=1"), "a number below"),
        (("sin(a, 2)", "a=1"), "argument"),
        (("sin + a", "a=1"), "write sin(...)"),
        (("2(a)", "a=1"), "a*(b + c)"),
        (("a b", "a=1"), "invalid syntax"),
        (("a = 1; import os",), "not a formula: import"),
        (("",), "at most 2000"),
        (("a" * 3000,), "at most 2000"),
        (("+".join(["a"] * 900), "a=1"), "at most"),
        (("(" * 60 + "a" + ")" * 60, "a=1"), "brackets inside one another"),
        (("0" + "-" * 300 + "a", "a=1"), "at most"),
        (("a + b", "a=1"), "Hint: add b=1"),
        (("alpha*2", "alpa=1"), "add alpha=1"),
        (("a*2", "a=1", "b=2"), "got b"),
        (("a*2", "a=1", "a=2"), "each name once"),
        (("a*2", "a"), "NAME=VALUE"),
        (("a*2", "a=b"), "value of a"),
        (("a*2", "a=[1,[2]]"), "rows of one length"),
        (("X@W", "X=[[1,2]]", "W=[[1,2]]"), "inner sizes"),
        (("X*2", "X=[1,2]"), "sum(...)"),
        (("3",), "at least one name"),
        (("a*2", "a=1", "--save", "x.bmp"), "--save"),
        (("nothing.py",), "no such file"),
        (("sum(X)", "X=[1,2]", "--order", "2"), "numbers to differentiate by"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], said: str) -> None:
    message = refused(*arguments)
    assert said in message and message.count("error:") == 1 and len(message) < 800


def test_a_caret_shows_the_place() -> None:
    lines = refused("aa*x - bb^2", "aa=1").splitlines()
    assert lines[1] == "  aa*x - bb^2" and lines[2].index("^") == lines[1].index("^")
    lines = refused("a + " * 30 + "b.c").splitlines()
    assert lines[1][lines[2].index("^") :].startswith("b.c") and len(lines[1]) <= 80


def test_a_file_is_run_as_the_users_program(tmp_path: Path) -> None:
    program = tmp_path / "mine.py"
    program.write_text(
        "import sys\nimport gyaku as gy\nimport helper_of_mine\n"
        "w = gy.tensor(2.0, requires_grad=True)\n"
        "assert sys.argv == [__file__] and __name__ == '__main__'\n"
        "loss = (w * helper_of_mine.three).square()\nloss.backward()\n"
        "print('hello')\nother = w * 5\n",
        encoding="utf-8",
    )
    (tmp_path / "helper_of_mine.py").write_text("three = 3.0\n")
    result = run(f"{program}:loss")
    assert result.exit_code == 0 and "is run as your own program" in result.stderr and "hello" in result.stderr
    assert "∂loss/∂w = " in result.stdout and "= 36" in result.stdout and "hello" not in result.stdout
    assert "∂other/∂w" in run(program).stdout
    assert "did you mean 'loss'?" in run(f"{program}:los").stderr
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "a scalar tensor with a gradient"),
        ("1/0\n", "line 1: ZeroDivisionError"),
        ("def f(:\n", "line 1: SyntaxError"),
        ("raise SystemExit(3)\n", "status 3"),
        ("raise GeneratorExit\n", "GeneratorExit"),
        ("class E(Exception):\n    __str__ = None\nraise E\n", "E: "),
        ("import gyaku as gy\nx = gy.ones(2) @ gy.ones(3)\n", "line 2"),
    ],
)
def test_a_program_that_fails_is_one_message(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.py").write_text(text)
    result = run(tmp_path / "bad.py")
    assert result.exit_code == 2 and said in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize("ending", ["svg", "html", "tex", "dot"])
def test_a_picture(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    result = run(*SQUARE, "--save", path)
    assert result.exit_code == 0 and path.stat().st_size > 200 and str(path) in result.stderr.replace("\n", "")


PIECES = [
    *"abxy()[]{}+-*/^@.,;=:_'\\ \n09e%&|~<>!#ŷ²πあ\x00",
    "**",
    "sin",
    "exp(",
    ".T",
    "lambda ",
    "1e999",
    "1j",
    "None",
    "for ",
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text_is_a_formula_or_a_message(text: str) -> None:
    try:
        formula = parse(text)
        with np.errstate(all="ignore"):
            compute(formula, {name: value_of(name, "2").requires_grad_() for name in formula.inputs})
    except GyakuError as error:
        assert str(error)


def test_parsing() -> None:
    assert parse("s = a*x; t = s - y; t**2").inner == ("s", "t") and parse("π*x + e").inputs == ("π", "x", "e")
    result, inner = compute(parse("x² · 2 − 1"), {"x": value_of("x", "3").requires_grad_()})
    assert result.item() == 17.0 and list(inner) == ["s", "t", "z"]
    assert value_of("x", "-1.5e3").item() == -1500.0 and value_of("x", "1/4").item() == 0.25
    assert value_of("W", "[[1, -2], [3, 4]]").shape == (2, 2)
    with pytest.raises(UnknownNameError):
        parse("foo(1)")
    with pytest.raises(ArgumentError):
        parse("s = 1; s = 2; s")
