"""Section 3, backpropagation: the exercises, the graphs and the worked numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn
from gyaku.autograd import grad, gradcheck
from gyaku.autograd.functional import jacobian
from lectures.numerical import close, numerical_gradient

POINTS = [(0.3, -1.2), (-0.7, 0.4), (2.0, 1.5)]


def scalar(value: float) -> gy.Tensor:
    return gy.tensor(value, dtype=gy.float64, requires_grad=True)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def outer(u: Any, v: Any) -> Any:
    """Any z(u, v), with a gradient that differs in its two inputs."""
    return u**2 * v + 3 * v.exp() + u


def outer_gradient(u: float, v: float) -> tuple[float, float]:
    return 2 * u * v + 1, u**2 + 3 * math.exp(v)


# -- 3.1 ----------------------------------------------------------------------------------------------------------
def test_3_1_multiply_along_a_path_and_add_over_paths() -> None:
    x = scalar(0.8)
    (y := (x * x).exp()).backward()  # one path: dy/dx = e^(x²) · 2x
    assert x.grad.item() == pytest.approx(math.exp(0.64) * 1.6, rel=1e-12)
    a, b = scalar(0.8), scalar(-0.5)
    s = a * b  # a branch: two results of one number
    (gs,) = grad(s.exp() + s.sin(), s, retain_graph=True)
    assert gs.item() == pytest.approx(math.exp(-0.4) + math.cos(-0.4), rel=1e-12)
    (s.exp() + s.sin()).backward()  # and joined again: through s to each of a and b
    assert a.grad.item() == pytest.approx(gs.item() * -0.5, rel=1e-12)
    assert b.grad.item() == pytest.approx(gs.item() * 0.8, rel=1e-12)
    assert y.item() == pytest.approx(math.exp(0.64))


# -- 3.2: the six exercises ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("x", "t"), [(0.3, 1.0), (-1.2, 0.0), (2.0, 0.25)])
def test_3_2_1_and_2_sigmoid_and_its_cross_entropy(x: float, t: float) -> None:
    v = scalar(x)
    v.sigmoid().square().backward()  # any z(u): dz/du = 2u
    u = sigmoid(x)
    assert v.grad.item() == pytest.approx(u * (1 - u) * 2 * u, rel=1e-12)
    w = scalar(x)
    p = w.sigmoid()
    (-t * p.log() - (1 - t) * (1 - p).log()).backward()
    assert w.grad.item() == pytest.approx(u - t, rel=1e-10)


@pytest.mark.parametrize("x", [0.3, -1.2, 2.0])
def test_3_2_3_two_ways_from_one_number(x: float) -> None:
    w = scalar(x)
    u, v = 1 + w.exp(), 1 + (-w).exp()
    outer(u, v).backward()
    zu, zv = outer_gradient(1 + math.exp(x), 1 + math.exp(-x))
    assert w.grad.item() == pytest.approx(math.exp(x) * zu - math.exp(-x) * zv, rel=1e-10)


@pytest.mark.parametrize(("x", "y"), POINTS)
def test_3_2_4_and_5_softmax_of_two(x: float, y: float) -> None:
    a, b = scalar(x), scalar(y)
    total = a.exp() + b.exp()
    u, v = a.exp() / total, b.exp() / total
    outer(u, v).backward()
    zu, zv = outer_gradient(u.item(), v.item())
    uv = u.item() * v.item()
    assert a.grad.item() == pytest.approx(uv * (zu - zv), rel=1e-9)
    assert b.grad.item() == pytest.approx(uv * (zv - zu), rel=1e-9)
    for s in (0.0, 0.3, 1.0):
        c, d = scalar(x), scalar(y)
        both = gy.stack([c, d]).softmax(0)
        (-s * both[0].log() - (1 - s) * both[1].log()).backward()
        assert c.grad.item() == pytest.approx(u.item() - s, rel=1e-9, abs=1e-12)
        assert d.grad.item() == pytest.approx(v.item() - (1 - s), rel=1e-9, abs=1e-12)


def test_3_2_6_affine_two_to_two() -> None:
    w = np.array([[2.0, -1.0], [0.5, 3.0]])  # w_ij from x_i to y_j
    x = gy.tensor([0.7, -0.2], dtype=gy.float64, requires_grad=True)
    y = x @ gy.tensor(w)
    y.retain_grad()
    outer(y[0], y[1]).backward()
    np.testing.assert_allclose(x.grad.tolist(), (w * np.array(y.grad.tolist())).sum(axis=1), rtol=1e-12)


# -- 3.3 and 3.4: graphs with numbers on the arrows ---------------------------------------------------------------
def local(z: gy.Tensor, *inputs: gy.Tensor) -> list[float]:
    """The local derivatives on the arrows into ``z``."""
    return [g.item() for g in grad(z, inputs, retain_graph=True)]


@pytest.mark.parametrize(("a", "x", "y"), [(2.0, 3.0, 5.0), (-1.5, 0.5, 0.25)])
def test_3_3_graph_of_a_squared_difference(a: float, x: float, y: float) -> None:
    A, X, Y = scalar(a), scalar(x), scalar(y)
    s = A * X
    t = s - Y
    z = t**2
    assert local(z, t) == [2 * t.item()] and local(t, s, Y) == [1.0, -1.0] and local(s, A, X) == [x, a]
    z.backward()
    d = a * x - y
    assert [X.grad.item(), A.grad.item(), Y.grad.item()] == pytest.approx([2 * a * d, 2 * x * d, -2 * d], rel=1e-12)


@pytest.mark.parametrize(("x", "y"), [(0.7, 0.3), (-1.3, 0.9)])
def test_3_4_graph_of_the_cross_entropy_of_a_sigmoid(x: float, y: float) -> None:
    X, Y = scalar(x), scalar(y)
    s = (-X).exp()
    p = 1 / (1 + s)
    z1, z2 = Y * p.log(), (1 - Y) * (1 - p).log()
    h = -z1 - z2
    ph = p.item()
    assert local(h, z1, z2) == [-1.0, -1.0]
    assert local(z1, Y, p) == pytest.approx([math.log(ph), y / ph], rel=1e-12)
    assert local(z2, Y, p) == pytest.approx([-math.log(1 - ph), -(1 - y) / (1 - ph)], rel=1e-12)
    assert local(p, s) == pytest.approx([-1 / (1 + s.item()) ** 2], rel=1e-12)
    assert local(s, X) == pytest.approx([-math.exp(-x)], rel=1e-12)
    h.backward()
    assert Y.grad.item() == pytest.approx(-x, rel=1e-10) and X.grad.item() == pytest.approx(ph - y, rel=1e-10)


# -- 3.5 and 3.6: nodes that hold arrays --------------------------------------------------------------------------
def test_3_5_shapes_determine_the_formulas_of_a_product() -> None:
    rng = np.random.default_rng(35)
    X, W, G = rng.normal(size=(5, 3)), rng.normal(size=(3, 2)), rng.normal(size=(5, 2))
    x, w = gy.tensor(X, requires_grad=True), gy.tensor(W, requires_grad=True)
    (x @ w).backward(gy.tensor(G))
    np.testing.assert_allclose(x.grad.numpy(), G @ W.T, rtol=1e-12)
    np.testing.assert_allclose(w.grad.numpy(), X.T @ G, rtol=1e-12)
    b = gy.tensor(np.zeros(2), requires_grad=True)
    (gy.tensor(X @ W) + b).backward(gy.tensor(G))
    np.testing.assert_allclose(b.grad.numpy(), G.sum(axis=0), rtol=1e-12)


def test_3_5_two_by_two_element_by_element() -> None:
    (a, b), (c, d) = W = [[2.0, -1.0], [0.5, 3.0]]
    G = [[1.0, 4.0], [-2.0, 0.25]]
    x = gy.tensor([[1.0, 5.0], [-3.0, 2.0]], dtype=gy.float64, requires_grad=True)
    (x @ gy.tensor(W, dtype=gy.float64)).backward(gy.tensor(G, dtype=gy.float64))
    assert x.grad.tolist() == [[g0 * a + g1 * b, g0 * c + g1 * d] for g0, g1 in G]


def worked() -> tuple[gy.Tensor, gy.Tensor, gy.Tensor]:
    X = gy.tensor([[2.0, -1.0, 1.0]], dtype=gy.float64, requires_grad=True)
    W = gy.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 4.0]], dtype=gy.float64, requires_grad=True)
    Y = X @ W
    Y.retain_grad()
    assert Y.tolist() == [[3.0, 3.0]]
    return X, W, Y


def test_3_6_1_half_the_squared_error() -> None:
    X, W, Y = worked()
    (0.5 * (Y - gy.tensor([[1.0, 2.0]], dtype=gy.float64)) ** 2).sum().backward()
    assert X.grad.tolist() == [[4.0, 3.0, 4.0]]
    assert W.grad.tolist() == [[4.0, 2.0], [-2.0, -1.0], [2.0, 1.0]]


def test_3_6_2_softmax_cross_entropy() -> None:
    X, W, Y = worked()
    nn.functional.cross_entropy(Y, gy.tensor([0])).backward()
    np.testing.assert_allclose(Y.grad.tolist(), [[-0.5, 0.5]], rtol=1e-12)
    np.testing.assert_allclose(X.grad.tolist(), [[-1.0, 0.0, 2.0]], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(W.grad.tolist(), [[-1.0, 1.0], [0.5, -0.5], [-0.5, 0.5]], rtol=1e-12)


def test_3_6_3_a_broadcast_bias() -> None:
    X = gy.zeros(3, 2, requires_grad=True)
    b = gy.zeros(2, requires_grad=True)
    G = [[1.0, 0.0], [0.0, -1.0], [1.0, 1.0]]
    (X + b).backward(gy.tensor(G))
    assert X.grad.tolist() == G and b.grad.tolist() == [2.0, 0.0]


# -- 3.7 and 3.8: deltas ------------------------------------------------------------------------------------------
def test_3_7_recurrence_of_the_deltas() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2), nn.Sigmoid(), nn.Linear(2, 2)).double()
    x = gy.tensor(np.random.default_rng(37).normal(size=(1, 3)))
    t = gy.tensor([[0.3, -0.4]], dtype=gy.float64)
    h, deltas, inputs = x, [], []
    for layer in net:
        if isinstance(layer, nn.Linear):
            inputs.append(h.detach().numpy()[0])
        h = layer(h)
        if isinstance(layer, nn.Linear):
            h.retain_grad()
            deltas.append(h)
    (0.5 * (h - t) ** 2).sum().backward()
    d = [a.grad.numpy()[0] for a in deltas]
    np.testing.assert_allclose(d[2], (h - t).detach().numpy()[0], rtol=1e-12)  # Y - T for a sum
    for i in (0, 1):
        s = 1 / (1 + np.exp(-deltas[i].detach().numpy()[0]))
        W = net[2 * i + 2].weight.detach().numpy()  # w_kj is (out, in)
        expected = [s[j] * (1 - s[j]) * sum(d[i + 1][k] * W[k, j] for k in range(len(W))) for j in range(len(s))]
        np.testing.assert_allclose(d[i], expected, rtol=1e-10)
    for i in (0, 1, 2):
        np.testing.assert_allclose(net[2 * i].weight.grad.numpy(), np.outer(d[i], inputs[i]), rtol=1e-12)


def s0_example() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))
    for name, value in (("0.weight", [[0.1]]), ("0.bias", [0.4]), ("2.weight", [[0.5]]), ("2.bias", [0.9])):
        dict(model.named_parameters())[name].data = gy.tensor(value)
    return model


def test_3_8_the_example_of_s0() -> None:
    model = s0_example().double()
    for name, value in (("0.weight", 0.1), ("0.bias", 0.4), ("2.weight", 0.5), ("2.bias", 0.9)):
        with gy.no_grad():
            dict(model.named_parameters())[name].fill_(value)
    assert all(p.grad is None for p in model.parameters())
    x, t = gy.tensor([[3.0]], dtype=gy.float64), gy.tensor([[4.0]], dtype=gy.float64)
    E = nn.MSELoss()(model(x), t)
    E.backward()
    assert E.item() == pytest.approx(7.5625, rel=1e-12)
    grads = {name: p.grad.tolist() for name, p in model.named_parameters()}
    expected = {"0.weight": -8.25, "0.bias": -2.75, "2.weight": -3.85, "2.bias": -5.5}
    assert {n: np.array(g).item() for n, g in grads.items()} == pytest.approx(expected, rel=1e-12)
    assert [np.array(g).shape for g in grads.values()] == [(1, 1), (1,), (1, 1), (1,)]


def test_3_8_prints_as_on_the_slide_in_float32() -> None:
    model = s0_example()
    nn.MSELoss()(model(gy.tensor([[3.0]])), gy.tensor([[4.0]])).backward()
    printed = {n: (repr(p.data), repr(p.grad)) for n, p in model.named_parameters()}
    assert printed == {
        "0.weight": ("tensor([[0.1000]])", "tensor([[-8.2500]])"),
        "0.bias": ("tensor([0.4000])", "tensor([-2.7500])"),
        "2.weight": ("tensor([[0.5000]])", "tensor([[-3.8500]])"),
        "2.bias": ("tensor([0.9000])", "tensor([-5.5000])"),
    }


# -- 3.9 and 3.10 -------------------------------------------------------------------------------------------------
def test_3_9_only_a_scalar_starts_backward_by_itself() -> None:
    x = gy.ones(2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="expected a scalar.*fourth-order array"):
        (x * 2).backward()
    (x * 2).backward(gy.ones(2, 3))
    assert x.grad.tolist() == [[2.0] * 3] * 2
    J = jacobian(lambda v: v * 2, gy.ones(2, 3))  # what a matrix by a matrix would be: four dimensions
    assert tuple(J.shape) == (2, 3, 2, 3)


def test_3_10_the_numerical_derivative_checks_and_costs_two_runs_a_number() -> None:
    W = gy.tensor(np.random.default_rng(310).normal(size=(4, 3)), requires_grad=True)
    runs = 0

    def loss(w: gy.Tensor) -> gy.Tensor:
        nonlocal runs
        runs += 1
        return (w.sigmoid() * w).sum()

    loss(W).backward()
    assert runs == 1
    memory = W.detach().numpy().copy()
    numeric = numerical_gradient(lambda: loss(gy.tensor(memory)).item(), memory)
    assert close(W.grad.numpy(), numeric) and runs == 1 + 2 * W.numel()
    assert gradcheck(loss, (W,))


WRONG: list[Callable[[Any], Any]] = [lambda g: g * 1.0005, lambda g: -g, lambda g: g.T]


@pytest.mark.parametrize("spoil", WRONG, ids=["factor 1.0005", "sign", "transposed"])
def test_3_10_a_slightly_wrong_derivative_is_caught(spoil: Callable[[Any], Any]) -> None:
    class Spoiled(gy.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, gy_: Any) -> Any:
            (x,) = ctx.saved_tensors
            return spoil(2 * x * gy_)

    x = gy.tensor(np.random.default_rng(0).normal(size=(3, 3)), requires_grad=True)
    with pytest.raises(RuntimeError):
        gradcheck(Spoiled.apply, (x,), rtol=1e-5)
