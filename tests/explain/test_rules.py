"""The rule on each arrow as text, as the lecture writes it."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn
from gyaku.core.tensor import Tensor
from gyaku.explain import Arrow, Explanation, explain


def number(value: float) -> Tensor:
    return gy.tensor(value, dtype=gy.float64, requires_grad=True)


def formulas(picture: Explanation) -> dict[str, str]:
    wanted = [a for a in picture.arrows if a.wanted]
    return {f"∂{picture[a.target].symbol}/∂{picture[a.source].symbol}": a.formula for a in wanted}


def test_a_squared_error() -> None:
    a, x, y = number(2.0), number(3.0), number(1.0)
    s = a * x
    t = s - y
    z = t.square()
    assert formulas(explain(z)) == {"∂s/∂a": "x", "∂s/∂x": "a", "∂t/∂s": "1", "∂t/∂y": "-1", "∂z/∂t": "2t"}


def test_the_binary_cross_entropy_with_the_lectures_nodes() -> None:
    x, y = number(0.7), number(0.3)
    s = (-x).exp()
    out = 1 / (1 + s)
    z1, z2 = y * out.log(), (1 - y) * (1 - out).log()
    h = -z1 - z2
    assert formulas(explain(h, names={"ŷ": out}, fold="names")) == {
        "∂h/∂z1": "-1",
        "∂h/∂z2": "-1",
        "∂z1/∂y": "log(ŷ)",
        "∂z1/∂ŷ": "y/ŷ",
        "∂z2/∂y": "-log(1 - ŷ)",
        "∂z2/∂ŷ": "-(1 - y)/(1 - ŷ)",
        "∂ŷ/∂s": "-1/(1 + s)²",
        "∂s/∂x": "-e^(-x)",
    }


def test_paths_that_join_inside_a_written_out_group() -> None:
    x = number(0.7)
    y = x * x.exp() + x
    (arrow,) = explain(y, fold="names").arrows
    assert arrow.formula == "1 + e^x + x e^x" and arrow.local == pytest.approx(math.exp(0.7) * 1.7 + 1, rel=1e-12)


def test_ways_that_join_are_brought_together() -> None:
    x, y = number(0.4), number(-0.2)
    u = x.exp() / (x.exp() + y.exp())
    found = [a.formula for a in explain(u, fold="names").arrows]
    assert found == ["e^(x + y)/(e^x + e^y)²", "-e^(x + y)/(e^x + e^y)²"]


def test_a_written_out_group_of_arrays() -> None:
    x, w, b = (
        gy.tensor(v, dtype=gy.float64, requires_grad=True) for v in ([[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]], [0.1])
    )
    h = (x @ w + b).tanh()
    found = formulas(explain((h * h).sum(), fold="names"))
    assert found["∂h/∂x"] == "(gy (1 - h²)) wᵀ"


def test_arrays_say_what_arrives_for_gy() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh())
    x = gy.tensor(np.ones((5, 4), dtype=np.float32), requires_grad=True)
    y = model(x)
    found = formulas(explain(y, gradient=np.ones((5, 6)), fold=False))
    assert found == {
        "∂u1/∂x": "gy 0.weight",
        "∂u1/∂0.weight": "gyᵀ x",
        "∂u1/∂0.bias": "sum(gy, axis 0)",
        "∂y/∂u1": "gy (1 - y²)",
    }
    assert formulas(explain(y, gradient=np.ones((5, 6)), fold=True))["∂Linear0/∂x"] == "gy 0.weight"


def test_without_numbers_or_in_large_graphs_there_is_no_text() -> None:
    x = number(2.0)
    y = x * x
    y.backward()
    h = x
    for _ in range(250):
        h = h + 1
    assert {a.formula for p in (explain(y), explain(h, fold=False)) for a in p.arrows} == {""}


def test_a_text_given_as_a_function_is_asked_once() -> None:
    asked: list[int] = []
    arrow = Arrow("a", "b", 0, formula=lambda: asked.append(1) or "x")  # type: ignore[arg-type]
    assert (arrow.formula, arrow.formula, asked) == ("x", "x", [1])
    assert Arrow("a", "b", 0).formula == "" and Arrow("a", "b", 0, formula="2t").formula == "2t"
