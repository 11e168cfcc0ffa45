"""Formulas: tidied as they are built, written as a lecturer would, read back to the same number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.explain.reading_back import number_of

from gyaku.base.errors import DtypeError
from gyaku.core.op import REGISTRY
from gyaku.explain.formula import Call, Num, Sym, as_expr, call, power, substitute, symbols
from gyaku.explain.formula_read import Formulas, Symbolic, Unreadable, evaluate, read_backward, read_forward
from gyaku.explain.formula_text import text

a, b, t, u, x, y, s, yh = (Sym(c) for c in ("a", "b", "t", "u", "x", "y", "s", "ŷ"))
loss, lr = Sym("loss"), Sym("lr")
VALUES = {"a": 2.0, "b": -0.75, "t": 0.25, "u": 0.6, "x": 3.0, "y": 1.5, "s": 0.4, "ŷ": 0.7, "loss": 5.0, "lr": 0.1}


@pytest.mark.parametrize(
    ("formula", "written"),
    [
        (2 * (a * x - y) * x, "2x(ax - y)"),
        (u * (1 - u), "u(1 - u)"),
        (yh - y, "ŷ - y"),
        (1 * x + 0 * a, "x"),
        (-1 * -x, "x"),
        (x * x, "x²"),
        (x * x / x, "x"),
        (x + x + a - a, "2x"),
        (-(u - t), "t - u"),
        (-1 / (1 + s) ** 2, "-1/(1 + s)²"),
        (-call("exp", -x), "-e^(-x)"),
        (call("exp", x) * call("exp", -x), "1"),
        (call("log", call("exp", x)), "x"),
        (y * call("log", yh), "y log(ŷ)"),
        (3 * call("log", yh) * (1 - u), "3(1 - u) log(ŷ)"),
        (x / 2, "x/2"), (0.1 * x, "0.1x"), (x / 3, "x/3"), (2 * x / 3, "2x/3"),
        (a / (x * y), "a/(xy)"),
        ((a + 1) / (x * y), "(1 + a)/(xy)"),
        (2 * a + 1, "2a + 1"),
        (1 / call("sqrt", x), "1/√x"),
        (call("sqrt", x) * call("sqrt", x), "x"),
        (x**a, "x^a"),
        (a * x ** (a - 1), "a x^(a - 1)"),
        (2 * loss * lr, "2 loss lr"),
        (call("gt", x, 0) * 2, "2 [x > 0]"),
        (call("where", call("gt", x, 0), x, 0.1 * x), "(x if x > 0 else 0.1x)"),
        (call("where", call("gt", x, 0), y, 0), "y [x > 0]"),
        (call("maximum", x, 0), "max(x, 0)"),
        (call("abs", x - y), "|x - y|"),
        (x - (y - a), "x - y + a"),
        (x * (-y), "-xy"),
        ((x - y) / 2, "(x - y)/2"),
        (power(8, as_expr(1) / 3), "2"),
        (2 * Sym("0.weight"), "2 · 0.weight"),
    ],
)  # fmt: skip
def test_formulas_are_written_as_a_lecturer_would(formula: Any, written: str) -> None:
    assert text(formula) == written
    if "0.weight" not in written:
        assert number_of(written, VALUES) == pytest.approx(float(evaluate(formula, VALUES)))


def test_equal_formulas_are_equal_in_any_order() -> None:
    assert a * x - y == -y + x * a and hash(a * x) == hash(x * a)
    assert a - x != x - a and Num(1.0) == as_expr(1) and x != "x"  # type: ignore[comparison-overlap]


def test_numbers_are_exact() -> None:
    assert as_expr(0.1) * 3 == as_expr(0.3) and text(as_expr(1) / 3) == "1/3"
    assert text(as_expr(math.log(2))) == "log(2)" and text(as_expr(math.inf)) == "∞"
    with pytest.raises(DtypeError):
        as_expr("x")


def test_symbols_and_substitution() -> None:
    assert symbols(y * (a + x) ** 2 + a) == [y, a, x]
    assert substitute(t**2, {t: a * x - y}) == (a * x - y) ** 2
    assert substitute(call("log", u), {u: call("exp", x)}) == x


ATOMS = (
    st.sampled_from([a, b, t, u, x, y])
    | st.integers(-3, 5).map(as_expr)
    | st.sampled_from([0.5, 0.1, 1.25]).map(as_expr)
)


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        pairs.map(lambda p: p[0] + p[1]), pairs.map(lambda p: p[0] - p[1]), pairs.map(lambda p: p[0] * p[1]),
        pairs.map(lambda p: p[0] / p[1]), inner.map(lambda e: -e), inner.map(lambda e: e**2),
        inner.map(lambda e: e**-1),
        inner.map(lambda e: call("exp", e)), inner.map(lambda e: call("sin", e)),
        inner.map(lambda e: call("sigmoid", e)),
        pairs.map(lambda p: call("where", call("gt", p[0], p[1]), *p)), pairs.map(lambda p: call("maximum", *p)),
        inner.map(lambda e: call("sqrt", call("abs", e))),
    )  # fmt: skip


FORMULAS = st.recursive(ATOMS, _combined, max_leaves=8)


@settings(max_examples=150, deadline=None)
@given(FORMULAS)
def test_what_is_printed_reads_back_to_the_same_number(e: Any) -> None:
    with np.errstate(all="ignore"):
        value = float(evaluate(e, VALUES))
    if not (math.isfinite(value) and 1e-9 < abs(value) < 1e9):
        return
    try:
        again = number_of(text(e), VALUES)
    except (OverflowError, ZeroDivisionError):
        return
    assert again == pytest.approx(value, rel=1e-6), text(e)


# --- reading operations ---


def _read(name: str, *static: Any, inputs: int = 1, values: Any = None) -> tuple[Any, list[Any]]:
    op, space = REGISTRY[name](*static), Formulas(values)
    given_inputs = [Symbolic(space, Sym(c)) for c in "xab"[:inputs]]
    backward = read_backward(op, given_inputs, Symbolic(space, y), Symbolic(space, as_expr(1)), [True] * inputs, space)
    return read_forward(op, given_inputs, space), [g.expr for g in backward if g is not None]


@pytest.mark.parametrize(
    ("op", "static", "inputs", "forward", "backward"),
    [
        ("square", (), 1, "x²", ["2x"]),
        ("exp", (), 1, "e^x", ["y"]),
        ("log", (), 1, "log(x)", ["1/x"]),
        ("sqrt", (), 1, "√x", ["1/(2y)"]),
        ("sigmoid", (), 1, "sigmoid(x)", ["y(1 - y)"]),
        ("tanh", (), 1, "tanh(x)", ["1 - y²"]),
        ("relu", (), 1, "max(x, 0)", ["[y > 0]"]),
        ("silu", (), 1, "x sigmoid(x)", ["(1 + x(1 - sigmoid(x))) sigmoid(x)"]),
        ("log_sigmoid", (), 1, "-softplus(-x)", ["1 - e^y"]),
        ("erf", (), 1, "erf(x)", ["2 e^(-x²)/√π"]),
        ("leaky_relu", (0.1,), 1, "(x if x > 0 else 0.1x)", ["(1 if x > 0 else 0.1)"]),
        ("mul", (), 2, "xa", ["a", "x"]),
        ("div", (), 2, "x/a", ["1/a", "-y/a"]),
        ("pow", (), 2, "x^a", ["a x^(a - 1)", "y log(x)"]),
        ("maximum", (), 2, "max(x, a)", ["[x > a]", "[x < a]"]),
        ("mse", ("mean",), 2, "(x - a)²", ["2(x - a)", "-2(x - a)"]),
    ],
)  # fmt: skip
def test_an_operations_own_rules_are_read(op: str, static: Any, inputs: int, forward: str, backward: list[str]) -> None:
    value, gradients = _read(op, *static, inputs=inputs)
    assert text(value) == forward and [text(g) for g in gradients] == backward


def test_a_tie_is_told_by_the_numbers() -> None:
    assert [text(g) for g in _read("maximum", inputs=2, values={"x": 1.0, "a": 1.0})[1]] == [
        "1/2 + [x > a]", "1/2 + [x < a]",
    ]  # fmt: skip


SCALAR_OPS = [
    name for name, cls in sorted(REGISTRY.items())
    if cls.differentiable and len(cls.arguments) == 1 and not cls.fields and cls.__module__.startswith("gyaku.ops.")
]  # fmt: skip


@pytest.mark.parametrize("name", SCALAR_OPS)
def test_every_readable_rule_has_the_operations_numbers(name: str) -> None:
    op = REGISTRY[name]()
    for value in (0.37, 0.9, -0.61):
        try:
            with np.errstate(all="ignore"):
                y_value = float(op.forward(_numpy(), np.array(value)))
                saved = tuple(np.array({"x": value, "y": y_value}[k]) for k, _ in op._codes)
                slope = float(op.backward(_numpy(), saved, np.array(1.0), (True,)))
            forward, (backward,) = _read(name)
        except (Unreadable, TypeError, ValueError, KeyError):
            continue
        values = {"x": value, "y": y_value}
        with np.errstate(all="ignore"):
            assert float(evaluate(forward, values)) == pytest.approx(y_value, rel=1e-9, nan_ok=True)
            assert float(evaluate(backward, values)) == pytest.approx(slope, rel=1e-9, nan_ok=True)


def _numpy() -> Any:
    from gyaku.backend.namespace import numpy_namespace

    return numpy_namespace


def test_matrix_rules_are_read_with_shapes() -> None:
    space = Formulas()
    X, W, b_ = (Symbolic(space, Sym(c), n) for c, n in (("X", (2, 3)), ("W", (4, 3)), ("b", (4,))))
    Y, G = Symbolic(space, Sym("Y"), (2, 4)), Symbolic(space, Sym("G"), (2, 4))
    found = read_backward(REGISTRY["linear"](), [X, W, b_], Y, G, [True] * 3, space)
    assert [text(g.expr) for g in found if g is not None] == ["G W", "Gᵀ X", "sum(G, axis 0)"]
    assert [g.shape for g in found if g is not None] == [(2, 3), (4, 3), (4,)]
    added = read_backward(REGISTRY["add"](), [Y, b_], Y, G, [True, True], space)
    assert [text(g.expr) for g in added if g is not None] == ["G", "sum(G, axis 0)"]
    softmax = read_backward(REGISTRY["softmax"](1), [Y], Y, G, [True], space)
    assert text(softmax[0].expr, {"Y", "G"}) == "Y ⊙ (G - sum(G ⊙ Y, axis 1))"  # type: ignore[union-attr]


def test_what_cannot_be_written_says_so() -> None:
    space = Formulas()
    with pytest.raises(Unreadable):
        read_forward(REGISTRY["sort"](-1, False), [Symbolic(space, x, (3,))], space)
    assert isinstance(Call("sin", (x,)), Call)
