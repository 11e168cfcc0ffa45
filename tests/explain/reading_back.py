"""A reader of printed formulas, written apart from the printer: text such as ``2x(ax - y)`` becomes its number."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_FUNCTIONS: dict[str, Any] = {
    "log": math.log, "log2": math.log2, "log10": math.log10,
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "tanh": math.tanh, "sinh": math.sinh,
    "cosh": math.cosh, "asin": math.asin, "acos": math.acos, "atan": math.atan, "erf": math.erf, "max": max, "min": min,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "softplus": lambda x: math.log1p(math.exp(x)),
    "sign": lambda x: (x > 0) - (x < 0), "floor": math.floor,
}  # fmt: skip
_COMPARE = {">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b, "!=": lambda a, b: a != b,
            ">": lambda a, b: a > b, "<": lambda a, b: a < b, "=": lambda a, b: a == b}  # fmt: skip


def number_of(text: str, values: Mapping[str, float]) -> float:
    """Return the value of a printed formula; ``values`` gives the symbols (longest name first)."""
    reader = _Reader(text, values)
    value = reader.sum()
    assert reader.rest == "", f"cannot read {reader.rest!r} of {text!r}"
    return value


class _Reader:
    def __init__(self, text: str, values: Mapping[str, float]) -> None:
        self.rest = text.strip()
        self.values = {"π": math.pi, **values}
        self.names = sorted(self.values, key=len, reverse=True)

    def take(self, *signs: str) -> str:
        for sign in signs:
            if self.rest.startswith(sign):
                self.rest = self.rest[len(sign) :]
                return sign
        return ""

    def sum(self) -> float:
        value = self.product()
        while sign := self.take(" + ", " - "):
            other = self.product()
            value = value + other if sign == " + " else value - other
        return value

    def product(self) -> float:
        sign = -1.0 if self.take("-") else 1.0
        value = self.factor()
        while self.rest and not self.rest.startswith(
            (" + ", " - ", ")", "]", ",", "|", " if", " else", *[f" {c}" for c in _COMPARE])
        ):
            if self.take(" · ", " "):
                value *= -self.factor() if self.take("-") else self.factor()
            elif self.take("/"):
                value /= self.factor()
            else:
                value *= self.factor()
        return sign * value

    def factor(self) -> float:
        base = self.atom()
        if raised := re.match("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", self.rest):
            self.rest = self.rest[raised.end() :]
            return base ** int(raised[0].translate(_RAISED))
        if self.take("^"):
            return base ** (-self.atom() if self.take("-") else self.atom())
        return base

    def atom(self) -> float:
        if self.take("("):
            value = self.sum()
            if self.take(" if "):
                holds = self.comparison()
                assert self.take(" else ")
                other = self.sum()
                value = value if holds else other
            assert self.take(")"), self.rest
            return value
        if self.take("["):
            holds = self.comparison()
            assert self.take("]")
            return float(holds)
        if self.take("|"):
            value = abs(self.sum())
            assert self.take("|")
            return value
        if self.take("√"):
            return math.sqrt(self.atom())
        if name := self.take(*[f"{f}(" for f in _FUNCTIONS]):
            return self.call(name)
        if name := next((n for n in self.names if self.rest.startswith(n)), ""):
            self.rest = self.rest[len(name) :]
            return self.values[name]
        if self.rest.startswith("e^"):
            self.rest = self.rest[1:]
            assert self.take("^")
            return math.exp(self.atom())
        if found := re.match(r"\d+(\.\d+)?(e[-+]\d+)?", self.rest):
            self.rest = self.rest[found.end() :]
            return float(found[0])
        raise AssertionError(f"cannot read {self.rest!r}")

    def call(self, name: str) -> float:
        arguments = [self.sum()]
        while self.take(", "):
            arguments.append(self.sum())
        assert self.take(")")
        return float(_FUNCTIONS[name[:-1]](*arguments))

    def comparison(self) -> bool:
        left = self.sum()
        sign = self.take(*[f" {c} " for c in _COMPARE])
        return bool(_COMPARE[sign.strip()](left, self.sum()))
