"""LaTeX: symbols, balanced brackets, and only macros that LaTeX with amsmath knows."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from tests.explain.test_formula import FORMULAS

import gyaku as gy
from gyaku import nn
from gyaku.explain.build import explain
from gyaku.explain.formula import Call, Sym, call
from gyaku.explain.latex import decimal_latex, latex, name_latex

KNOWN = set(
    r"frac partial left right cdot times sqrt log sin cos tan tanh sinh cosh arcsin arccos arctan max min operatorname "
    r"mathrm hat bar tilde delta alpha beta gamma pi sum top odot mathbf text begin end approx infty paragraph surd "
    r"leftarrow to ne ge le checkmark usepackage documentclass textbackslash textasciicircum textasciitilde ".split()
)
a, x, y, u, yh = (Sym(c) for c in ("a", "x", "y", "u", "ŷ"))


def well_formed(code: str) -> None:
    """Assert that braces, ``\\left``/``\\right`` and environments close in order, and every macro is known."""
    open_, escaped = [], False
    for c in code:
        if escaped:
            escaped = False
        elif c == "\\":
            escaped = True
        elif c == "{":
            open_.append(c)
        elif c == "}":
            assert open_, code
            open_.pop()
    assert not open_, code
    assert len(re.findall(r"\\left[(|]", code)) == len(re.findall(r"\\right[)|]", code))
    stack: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{([\w*]+)\}", code):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack and stack.pop() == name
    assert not stack
    assert set(re.findall(r"\\([A-Za-z]+)", code)) <= KNOWN, set(re.findall(r"\\([A-Za-z]+)", code)) - KNOWN
    assert code.isascii() or all(ord(c) > 0x2FFF or c in "≈" for c in code if not c.isascii()), code


@pytest.mark.parametrize(
    ("formula", "code"),
    [
        (2 * (a * x - y) * x, r"2 x \left(a x - y\right)"),
        (u * (1 - u), r"u \left(1 - u\right)"),
        ((1 - y) / (1 - yh), r"\frac{1 - y}{1 - \hat{y}}"),
        (call("exp", -x), "e^{-x}"),
        (1 / call("sqrt", x), r"\frac{1}{\sqrt{x}}"),
        (x**2 / 3, r"\frac{{x}^{2}}{3}"),
        (call("abs", x), r"\left|x\right|"),
        (call("gt", x, 0) * 2, "2 [x > 0]"),
        (Call("matmul", (Call("transpose", (Sym("X"),)), Sym("G"))), r"{X}^{\top} G"),
    ],
)  # fmt: skip
def test_formulas(formula: Any, code: str) -> None:
    assert latex(formula) == code
    well_formed(code)


@pytest.mark.parametrize(
    ("name", "code"),
    [("x", "x"), ("ŷ", r"\hat{y}"), ("y_hat", r"\hat{y}"), ("W1", "W_{1}"), ("x_12", "x_{12}"), ("alpha", r"\alpha"),
     ("δ", r"\delta"), ("0.weight", r"\mathrm{0.weight}"), ("my_loss", r"\mathrm{my\_loss}")],
)  # fmt: skip
def test_names(name: str, code: str) -> None:
    assert name_latex(name) == code


def test_powers_of_ten() -> None:
    assert decimal_latex("-1.5e-07") == r"-1.5 \times 10^{-7}" and decimal_latex("3") == "3"


@settings(max_examples=100, deadline=None)
@given(FORMULAS)
def test_any_formula_is_well_formed(e: Any) -> None:
    well_formed(latex(e))


def derivations() -> list[Any]:
    a, x, y = (gy.tensor(v, requires_grad=True) for v in (2.0, 3.0, 1.0))
    s = a * x
    z = (s - y) ** 2 + gy.exp(-s) / x
    gy.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2))
    E = nn.CrossEntropyLoss()(model(gy.randn(1, 2)), gy.tensor([1]))
    X, W = gy.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True), gy.tensor([[1.0], [-1.0]], requires_grad=True)
    return [explain(z), explain(E, fold=False), explain(((X @ W) ** 2).sum())]


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("i", range(3))
def test_a_derivation_is_well_formed(i: int, lang: str) -> None:
    found = derivations()[i].derivation(lang=lang)
    well_formed(found.latex())
    assert found.latex().count(r"\begin{align*}") >= 1
    note = found._repr_markdown_()
    assert note.count(r"$$\begin{aligned}") == note.count(r"\end{aligned}$$") == found.latex().count(r"\begin{align*}")
    whole = found.latex(document=True)
    assert whole.rstrip().endswith(r"\end{document}") and r"\usepackage{amsmath}" in whole


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_it_compiles(tmp_path: Path) -> None:
    for i, found in enumerate(derivations()):
        (tmp_path / f"{i}.tex").write_text(found.derivation(lang="en").latex(document=True), encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{i}.tex"]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60).returncode == 0
