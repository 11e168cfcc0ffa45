"""Formulas as plain text: ``2a(ax - y)``, ``u(1 - u)``, ``-(1 - y)/(1 - ŷ)``, ``e^(-x)``, ``Xᵀ ∂E/∂Y``."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Any

from gyaku.explain.formula import Call, Expr, Num, Number, Power, Product, Sum, Sym, coefficient, mul, power

SUM, PRODUCT, FACTOR, ATOM = range(4)  # how tightly the outermost sign of a text binds
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
COMPARE = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "=", "ne": "!="}
SPOKEN = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "maximum": "max", "minimum": "min",
          "conv_input": "convT", "conv_weight": "corr"}  # fmt: skip


class Text:
    """Writes formulas; what differs between plain text and LaTeX is in the methods, the order of things is not.

    ``arrays`` names the symbols that are arrays: between two of them stands ⊙, so that nobody reads a matrix product.
    """

    times = " ⊙ "

    def __init__(self, arrays: Collection[str] = ()) -> None:
        self.arrays = frozenset(arrays)

    def is_array(self, e: Expr) -> bool:
        """Whether a formula stands for an array (full sums are numbers)."""
        if isinstance(e, Sym):
            return e.name in self.arrays
        if isinstance(e, Call) and e.name == "ones":
            return True
        if isinstance(e, Call) and e.name == "sum" and e.static[:1] == (None,):
            return False
        return bool(self.arrays) and any(self.is_array(p) for p in e.parts)

    def of(self, e: Expr, level: int = SUM) -> str:
        """Return a formula, in brackets when its outermost sign binds less tightly than ``level``."""
        text, own = self._written(e)
        return text if own >= level else self.brackets(text)

    def _written(self, e: Expr) -> tuple[str, int]:
        if isinstance(e, Num):
            return self.number(e.value), _level_of(e.value)
        if isinstance(e, Sym):
            return self.symbol(e), PRODUCT if e.name.startswith("-") else ATOM
        if isinstance(e, Sum):
            return self._sum(e), SUM
        if isinstance(e, Call):
            return self.call(e)
        return self._product(e)

    def _sum(self, e: Sum) -> str:
        """Return the terms, one without a minus first if there is one."""
        terms = sorted(e.terms, key=_negative) if _negative(e.terms[0]) else list(e.terms)
        terms = sorted(terms, key=lambda t: not _first_number(t)) if all(map(_simple, terms)) else terms
        out = self.of(terms[0])
        for term in terms[1:]:
            text = self.of(mul(-1, term), PRODUCT) if _negative(term) else self.of(term)
            out += f" {'-' if _negative(term) else '+'} {self.brackets(text) if text.startswith('-') else text}"
        return out

    def _product(self, e: Expr) -> tuple[str, int]:
        """Return a product, a power or a quotient of two products."""
        number: Number = e.number if isinstance(e, Product) else Fraction(1)
        factors = e.factors if isinstance(e, Product) else (e,)
        above = [f for f in factors if not _below(f)]
        below = [power(f.base, mul(-1, f.exponent)) for f in factors if isinstance(f, Power) and _below(f)]
        sign = "-" if number < 0 else ""
        first, second = _split(-number if sign else number, bool(below))
        if not below and second == 1:
            if len(above) == 1 and first == 1:
                text, own = self._powered(above[0])
                return (sign + (text if own >= FACTOR else self.brackets(text)), PRODUCT) if sign else (text, own)
            return sign + self.joined(first, above), PRODUCT
        one = len(below) + (second != 1) == 1
        return sign + self.quotient(self.joined(first, above), self.joined(second, below), one), PRODUCT

    def _powered(self, e: Expr) -> tuple[str, int]:
        if not isinstance(e, Power):
            return self._written(e)
        if isinstance(e.exponent, Num) and e.exponent.value == Fraction(1, 2):
            return self.root(e.base), FACTOR
        return self.power(e.base, e.exponent), FACTOR

    def joined(self, number: Number, factors: Sequence[Expr]) -> str:
        """Return a number and factors side by side: symbols before sums before functions."""
        ordered = sorted(factors, key=lambda f: f.kind)
        texts = [self._powered(f) for f in ordered]
        if not texts:
            return self.number(number)
        parts: list[tuple[str, Expr]] = [] if number == 1 else [(self.number(number), Num(number))]
        for (text, own), factor in zip(texts, ordered):
            bare = own >= FACTOR and not (parts and isinstance(factor, Sym) and _numeric(factor.name))
            parts.append((text if bare else self.brackets(text), factor))
        out, before = parts[0]
        for text, factor in parts[1:]:
            out += self.between(before, factor, out, text) + text
            before = factor
        return out

    # -- what looks different in LaTeX -----------------------------------------------------------------------------
    def brackets(self, text: str) -> str:
        """Return text in brackets."""
        return f"({text})"

    def number(self, value: Number) -> str:
        """Return a number: whole, a short decimal, or a fraction."""
        return number_text(value)

    def symbol(self, e: Sym) -> str:
        """Return a symbol."""
        return e.name

    def between(self, before: Expr, after: Expr, left: str, right: str) -> str:
        """Return what stands between two factors: nothing where nobody can misread it."""
        if self.is_array(before) and self.is_array(after):
            return self.times
        if right.startswith("(") and (
            _numeric(left.split()[-1]) or left[-1] == ")" or _letter(before) or not isinstance(before, (Call, Sym))
        ):
            return ""
        if right[0].isdigit():
            return " · "
        if isinstance(before, Num):
            return "" if _letter(after) or right[0] == "√" else " · " if right[0] == "∂" else " "
        if _letter(before) and _letter(after):
            return ""
        return " "

    def quotient(self, above: str, below: str, one: bool) -> str:
        """Return a quotient; what stands below is in brackets unless it is ``one`` factor."""
        above = self.brackets(above) if "∂" in above and not above.startswith("(") else above  # (∂E/∂x)/2
        return f"{above}/{below if one else f'({below})'}"

    def root(self, base: Expr) -> str:
        """Return the square root."""
        return f"√{self.of(base, ATOM)}"

    def power(self, base: Expr, exponent: Expr) -> str:
        """Return base^exponent, with raised digits where there are such."""
        under = self.of(base, ATOM)
        if isinstance(exponent, Num) and isinstance(exponent.value, Fraction) and exponent.value.denominator == 1:
            digits = str(exponent.value.numerator)
            return under + digits.translate(_SUPERSCRIPT) if digits.isdigit() else f"{under}^({digits})"
        return f"{under}^{self.of(exponent, ATOM)}"

    def call(self, e: Call) -> tuple[str, int]:
        """Return a function of its arguments, and how tightly it binds."""
        args = [self.of(a) for a in e.args]
        if e.name in COMPARE:
            return f"[{args[0]} {COMPARE[e.name]} {args[1]}]", ATOM
        if e.name == "exp":
            return f"e^{self.of(e.args[0], ATOM)}", FACTOR
        if e.name == "abs":
            return f"|{args[0]}|", ATOM
        if e.name == "where":
            return f"({args[1]} if {args[0].strip('[]')} else {args[2]})", ATOM
        if e.name == "matmul":
            return f"{self.of(e.args[0], FACTOR)} {self.of(e.args[1], ATOM)}", FACTOR
        if e.name == "transpose":
            text = self.of(e.args[0], ATOM)
            return f"{self.brackets(text) if '/' in text and text[0] != '(' else text}ᵀ", ATOM
        if e.name == "sum":
            return self._sum_over(e, args[0]), ATOM
        if e.name == "ones":
            return f"ones({'×'.join(map(str, e.static))})", ATOM
        if e.name == "reshape" and by_channel(e):
            return self.of(e.args[0], ATOM), ATOM
        if e.name == "reshape":
            return f"reshape({args[0]}, {'×'.join(map(str, e.static))})", ATOM
        return f"{SPOKEN.get(e.name, e.name)}({', '.join(args)})", ATOM

    def _sum_over(self, e: Call, text: str) -> str:
        axis = e.static[0] if e.static else None
        return f"sum({text})" if axis is None else f"sum({text}, axis {_axes(axis)})"


def by_channel(e: Call) -> bool:
    """Whether a reshape only lays a bias along the channels: conv(x, W) + b is written without it."""
    return isinstance(e.args[0], Sym) and len(e.static) > 2 and all(n == 1 for n in e.static[1:])


def _axes(axis: Any) -> str:
    return ", ".join(map(str, axis)) if isinstance(axis, tuple) else str(axis)


def _level_of(value: Number) -> int:
    return PRODUCT if value < 0 or (isinstance(value, Fraction) and "/" in number_text(value)) else ATOM


def _negative(e: Expr) -> bool:
    return (isinstance(e, Num) and e.value < 0) or (isinstance(e, Product) and e.number < 0)


def _simple(e: Expr) -> bool:
    """Whether a term is a number, a symbol or a function, plus or minus: 1 + s, but x² + 1 and 2x + 1."""
    number, rest = coefficient(e)
    return isinstance(e, Num) or (abs(number) == 1 and isinstance(rest, (Sym, Call)))


def _first_number(e: Expr) -> bool:
    return isinstance(e, Num) and e.value > 0


def _below(e: Expr) -> bool:
    return isinstance(e, Power) and isinstance(e.exponent, Num) and e.exponent.value < 0


def _split(number: Number, quotient: bool) -> tuple[Number, Number]:
    """Return what of a number stands above and below the line; a short decimal stays above."""
    if isinstance(number, float) or number.denominator == 1 or _decimal(number):
        return number, 1
    return Fraction(number.numerator), Fraction(number.denominator)


def _decimal(value: Fraction) -> str:
    """Return a short decimal number for fractions of at least tenths, else ''."""
    if value.denominator < 10:
        return ""
    text = f"{float(value):.12g}"
    return text if Fraction(text) == value else ""


def number_text(value: Number) -> str:
    """Return a number: ``3``, ``0.35``, ``1/3``; one that is none of these with twelve digits."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if value.denominator == 1:
        return str(value.numerator)
    if (short := _decimal(value)) or value.denominator >= 1000:
        return short or f"{float(value):.12g}"
    return f"{value.numerator}/{value.denominator}"


def _base(e: Expr) -> Expr:
    return e.base if isinstance(e, Power) else e


def _numeric(name: str) -> bool:
    """Whether a symbol is a number put in its place."""
    return (
        name.lstrip("-")[:1].isdigit()
        and name.lstrip("-").replace(".", "").replace("e-", "").replace("e+", "").isdigit()
    )


def _letter(e: Expr) -> bool:
    """Whether a factor is one letter (with marks that take no room), perhaps with a whole power."""
    base = _base(e)
    whole = not isinstance(e, Power) or (isinstance(e.exponent, Num) and e.exponent.value == int(e.exponent.value))
    return isinstance(base, Sym) and len(base.name) == 1 and not base.name.isdigit() and whole


_TEXT = Text()


def text(e: Expr, arrays: Collection[str] = ()) -> str:
    """Return a formula as plain text; ``arrays`` names the symbols that are arrays.

    >>> from gyaku.explain.formula import Sym
    >>> a, x, y = map(Sym, "axy")
    >>> text(2 * (a * x - y) * x)
    '2x(ax - y)'
    """
    return (Text(arrays) if arrays else _TEXT).of(e)
