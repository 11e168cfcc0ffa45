"""Section 1, forward propagation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn
from gyaku.autograd.functional import jacobian
from gyaku.data.synthetic import moons
from gyaku.layers import Adam, Affine, Network, SoftmaxWithLoss
from gyaku.layers import LeakyReLU as LeakyLayer
from gyaku.layers import ReLU as ReLULayer
from gyaku.layers import Sigmoid as SigmoidLayer
from gyaku.layers import Tanh as TanhLayer

RNG = np.random.default_rng(1)


def test_1_1_affine_of_one_sample_and_of_a_batch() -> None:
    W, b = RNG.normal(size=(3, 2)), RNG.normal(size=2)
    X = RNG.normal(size=(4, 3))
    layer = Affine(W, b)
    by_hand = [[sum(x[k] * W[k, j] for k in range(3)) + b[j] for j in range(2)] for x in X]
    np.testing.assert_allclose(layer.forward(X), by_hand, rtol=1e-12)
    np.testing.assert_allclose([layer.forward(x) for x in X], by_hand, rtol=1e-12)
    module = nn.Linear(3, 2, dtype=gy.float64)
    module.weight.data, module.bias.data = gy.tensor(W.T.copy()), gy.tensor(b)
    np.testing.assert_allclose(module(gy.tensor(X)).tolist(), by_hand, rtol=1e-12)


def s(x: float) -> float:
    return 1 / (1 + math.exp(-x))


TABLE: list[tuple[str, Any, Any, Any]] = [
    ("step", lambda x: gy.heaviside(x, gy.ones_like(x)), lambda x: float(x >= 0), lambda x: 0.0),
    ("sigmoid", gy.sigmoid, s, lambda x: s(x) * (1 - s(x))),
    ("tanh", gy.tanh, math.tanh, lambda x: 4 / (math.exp(x) + math.exp(-x)) ** 2),
    ("identity", nn.Identity(), lambda x: x, lambda x: 1.0),
    ("relu", gy.relu, lambda x: max(0.0, x), lambda x: float(x > 0)),
    ("leaky relu, 0.01 in nn", nn.LeakyReLU(), lambda x: x if x > 0 else 0.01 * x, lambda x: 1.0 if x > 0 else 0.01),
    (
        "leaky relu, 0.1 in the lecture",
        nn.LeakyReLU(0.1),
        lambda x: x if x > 0 else 0.1 * x,
        lambda x: 1.0 if x > 0 else 0.1,
    ),
]
POINTS = [-3.0, -0.5, 0.0, 0.25, 4.0]


@pytest.mark.parametrize(("f", "value", "derivative"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_1_2_activations_and_derivatives(f: Any, value: Any, derivative: Any) -> None:
    x = gy.tensor(POINTS, dtype=gy.float64, requires_grad=True)
    y = f(x)
    np.testing.assert_allclose(y.tolist(), [value(p) for p in POINTS], rtol=1e-12)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), [derivative(p) for p in POINTS], rtol=1e-10)


def test_1_2_sigmoid_is_steepest_at_zero_with_a_quarter() -> None:
    x = gy.linspace(-5, 5, 1001, dtype=gy.float64).requires_grad_()
    x.sigmoid().sum().backward()
    assert x.grad.max().item() == 0.25 and x[x.grad.argmax().item()].item() == pytest.approx(0.0, abs=1e-12)


def test_1_2_jacobian_of_the_softmax() -> None:
    x = gy.tensor([0.3, -1.0, 2.0], dtype=gy.float64)
    p = x.softmax(0).numpy()
    np.testing.assert_allclose(p, np.exp([0.3, -1.0, 2.0]) / np.exp([0.3, -1.0, 2.0]).sum(), rtol=1e-12)
    J = jacobian(lambda v: v.softmax(0), x).numpy()
    np.testing.assert_allclose(J, np.diag(p) - np.outer(p, p), rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(np.diag(J), p - p**2, rtol=1e-10)


def test_1_2_slope_of_the_lecture_layers_is_a_tenth() -> None:
    assert LeakyLayer().forward(np.array([-2.0])) == -0.2


def test_1_3_two_affine_layers_are_one() -> None:
    W1, b1, W2, b2 = RNG.normal(size=(3, 5)), RNG.normal(size=5), RNG.normal(size=(5, 2)), RNG.normal(size=2)
    X = RNG.normal(size=(6, 3))
    two = Network([Affine(W1, b1), Affine(W2, b2)]).forward(X)
    np.testing.assert_allclose(two, Affine(W1 @ W2, b1 @ W2 + b2).forward(X), rtol=1e-10)


@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_1_4_softmax_subtracts_the_maximum(shift: float) -> None:
    x = gy.tensor([[1.0, 2.0, 4.0]], dtype=gy.float64)
    p = (x + shift).softmax(1)
    np.testing.assert_allclose(p.tolist(), x.softmax(1).tolist(), rtol=1e-8)
    assert gy.tensor([[1e300, 0.0]], dtype=gy.float64).softmax(1).tolist() == [[1.0, 0.0]]


def test_1_5_any_depth_is_a_composition_and_theta_its_parameters() -> None:
    sizes = [3, 7, 5, 4, 2]
    pairs = [layer for k, l in zip(sizes, sizes[1:], strict=False) for layer in (nn.Linear(k, l), nn.Tanh())]
    net = nn.Sequential(*pairs).double()
    h = x = gy.tensor(RNG.normal(size=(6, 3)))
    for linear in net[::2]:
        h = gy.tanh(h @ linear.weight.T + linear.bias)
    np.testing.assert_allclose(net(x).tolist(), h.tolist(), rtol=1e-10)
    assert [tuple(p.shape) for p in net.parameters()] == [
        shape for k, l in zip(sizes, sizes[1:], strict=False) for shape in ((l, k), (l,))
    ]


def regions(width: int, depth: int, seed: int) -> int:
    """How many linear pieces a random ReLU network cuts a square of the input into, seen on a grid."""
    rng = np.random.default_rng(seed)
    side = np.linspace(-1, 1, 200)
    h = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    patterns = []
    for k in [2] + [width] * (depth - 1):
        a = Affine(rng.normal(size=(k, width)) * np.sqrt(2 / k), rng.normal(size=width) * 0.5)
        layer = ReLULayer()
        h = layer.forward(a.forward(h))
        patterns.append(layer.mask)
    return len(np.unique(np.packbits(np.concatenate(patterns, axis=1), axis=1), axis=0))


def test_1_6_more_units_or_more_layers_separate_the_input_more_finely() -> None:
    def mean(width: int, depth: int) -> float:
        return float(np.mean([regions(width, depth, seed) for seed in range(4)]))

    by_width = [mean(w, 1) for w in (2, 4, 8, 16)]
    by_depth = [mean(8, d) for d in (1, 2, 3)]
    assert by_width == sorted(by_width) and by_width[-1] > 10 * by_width[0]
    assert by_depth == sorted(by_depth) and by_depth[-1] > 3 * by_depth[0]


def race(activation: Any, seed: int) -> float:
    """Accuracy on new moons of a 2-10-10-2 network after 150 steps of Adam."""
    rng = np.random.default_rng(seed)
    sizes = [2, 10, 10, 2]
    layers: list[Any] = []
    for k, l in zip(sizes, sizes[1:], strict=False):
        layers += [Affine(rng.normal(size=(k, l)) * np.sqrt(1 / k), np.zeros(l)), activation()]
    net = Network(layers[:-1], SoftmaxWithLoss())
    (x, t), (x_new, t_new) = moons(200, seed=seed), moons(400, seed=seed + 100)
    adam = Adam(0.02)
    for _ in range(150):
        adam.update(net.params, net.gradient(x, t))
    return net.accuracy(x_new, t_new)


def test_1_7_which_activation_is_best_is_found_by_experiment() -> None:
    table = {a.__name__: [race(a, seed) for seed in range(3)] for a in (SigmoidLayer, TanhLayer, ReLULayer, LeakyLayer)}
    means = {name: float(np.mean(scores)) for name, scores in table.items()}
    assert min(means.values()) > 0.8 and max(means.values()) > 0.97
    assert means["Sigmoid"] == min(means.values())  # what the experiment finds here
