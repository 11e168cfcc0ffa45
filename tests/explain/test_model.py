"""The worked examples of the lectures, as numbers of the model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn
from gyaku.base.errors import ShapeError, UnknownNameError
from gyaku.core.tensor import Tensor
from gyaku.explain import Explanation, explain


def number(value: float) -> Tensor:
    return gy.tensor(value, dtype=gy.float64, requires_grad=True)


def array(values: Any) -> Tensor:
    return gy.tensor(values, dtype=gy.float64, requires_grad=True)


def local(picture: Explanation, target: Any, source: Any) -> float:
    """The local derivative d target / d source; one arrow joins them."""
    (arrow,) = [a for a in picture.into(picture[target].key) if a.source == picture[source].key]
    assert arrow.scalar
    return float(arrow.local)  # type: ignore[arg-type]


# -- 3.1 chain rule: multiply along a path, add where paths join -----------------------------------------------------
def test_along_a_path_through_a_branch_and_where_paths_join() -> None:
    x = number(0.3)
    y = x.sin()
    u, v = y.exp(), y * y
    z = u * v
    picture = explain(z)
    paths = picture.paths("x")
    through_u, through_v = math.sin(0.3) ** 2, math.exp(math.sin(0.3))
    cosine = math.cos(0.3)
    expected = sorted([through_u * math.exp(y.item()) * cosine, *[through_v * y.item() * cosine] * 2])
    assert paths.count == 3 and sorted(float(p.product) for p in paths) == pytest.approx(expected, rel=1e-12)
    assert float(paths.total) == pytest.approx(sum(expected), rel=1e-12)
    assert paths.shown[0].keys[0] == picture["z"].key and paths.shown[0].keys[-1] == picture["x"].key
    assert math.prod(paths.shown[0].factors) == pytest.approx(float(paths.shown[0].product), rel=1e-12)  # type: ignore[arg-type]


# -- 3.2 the six exercises -------------------------------------------------------------------------------------------
def test_exercises_one_and_two_sigmoid_and_its_cross_entropy() -> None:
    x, t = number(0.7), 0.3
    u = x.sigmoid()
    z = -t * u.log() - (1 - t) * (1 - u).log()
    picture = explain(z)
    assert local(picture, "u", "x") == pytest.approx(u.item() * (1 - u.item()), rel=1e-12)
    assert picture["x"].delta == pytest.approx(u.item() - t, rel=1e-12)


def test_exercise_three_two_functions_of_one() -> None:
    x = number(0.4)
    u, v = 1 + x.exp(), 1 + (-x).exp()
    z = u * v * v
    picture = explain(z)
    z_u, z_v = float(picture["u"].delta), float(picture["v"].delta)  # type: ignore[arg-type]
    assert picture["x"].delta == pytest.approx(math.exp(0.4) * z_u - math.exp(-0.4) * z_v, rel=1e-12)


def test_exercises_four_and_five_softmax_of_two_and_its_cross_entropy() -> None:
    x, y, s = number(0.4), number(-0.2), 0.7
    total = x.exp() + y.exp()
    u, v = x.exp() / total, y.exp() / total
    z = -s * u.log() - (1 - s) * v.log()
    picture = explain(z)
    z_u, z_v, uv = float(picture["u"].delta), float(picture["v"].delta), u.item() * v.item()  # type: ignore[arg-type]
    assert picture["x"].delta == pytest.approx(uv * (z_u - z_v), rel=1e-11)
    assert picture["y"].delta == pytest.approx(uv * (z_v - z_u), rel=1e-11)
    assert picture["x"].delta == pytest.approx(u.item() - s, rel=1e-11)
    assert picture["y"].delta == pytest.approx(v.item() - (1 - s), rel=1e-11)


def test_exercise_six_affine_two_to_two() -> None:
    x, w = array([0.5, -1.0]), array([[1.0, 2.0], [3.0, 4.0]])
    y = x @ w
    picture = explain((y * y).sum())
    np.testing.assert_array_equal(picture.into(picture["y"].key)[0].local, w.detach().numpy().T)
    np.testing.assert_allclose(picture["x"].delta, w.detach().numpy() @ picture["y"].delta, rtol=1e-12)


# -- 3.3 and 3.4 two graphs ------------------------------------------------------------------------------------------
def test_graph_of_a_squared_error() -> None:
    a, x, y = number(2.0), number(3.0), number(1.0)
    s = a * x
    t = s - y
    z = t.square()
    picture = explain(z)
    arrows = [("z", "t", 10), ("t", "s", 1), ("t", "y", -1), ("s", "a", 3), ("s", "x", 2)]
    assert [local(picture, to, of) for to, of, _ in arrows] == [d for *_, d in arrows]
    assert [picture[k].delta for k in "xay"] == [20, 30, -10]
    assert [p.factors for p in picture.paths("a")] == [(10, 1, 3)]


def binary_cross_entropy() -> tuple[Any, dict[str, Tensor]]:
    x, y = number(0.7), number(0.3)
    s = (-x).exp()
    out = 1 / (1 + s)
    z1, z2 = y * out.log(), (1 - y) * (1 - out).log()
    return -z1 - z2, {"x": x, "y": y, "s": s, "ŷ": out, "z1": z1, "z2": z2}


def expected_locals(x: float, y: float) -> dict[tuple[str, str], float]:
    s = math.exp(-x)
    out = 1 / (1 + s)
    return {
        ("h", "z1"): -1,
        ("h", "z2"): -1,
        ("z1", "y"): math.log(out),
        ("z1", "ŷ"): y / out,
        ("z2", "y"): -math.log(1 - out),
        ("z2", "ŷ"): -(1 - y) / (1 - out),
        ("ŷ", "s"): -1 / (1 + s) ** 2,
        ("s", "x"): -math.exp(-x),
    }


def test_graph_of_the_binary_cross_entropy_with_the_lectures_nodes() -> None:
    h, names = binary_cross_entropy()
    picture = explain(h, names={**names, "h": h}, fold="names")
    assert [i.symbol for i in picture.items] == ["x", "y", "s", "ŷ", "z1", "z2", "h"]
    formulas = ["exp(-x)", "1 / (s + 1)", "y log(ŷ)", "(1 - y) log(1 - ŷ)", "-z1 - z2"]
    assert [i.formula for i in picture.items if i.kind == "group"] == formulas
    expected = expected_locals(0.7, 0.3)
    assert len(picture.arrows) == len(expected)
    for (target, source), value in expected.items():
        assert local(picture, target, source) == pytest.approx(value, rel=1e-12)
    out = names["ŷ"].item()
    assert float(picture.paths("y").total) == pytest.approx(-0.7, rel=1e-12)
    assert float(picture.paths("x").total) == pytest.approx(out - 0.3, rel=1e-12)
    assert [p.count for p in (picture.paths("x"), picture.paths("y"))] == [2, 2]


def test_the_same_graph_unfolded_has_the_same_derivatives() -> None:
    h, names = binary_cross_entropy()
    folded, fine = explain(h, names={**names, "h": h}, fold="names"), explain(h, names={**names, "h": h}, fold=False)
    assert {i.op.name for i in fine.items if i.op} == {"neg", "exp", "add", "div", "log", "mul", "sub"}
    for (target, source), value in expected_locals(0.7, 0.3).items():
        inside = [a for a in fine.into(fine[target].key) if a.source == fine[source].key]
        assert local(folded, target, source) == pytest.approx(value, rel=1e-12) and len(inside) <= 1
    for key in ("x", "y", "s", "ŷ", "z1", "z2"):
        assert float(folded[key].delta) == pytest.approx(float(fine[key].delta), rel=1e-12)  # type: ignore[arg-type]


def test_primitives_fold_into_a_named_node() -> None:
    h, names = binary_cross_entropy()
    out = names["ŷ"]
    picture = explain(h, names=names, fold={"sigmoid": (names["x"], out)})
    assert picture["ŷ"].formula == "sigmoid(x)" and picture["ŷ"].kind == "group" and picture.find("s") is None
    assert local(picture, "ŷ", "x") == pytest.approx(out.item() * (1 - out.item()), rel=1e-12)


# -- 3.5 and 3.6 nodes that hold arrays ------------------------------------------------------------------------------
X, W = [[2.0, -1.0, 1.0]], [[2.0, 0.0], [1.0, 1.0], [0.0, 4.0]]


def test_worked_numbers_of_a_squared_error() -> None:
    x, w = array(X), array(W)
    y = x @ w
    picture = explain(0.5 * (y - gy.tensor([[1.0, 2.0]], dtype=gy.float64)).square().sum())
    np.testing.assert_array_equal(picture["y"].value, [[3, 3]])
    np.testing.assert_array_equal(picture["x"].delta, [[4, 3, 4]])
    np.testing.assert_array_equal(picture["w"].delta, [[4, 2], [-2, -1], [2, 1]])


def test_worked_numbers_of_softmax_cross_entropy() -> None:
    x, w = array(X), array(W)
    y = x @ w
    picture = explain(nn.functional.cross_entropy(y, gy.tensor([0])))
    np.testing.assert_allclose(picture["y"].delta, [[-0.5, 0.5]], rtol=1e-12)
    np.testing.assert_allclose(picture["x"].delta, [[-1, 0, 2]], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(picture["w"].delta, [[-1, 1], [0.5, -0.5], [-0.5, 0.5]], rtol=1e-12)


def test_the_flow_of_a_matrix_product_is_the_formula_of_the_lecture() -> None:
    rng = np.random.default_rng(0)
    x, w, g = array(rng.normal(size=(20, 30))), array(rng.normal(size=(30, 7))), rng.normal(size=(20, 7))
    picture = explain(x @ w, gradient=g)
    to_x, to_w = picture.arrows
    assert to_x.local is None and to_x.shapes == ((20, 7), (20, 30)) and to_w.shapes == ((20, 7), (30, 7))
    np.testing.assert_allclose(to_x.flow, g @ w.detach().numpy().T, rtol=1e-12)
    np.testing.assert_allclose(to_w.flow, x.detach().numpy().T @ g, rtol=1e-12)


# -- 3.7 and 3.8 deltas ----------------------------------------------------------------------------------------------
def test_deltas_follow_the_recurrence() -> None:
    rng = np.random.default_rng(1)
    w1, w2 = array(rng.normal(size=(4, 3))), array(rng.normal(size=(3, 2)))
    x, t = rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    a1 = gy.tensor(x) @ w1
    h = a1.tanh()
    a2 = h @ w2
    picture = explain(0.5 * (a2 - gy.tensor(t)).square().sum())
    d2 = picture["a2"].delta
    np.testing.assert_allclose(d2, a2.detach().numpy() - t, rtol=1e-12)
    slope = 1 - h.detach().numpy() ** 2
    np.testing.assert_allclose(picture["a1"].delta, slope * (d2 @ w2.detach().numpy().T), rtol=1e-11)
    np.testing.assert_allclose(picture["w2"].delta, h.detach().numpy().T @ d2, rtol=1e-12)


def test_the_example_in_pytorchs_names() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))
    with gy.no_grad():
        for p, value in zip(model.parameters(), (0.1, 0.4, 0.5, 0.9), strict=True):
            p.fill_(value)
    E = nn.MSELoss()(model(gy.tensor([[3.0]])), gy.tensor([[4.0]]))
    picture = explain(E)
    assert float(picture.result.value) == pytest.approx(7.5625)  # type: ignore[arg-type]
    expected = {"0.weight": -8.25, "0.bias": -2.75, "2.weight": -3.85, "2.bias": -5.5}
    assert {i.name: i.delta.item() for i in picture.leaves} == pytest.approx(expected, rel=1e-6)  # type: ignore[union-attr]
    assert all(p.grad is None for p in model.parameters())


# -- 10.3 and 10.5 ---------------------------------------------------------------------------------------------------
def test_the_gradient_of_a_skip_is_the_identity() -> None:
    x, w = array([1.0, -2.0]), array([[0.1, 0.2], [0.3, 0.4]])
    y = (x @ w).relu() + x
    picture = explain(y, gradient=[1.0, 1.0])
    skip = next(a for a in picture.into(picture["y"].key) if a.source == picture["x"].key)
    np.testing.assert_array_equal(skip.local, np.eye(2))
    shortest = min(picture.paths("x"), key=lambda p: len(p.keys))
    np.testing.assert_array_equal(shortest.product, [1, 1])
    assert picture.paths("x").count == 2


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_one_more_factor_for_each_layer(depth: int) -> None:
    w = [number(0.5 + 0.1 * i) for i in range(depth + 1)]
    h = number(0.8)
    x = h
    for weight in w[:-1]:
        h = (weight * h).sigmoid()
    path = explain(w[-1] * h, names={"x": x}).paths("x").shown[0]
    assert len(path.factors) == 2 * depth + 1
    assert float(path.product) == pytest.approx(math.prod(path.factors), rel=1e-12)  # type: ignore[arg-type]


# -- looking things up -----------------------------------------------------------------------------------------------
def test_an_unknown_name_says_which_is_near() -> None:
    weight = number(2.0)
    picture = explain(weight * 3)
    with pytest.raises(UnknownNameError, match="did you mean 'weight'"):
        picture["weigth"]
    assert picture.find("nobody") is None and picture.failed is None and picture.note() == ""


def test_printing_shows_the_tree_and_what_to_call_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYAKU_LANG", "en")
    a = gy.tensor(2.0, requires_grad=True)
    b = a * 3.0
    lines = repr(explain(b)).splitlines()
    assert lines[0].split() == ["b", "=", "3a", "=", "6", "∂b/∂b", "=", "1"] and ".derivation()" in " ".join(lines[2:])
    z = b.square()
    z.backward()
    assert "spent" in str(explain(z))


def test_printing_a_failed_forward_tells_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYAKU_LANG", "en")
    w = gy.ones(2, 3, requires_grad=True)
    with pytest.raises(ShapeError), gy.record() as seen:
        (w * 2) @ gy.ones(4, 5)
    text = " ".join(str(explain(seen)).split())
    assert "expected" in text and "failing operation marked" in text
