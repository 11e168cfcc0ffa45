"""Derivations: every formula and every equation that is printed is evaluated and compared with the gradient."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.explain.reading_back import number_of

import gyaku as gy
from gyaku import nn
from gyaku.base.errors import GraphError, UnknownNameError
from gyaku.explain.algebra import inline
from gyaku.explain.build import explain
from gyaku.explain.derivation import derivation
from gyaku.explain.derivation_read import Reading
from gyaku.explain.derivation_text import Derivation, array_text, number, width, wrapped
from gyaku.explain.derivation_tree import tree
from gyaku.explain.formula import cost
from gyaku.explain.formula_read import evaluate


def leaf(value: Any) -> Any:
    return gy.tensor(value, dtype=gy.float64, requires_grad=True)


def check(found: Derivation, near: float = 1e-9, rounded: float = 2e-3) -> int:
    """Compare every right side with the value of its equation; return how many formulas were evaluated.

    Besides its evaluable form, the text of a scalar formula is read back by a reader of its own.
    """
    count = 0
    for equation in found.equations:
        wanted = np.asarray(equation.value, dtype=float)
        scale = max(float(np.max(np.abs(wanted), initial=0)), 1e-3)
        for right in equation.rights:
            if right.expr is None:
                continue
            count += 1
            with np.errstate(all="ignore"):
                value = np.asarray(evaluate(right.expr, right.values), dtype=float)
            same = value.size == wanted.size
            value = value.reshape(wanted.shape) if same else np.broadcast_to(value.reshape(()), wanted.shape)
            assert np.allclose(value, wanted, rtol=near, atol=near * scale), (equation.left, right.text)
            if wanted.ndim == 0 and all(np.size(v) == 1 for v in right.values.values()) and "Σ" not in right.text:
                values = {k: float(np.sum(v)) for k, v in right.values.items()}
                back = number_of(right.text, values)
                assert math.isclose(back, float(wanted), rel_tol=rounded, abs_tol=rounded * scale), right.text
    return count


def text_of(found: Any) -> str:
    return str(found)


# --- the lecture ---


def square() -> Any:
    a, x, y = leaf(2.0), leaf(3.0), leaf(1.0)
    s = a * x
    t = s - y
    z = t**2
    return explain(z)


def test_the_chain_rule_of_the_lecture() -> None:
    assert str(square().derivation("a", lang="en")) == (
        "∂z/∂a: one path, z ← t ← s ← a. Multiply along it.\n"
        "  ∂z/∂a = ∂z/∂t · ∂t/∂s · ∂s/∂a\n"
        "        = 2t · 1 · x\n"
        "        = 2(5) · 1 · 3\n"
        "        = 30\n"
        "        = 2x(ax - y)"
    )
    found = square().derivation(lang="ja")
    assert "2a(ax - y)" in str(found) and "-2(ax - y)" in str(found) and "経路は 1 本" in str(found)
    assert check(found) == 15


def exercises() -> dict[str, tuple[Any, list[str], list[str]]]:
    """The six exercises of 3.2: (z, names, their answers)."""
    x, y, p, q, t, w, k, m, n = (leaf(v) for v in (0.7, -0.4, 1.7, -0.6, 0.3, 1.3, 0.2, 2.0, -3.0))
    u = gy.sigmoid(x)
    one = explain(p * u, names={"u": u, "p": p, "x": x})
    two = explain(-t * gy.log(u) - (1 - t) * gy.log(1 - u), names={"u": u, "x": x, "t": t})
    three = explain(p * (1 + gy.exp(x)) + q * (1 + gy.exp(-x)), names={"p": p, "q": q, "x": x})
    below = gy.exp(x) + gy.exp(y)
    first, second = gy.exp(x) / below, gy.exp(y) / below
    names = {"u": first, "v": second, "x": x, "y": y, "p": p, "q": q, "t": t}
    four = explain(p * first + q * second, names=names)
    five = explain(-t * gy.log(first) - (1 - t) * gy.log(second), names=names)
    six = explain(
        p * (w * x + k * y) + q * (m * x + n * y),
        names={"w": w, "k": k, "m": m, "n": n, "x": x, "y": y, "p": p, "q": q},
    )
    return {
        "1": (one, ["x"], ["pu(1 - u)"]), "2": (two, ["x"], ["u - t"]), "3": (three, ["x"], ["p e^x - q e^(-x)"]),
        "4": (four, ["x", "y"], ["uv(p - q)", "-uv(p - q)"]), "5": (five, ["x", "y"], ["u - t", "v + t - 1"]),
        "6": (six, ["x", "y"], ["pw + qm", "pk + qn"]),
    }  # fmt: skip


@pytest.mark.parametrize("number_", list("123456"))
def test_the_six_exercises(number_: str) -> None:
    explanation, names, answers = exercises()[number_]
    for name, answer in zip(names, answers, strict=True):
        found = explanation.derivation(name, lang="en")
        assert check(found) >= 4
        last = found.equations[-1].rights[-1]
        values = {k: float(v) for k, v in last.values.items() if np.size(v) == 1}
        assert number_of(last.text, values) == pytest.approx(number_of(answer, values))
        assert len(last.text) <= len(answer) + 6, last.text


def test_cross_entropy_of_a_sigmoid() -> None:
    x, y = leaf(0.7), leaf(0.3)
    s = gy.exp(-x)
    yh = 1 / (1 + s)
    z1, z2 = y * gy.log(yh), (1 - y) * gy.log(1 - yh)
    h = -z1 - z2
    explanation = explain(h, names={"ŷ": yh, "s": s, "z1": z1, "z2": z2, "h": h, "x": x, "y": y})
    assert explanation.derivation("x").equations[-1].rights[-1].text == "ŷ - y"
    assert explanation.derivation("y").equations[-1].rights[-1].text == "-x"
    assert check(explanation.derivation()) > 10
    folded = explanation.folded("names").derivation("x", lang="en")
    assert "h ← z2 ← ŷ ← s ← x" in str(folded) and check(folded) > 6


def test_a_product_of_matrices_by_its_shapes() -> None:
    X, W, t = leaf([[2.0, -1.0, 1.0]]), leaf([[2.0, 0.0], [1.0, 1.0], [0.0, 4.0]]), gy.tensor([[1.0, 2.0]]).double()
    Y = X @ W
    E = 0.5 * ((Y - t) ** 2).sum()
    found = explain(E).derivation("W", lang="en")
    assert "= Xᵀ (Y - t)" in str(found) and "= [[4, 2], [-2, -1], [2, 1]]" in str(found)
    assert "only Xᵀ ∂E/∂Y" in str(found) and "(K,N)×(N,L) = (K,L)  <- this one" in str(found)
    assert str(found).count("the inner sizes differ") == 6 and str(found).count("another shape") == 1
    assert "= (Y - t) Wᵀ" in str(explain(E).derivation("X")) and "= [[4, 3, 4]]" in str(explain(E).derivation("X"))
    assert check(found) >= 7


def test_two_by_two_element_by_element() -> None:
    X, W, t, b = leaf([[2.0, -1.0], [1.0, 3.0]]), leaf([[2.0, 0.0], [1.0, 1.0]]), gy.tensor([0, 1]), leaf([1.0, 2.0])
    A = X @ W
    Y = A + b
    E = nn.functional.cross_entropy(Y, t)
    found = explain(E).derivation("W", lang="en")
    assert "∂E/∂w₁₁ = ∂E/∂a₁₁ x₁₁ + ∂E/∂a₂₁ x₂₁" in str(found)
    assert "(softmax(Y) - onehot(t))/2" in str(found) and check(found) >= 9
    assert "sum(∂E/∂Y, axis 0)" in str(explain(E).derivation("b"))
    turned = explain(E).derivation("X", lang="en")
    assert "∂E/∂x₁₂ = ∂E/∂a₁₁ w₂₁ + ∂E/∂a₁₂ w₂₂" in str(turned) and check(turned) >= 9


def network() -> Any:
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)).double()
    with gy.no_grad():
        for parameter, value in zip(model.parameters(), (0.1, 0.4, 0.5, 0.9)):
            parameter.fill_(value)
    return model


def test_the_example_of_the_first_lecture() -> None:
    model = network()
    E = nn.MSELoss()(model(gy.tensor([[3.0]]).double()), gy.tensor([[4.0]]).double())
    found = explain(E, fold=False).derivation(lang="en")
    for line in ("δ(2)", "[[-5.5]]", "= -2.75", "[[-8.25]]", "[[-3.85]]", "f'(a) = [h > 0]"):
        assert line in str(found)
    assert check(found) >= 8
    one = explain(E, fold=False).derivation("0.weight", lang="en")
    assert "= -8.25" in str(one) and check(one) >= 4


@pytest.mark.parametrize(("activation", "slope"), [("Sigmoid", "h(1 - h)"), ("Tanh", "1 - h²"), ("ReLU", "[h > 0]")])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_recurrence_of_the_deltas(activation: str, slope: str, batch: int) -> None:
    gy.manual_seed(1)
    act = getattr(nn, activation)
    model = nn.Sequential(nn.Linear(2, 3), act(), nn.Linear(3, 6), act(), nn.Linear(6, 2)).double()
    E = nn.CrossEntropyLoss()(model(gy.randn(batch, 2).double()), gy.tensor([0, 1, 0][:batch]))
    found = explain(E, fold=False).derivation(lang="en")
    assert f"f'(a) = {slope}" in str(found) and "... and 2 more units" in str(found)
    assert "δ_1(1) = " in str(found) and "∂E/∂0.weight = δ(1)ᵀ" in str(found)
    assert check(found, near=1e-8) >= 12


def test_the_recurrence_of_plain_matrices() -> None:
    X, W1, b1, W2 = (
        gy.tensor([[1.0, 2.0]]).double(),
        leaf([[0.1, 0.2], [0.3, -0.4]]),
        leaf([0.0, 0.1]),
        leaf([[1.0], [-1.0]]),
    )
    h = gy.tanh(X @ W1 + b1)
    E = (h @ W2).square().sum()
    found = explain(E).derivation(lang="en")
    assert "∂E/∂W1 = Xᵀ δ(1)" in str(found) and "∂E/∂b1 = sum(δ(1), axis 0)" in str(found) and check(found) >= 6


# --- any graph ---

UNARY: list[Callable[[Any], Any]] = [
    gy.exp, gy.tanh, gy.sigmoid, gy.relu, gy.sin, gy.cos, lambda v: -v, lambda v: v**2, lambda v: 1 / (v**2 + 1),
    lambda v: gy.log(v**2 + 1), lambda v: gy.sqrt(v**2 + 0.5), gy.abs, nn.functional.softplus, nn.functional.silu,
    lambda v: v**3, lambda v: 2 * v + 1,
]  # fmt: skip
BINARY: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / (b**2 + 1), gy.maximum, gy.minimum,
]  # fmt: skip
STEPS = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=7)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=3))
def test_every_equation_of_any_graph_holds(steps: Any, numbers: Any) -> None:
    leaves = {name: leaf(round(v, 3)) for name, v in zip("axy", numbers)}
    made = list(leaves.values())
    for op, i, j in steps:
        rule = (UNARY + BINARY)[op % len(UNARY + BINARY)]
        made.append(
            rule(made[i % len(made)])
            if op % len(UNARY + BINARY) < len(UNARY)
            else rule(made[i % len(made)], made[j % len(made)])
        )
    z = made[-1]
    if not 1e-8 < abs(z.item()) < 1e8:
        return
    found = explain(
        z, names={**leaves, "z": z} if all(z is not v for v in leaves.values()) else leaves, fold=False, scope={}
    )
    derived = derivation(found, lang="en")
    try:
        check(derived, near=1e-6, rounded=0.05)
    except (OverflowError, ZeroDivisionError):
        return
    assert all(width(line) <= 80 for line in str(derived).splitlines())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["relu", "tanh", "sigmoid", "square", "exp"]))
def test_every_equation_of_matrices_holds(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    N, K, L = rng.integers(1, 4, 3)
    X, W, b, c = (leaf(rng.normal(size=s)) for s in ((N, K), (K, L), (L,), (N, L)))
    Y = X @ W + b
    H = getattr(gy, name)(Y) * c
    E = (H * H).mean() + W.sum()
    for symbol in ("X", "W", "b", "c"):
        assert check(explain(E, names={"X": X, "W": W, "b": b, "c": c}, scope={}).derivation(symbol), near=1e-7) >= 2


# --- what is said when there is nothing to derive ---


def test_what_is_refused_and_what_is_trivial() -> None:
    explanation = square()
    with pytest.raises(UnknownNameError):
        explanation.derivation("nonsense")
    assert "by itself" in str(explanation.derivation("z", lang="en"))
    a = leaf(2.0)
    z = a * a
    z.backward()
    with pytest.raises(GraphError):
        explain(z).derivation("a")


def test_many_paths_are_cut_to_the_largest() -> None:
    x = leaf(1.1)
    v = x
    for _ in range(7):
        v = v * x + v
    found = explain(v, names={"x": x}, scope={}).derivation("x", lang="en")
    assert "the other " in str(found) and check(found, near=1e-7, rounded=1e-2) > 10


def test_numbers_that_differ_only_behind_the_shown_digits_stay_apart() -> None:
    a, b = leaf(0.123456), leaf(0.1234567)
    z = gy.maximum(a, b) * 3
    assert "[0.123456 > 0.1234567]" in str(explain(z, names={"a": a, "b": b}).derivation("a"))


def test_a_result_of_numbers_alone_is_not_rounded() -> None:
    x = leaf(1.3)
    c = gy.exp(gy.tensor(0.77).double())
    assert check(explain(x * x / c, names={"x": x}).derivation("x")) > 4


def test_numbers() -> None:
    assert number(-0.5) == ("-0.5", True) and number(1 / 3) == ("0.33333", False) and number(1e-12)[0] == "1e-12"
    assert array_text(np.ones((40, 2)))[0] == "[40×2]" and array_text(np.eye(2))[0] == "[[1, 0], [0, 1]]"


def test_sentences_are_broken_at_eighty_columns() -> None:
    lines = wrapped("経路に沿って掛け、最後に足す。" * 8)
    assert (
        len(lines) > 2
        and all(width(line) <= 80 for line in lines)
        and "".join(lines) == "経路に沿って掛け、最後に足す。" * 8
    )
    assert wrapped("") == []


def test_the_tree() -> None:
    assert tree(square(), lang="en") == (
        "z = t²         = 25   ∂z/∂z = 1\n"
        "└─ t = s - y   = 5    ∂z/∂t = 10\n"
        "   ├─ s = ax   = 6    ∂z/∂s = 10\n"
        "   │  ├─ a     = 2    ∂z/∂a = 30\n"
        "   │  └─ x     = 3    ∂z/∂x = 20\n"
        "   └─ y        = 1    ∂z/∂y = -10"
    )


@pytest.mark.parametrize(
    "f",
    [
        lambda x: nn.functional.softmax(x.sum(), -1),  # an axis of a number
        lambda x: (x.sum() * gy.tensor([1.0, 2.0])).sum(),  # an array beside a way of numbers
        lambda x: (x[:0] * x[:0]).sum(),  # no elements
        lambda x: gy.stack([gy.stack([x, x])] * 2)[..., :0].exp().sum(),
        lambda x: gy.zeros(0, 2, 2, 2).sum() * x.sum(),
        lambda x: (x.sum() - x.sum()).sqrt(),  # infinities with both signs
        lambda x: (x.sum() * math.nan) ** 2 / 3,
        lambda x: (x.sum() * math.inf) ** 2 / 3,
    ],
)
@pytest.mark.parametrize("size", [0, 1, 3])
def test_empty_arrays_and_numbers_that_are_none(f: Callable[[Any], Any], size: int) -> None:
    with np.errstate(all="ignore"):
        explanation = explain(f(leaf(np.arange(1.0, size + 1.0))), fold=False)
    found = derivation(explanation, lang="en")
    assert "∂" in str(found) and found.latex()
    assert explanation.svg() and explanation.html()


def test_ways_that_join_do_not_grow_without_end() -> None:
    x, y = leaf(2.0), leaf(3.0)
    z = x
    for n in range(30):
        z = z * (x**n + y)
    (gradient,) = gy.autograd.grad(z, x, create_graph=True)
    reading = Reading(explain(gradient, fold=False, names={"x": x, "y": y}))
    assert cost(inline(reading.symbol(reading.view.output), reading.meanings)) < 20_000


def test_a_long_chain_is_derived_in_seconds() -> None:
    x = gy.tensor(0.5, dtype=gy.float64, requires_grad=True)
    y = x
    for _ in range(100):
        y = gy.tanh(y) * 1.01
    start = time.process_time()
    text = str(explain(y).derivation("x", lang="en"))
    assert "one path" in text and time.process_time() - start < 8


def test_lines_that_go_on_begin_with_a_word() -> None:
    assert wrapped("それになるのはこれだけ。 (N = 1)", 24) == ["それになるのはこれだけ。", "(N = 1)"]
