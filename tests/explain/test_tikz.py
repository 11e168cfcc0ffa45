"""TikZ: balanced, escaped, with the letters of mathematics; Japanese asks for LuaLaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import gyaku as gy
from gyaku.explain import draw
from gyaku.explain.build import explain
from gyaku.explain.draw_text import formula, number, plain
from gyaku.explain.model import Explanation
from gyaku.explain.tikz import latex_line


def graph(name: str = "x") -> Explanation:
    x = gy.tensor(2.0, dtype=gy.float64, requires_grad=True)
    w = gy.tensor(np.arange(40.0).reshape(5, 8), requires_grad=True)
    return explain(((x * w) ** 2).sum(), names={name: x, "w_hat": w}, scope={})


def balanced(text: str) -> bool:
    depth = 0
    for c in re.sub(r"\\[{}]", "", text):
        depth += (c == "{") - (c == "}")
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.parametrize("view", ["forward", "backward", "both"])
def test_a_document_and_a_piece_of_one(view: str) -> None:
    whole, piece = draw.tikz(graph(), view), draw.tikz(graph(), view, document=False)
    assert balanced(whole) and piece in whole and whole.count(r"\begin") == whole.count(r"\end")
    assert r"\begin{document}" in whole and piece.count(r"\begin{tikzpicture}") == 1
    assert all(line.endswith((";", "}", "]", "")) for line in piece.splitlines())


@pytest.mark.parametrize("name", [r"\input{x}", "a_b%c#d$e&f~g^h{i}j", "\\", "損失"])
def test_names_cannot_break_out(name: str) -> None:
    text = draw.tikz(graph(name))
    assert balanced(text) and r"\input" not in text
    assert ("luatexja" in text) == (name == "損失")


@pytest.mark.parametrize(
    ("line", "latex"),
    [
        (formula("∂E/∂x1"), r"$\partial E/\partial x_{1}$"),
        (formula("s = a x"), "$s=a\\ x$"),
        (formula("log(yhat)"), r"$\mathrm{log}(\hat{y})$"),
        (plain(number(-1.5e-7)), r"$-1.5\times 10{}^{-}{}^{7}$"),
        (plain("50 %"), r"$50\ \%$"),
        (formula("θ"), r"$\theta $"),
        (formula("xbar + が"), r"$\bar{x}+\text{が}$"),
    ],
)
def test_lines_as_latex(line: tuple[object, ...], latex: str) -> None:
    assert latex_line(line) == latex  # type: ignore[arg-type]


@pytest.mark.slow
def test_latex_takes_it(tmp_path: Path) -> None:
    if not shutil.which("pdflatex"):
        pytest.skip("needs pdflatex")
    text = draw.tikz(graph("a_b%c#d$e&f~g^h{i}j"), "both", document=False)
    head = r"\documentclass{article}\usepackage{amsmath,tikz}\begin{document}"
    (tmp_path / "a.tex").write_text(f"{head}\n{text}\n\\end{{document}}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout[-2000:]
