"""The shortest form of a formula: the lecture's six exercises, and equal numbers always."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from tests.explain.test_formula import FORMULAS, VALUES

from gyaku.explain.algebra import inline, normal, shortest
from gyaku.explain.formula import Sym, call, cost
from gyaku.explain.formula_read import evaluate
from gyaku.explain.formula_text import text

a, t, u, v, x, y, zu, zv, yh, s = (Sym(c) for c in ("a", "t", "u", "v", "x", "y", "p", "q", "ŷ", "s"))
E = lambda e: call("exp", e)  # noqa: E731
SIGMOID = 1 / (1 + E(-x))
TWO_WAY = (E(x) / (E(x) + E(y)), E(y) / (E(x) + E(y)))
U, V = TWO_WAY


@pytest.mark.parametrize(
    ("formula", "names", "written"),
    [
        (2 * (a * x - y) * x, [], "2x(ax - y)"),  # 3.3
        (2 * a * a * x - 2 * a * y, [], "2a(ax - y)"),
        (E(-x) / (1 + E(-x)) ** 2, [(u, SIGMOID)], "u(1 - u)"),  # exercise 1
        (-t / u * u * (1 - u) + (1 - t) / (1 - u) * u * (1 - u), [], "u - t"),  # 2
        (E(x) * zu - E(-x) * zv, [], "p e^x - q e^(-x)"),  # 3
        (zu * (U - U**2) - zv * U * V, [(u, U), (v, V)], "uv(p - q)"),  # 4
        (-s / U * (U - U**2) + (1 - s) / V * U * V, [(u, U), (v, V)], "u - s"),  # 5
        (s * zu + t * zv, [], "sp + tq"),  # 6
        ((-y * (1 + s) + (1 - y) * (1 + s) / s) * s / (1 + s) ** 2, [(yh, 1 / (1 + s))], "ŷ - y"),  # 3.4
        (call("log", 1 - SIGMOID) - call("log", SIGMOID), [], "-x"),
        ((x**2 - y**2) / (x - y), [], "x + y"),
        (x / x - 1, [], "0"),
        (call("log", y) * 3 + call("log", y) * x, [], "(3 + x) log(y)"),
    ],
)  # fmt: skip
def test_the_form_of_the_lecture(formula: Any, names: Any, written: str) -> None:
    assert text(shortest(formula, names)) == written


@settings(max_examples=120, deadline=None)
@given(FORMULAS)
def test_the_number_stays(e: Any) -> None:
    found = normal(e)
    with np.errstate(all="ignore"):
        before, after = float(evaluate(e, VALUES)), float(evaluate(found, VALUES))
    assert cost(found) <= cost(e)
    if math.isfinite(before) and 1e-6 < abs(before) < 1e6:
        assert after == pytest.approx(before, rel=1e-5)


def test_a_name_stands_for_its_formula() -> None:
    assert inline(t**2, {t: s - y, s: a * x}) == (a * x - y) ** 2


def test_a_formula_that_would_explode_is_left_as_it_is() -> None:
    names = [Sym(c) for c in "abcdefghij"]
    long = sum(names[1:], names[0]) ** 12  # type: ignore[arg-type]
    assert normal(long) == long
