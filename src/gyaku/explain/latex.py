"""Formulas as LaTeX, and how names become symbols: ``x1`` is x₁, ``yhat`` is ŷ, ``delta`` is δ."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from gyaku.explain.formula import Call, Expr, Num, Number, Sym
from gyaku.explain.formula_text import ATOM, FACTOR, PRODUCT, SUM, Text, by_channel, number_text

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
).split()
_LETTERS = dict(zip("αβγδεζηθικλμνξπρστφχψω", _GREEK[:24]))
_MARKS = {"\u0302": "hat", "\u0304": "bar", "\u0303": "tilde"}
_SPECIAL = {"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "~": r"\sim ",
            "^": r"\wedge ", "\\": r"\backslash "}  # fmt: skip
_UNDER = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_KNOWN = {"log", "sin", "cos", "tan", "tanh", "sinh", "cosh", "arcsin", "arccos", "arctan", "max", "min"}
_COMPARE = {"gt": ">", "ge": r"\ge", "lt": "<", "le": r"\le", "eq": "=", "ne": r"\ne"}
_HAT = re.compile(r"^(\w)_?(hat|bar|tilde)$")
_NUMBERED = re.compile(r"^(.*?\D)_?(\d+)$")


def name_latex(name: str) -> str:
    """Return a name as a symbol of LaTeX.

    >>> name_latex("yhat"), name_latex("W1"), name_latex("0.weight"), name_latex("delta")
    ('\\\\hat{y}', 'W_{1}', '\\\\mathrm{0.weight}', '\\\\delta')
    """
    plain = name.translate(_UNDER)
    if match := _HAT.match(plain):
        return rf"\{match[2]}{{{match[1]}}}"
    if plain in _GREEK:
        return rf"\{plain}"
    if len(plain) == 1:
        return _letter(plain)
    if match := _NUMBERED.match(plain):
        return f"{name_latex(match[1])}_{{{match[2]}}}" if "." not in plain else _upright(plain)
    return _upright(plain)


def _letter(c: str) -> str:
    import unicodedata

    if c in _LETTERS:
        return rf"\{_LETTERS[c]}"
    parts = unicodedata.normalize("NFD", c)
    return rf"\{_MARKS[parts[1]]}{{{parts[0]}}}" if len(parts) == 2 and parts[1] in _MARKS else _SPECIAL.get(c, c)


def _upright(text: str) -> str:
    return rf"\mathrm{{{''.join(_SPECIAL.get(c, c) for c in text)}}}"


class Latex(Text):
    """Writes formulas in LaTeX's mathematics."""

    times = r" \odot "

    def brackets(self, text: str) -> str:
        """Return text in brackets that grow."""
        return rf"\left({text}\right)"

    def number(self, value: Number) -> str:
        """Return a number; powers of ten and fractions in LaTeX's way."""
        text = number_text(value).replace("∞", r"\infty").replace("NaN", r"\mathrm{NaN}")
        if match := re.match(r"^(-?)(\d+)/(\d+)$", text):
            return rf"{match[1]}\frac{{{match[2]}}}{{{match[3]}}}"
        return decimal_latex(text)

    def symbol(self, e: Sym) -> str:
        """Return a symbol."""
        return e.latex or name_latex(e.name)

    def between(self, before: Expr, after: Expr, left: str, right: str) -> str:
        """Return what stands between two factors."""
        if self.is_array(before) and self.is_array(after):
            return self.times
        if right[0].isdigit() or (isinstance(before, Num) and right.startswith(r"\frac")):
            return r" \cdot "
        wide = any(isinstance(e, Sym) and r"\mathrm" in self.symbol(e) for e in (before, after))
        return r" \, " if wide or isinstance(before, Call) else " "

    def quotient(self, above: str, below: str, one: bool) -> str:
        """Return a fraction."""
        above = above.removeprefix(r"\left(").removesuffix(r"\right)") if _one_bracket(above) else above
        below = below.removeprefix(r"\left(").removesuffix(r"\right)") if _one_bracket(below) else below
        return rf"\frac{{{above}}}{{{below}}}"

    def root(self, base: Expr) -> str:
        """Return the square root."""
        return rf"\sqrt{{{self.of(base)}}}"

    def power(self, base: Expr, exponent: Expr) -> str:
        """Return base^{exponent}."""
        return f"{{{self.of(base, ATOM)}}}^{{{self.of(exponent)}}}"

    def call(self, e: Call) -> tuple[str, int]:
        """Return a function of its arguments, and how tightly it binds."""
        args = [self.of(a) for a in e.args]
        if e.name in _COMPARE:
            return rf"[{args[0]} {_COMPARE[e.name]} {args[1]}]", ATOM
        if e.name == "exp":
            return f"e^{{{args[0]}}}", FACTOR
        if e.name == "abs":
            return rf"\left|{args[0]}\right|", ATOM
        if e.name == "where":
            condition = args[0].removeprefix("[").removesuffix("]")
            return rf"\begin{{cases}}{args[1]} & {condition} \\ {args[2]} & \text{{else}}\end{{cases}}", SUM
        if e.name == "matmul":
            return f"{self.of(e.args[0], FACTOR)} {self.of(e.args[1], ATOM)}", FACTOR
        if e.name == "transpose":
            return rf"{{{self.of(e.args[0], ATOM)}}}^{{\top}}", ATOM
        if e.name == "reshape" and by_channel(e):
            return self.of(e.args[0], ATOM), ATOM
        if e.name in ("ones", "reshape"):
            return self._shaped(e, args)
        if e.name == "sum":
            return self._sum_over(e, args[0]), ATOM
        return self._function(e, args)

    def _shaped(self, e: Call, args: list[str]) -> tuple[str, int]:
        shape = r" \times ".join(map(str, e.static))
        return (rf"\mathbf{{1}}_{{{shape}}}", ATOM) if e.name == "ones" else (rf"{{{args[0]}}}_{{{shape}}}", PRODUCT)

    def _sum_over(self, e: Call, text: str) -> str:
        axis = e.static[0] if e.static else None
        below = "" if axis is None else rf"_{{\text{{axis }}{str(axis).strip('()')}}}"
        return rf"\operatorname{{sum}}{below}\left({text}\right)"

    def _function(self, e: Call, args: list[str]) -> tuple[str, int]:
        name = _SPOKEN.get(e.name, e.name)
        head = rf"\{name}" if name in _KNOWN else rf"\operatorname{{{name.replace('_', ' ')}}}"
        return rf"{head}\left({', '.join(args)}\right)", ATOM


def decimal_latex(text: str) -> str:
    """Return a decimal number as it is written by ``str`` in LaTeX: ``1.2e-07`` is 1.2 × 10⁻⁷.

    >>> decimal_latex("1.2e-07")
    '1.2 \\\\times 10^{-7}'
    """
    if "e" not in text:
        return text
    digits, _, exponent = text.partition("e")
    return rf"{digits} \times 10^{{{int(exponent)}}}"


_SPOKEN = {"maximum": "max", "minimum": "min", "conv_input": "convT", "conv_weight": "corr"}


def _one_bracket(text: str) -> bool:
    """Whether a text is one pair of brackets."""
    if not (text.startswith(r"\left(") and text.endswith(r"\right)")):
        return False
    depth = 0
    for match in re.finditer(r"\\left\(|\\right\)", text):
        depth += 1 if match[0] == r"\left(" else -1
        if depth == 0:
            return match.end() == len(text)
    return False


_LATEX = Latex()


def latex(e: Expr, arrays: Collection[str] = ()) -> str:
    """Return a formula as LaTeX (for mathematics mode).

    >>> latex((1 - Sym("y")) / (1 - Sym("ŷ")))
    '\\\\frac{1 - y}{1 - \\\\hat{y}}'
    """
    return (Latex(arrays) if arrays else _LATEX).of(e)


def matrix_latex(rows: Any) -> str:
    """Return nested lists of texts as a matrix (a vector: one row)."""
    lines = rows if rows and isinstance(rows[0], list) else [rows]
    return r"\begin{pmatrix}" + r" \\ ".join(" & ".join(line) for line in lines) + r"\end{pmatrix}"
