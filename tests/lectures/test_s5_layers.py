"""Section 5, layer classes: each against numerical differentiation, and a network of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gyaku.backend.random import Generator
from gyaku.layers import (
    SGD,
    Affine,
    BatchNorm,
    Dropout,
    Layer,
    LeakyReLU,
    LossLayer,
    Network,
    RegressionLoss,
    ReLU,
    Sigmoid,
    SigmoidWithLoss,
    SoftmaxWithLoss,
    Tanh,
)
from lectures.numerical import close, numerical_gradient

RNG = np.random.default_rng(5)


def draw(*shape: int) -> Any:
    return RNG.normal(size=shape)


class FrozenDropout(Dropout):
    """Dropout that draws the same mask each time, so that it has a derivative."""

    def forward(self, x: Any, train: bool = True) -> Any:
        self.generator = Generator(3)
        return super().forward(x, train)


LAYERS: list[Layer] = [
    Affine(draw(4, 3), draw(3)),
    Sigmoid(),
    Tanh(),
    ReLU(),
    LeakyReLU(),
    FrozenDropout(0.4),
    BatchNorm(draw(4), draw(4)),
]
LOSSES: list[tuple[LossLayer, Any]] = [
    (RegressionLoss(), draw(5, 3)),
    (SigmoidWithLoss(), RNG.integers(0, 2, (5, 3)).astype(float)),
    (SoftmaxWithLoss(), np.array([0, 2, 1, 1, 0])),
    (SoftmaxWithLoss(), np.eye(3)[[0, 2, 1, 1, 0]]),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_5_1_layer_against_numerical_differentiation(layer: Layer) -> None:
    x = draw(5, 4)
    dout = draw(*layer.forward(x).shape)

    def weighted() -> float:
        return float((layer.forward(x) * dout).sum())

    dx = layer.backward(dout) if layer.forward(x) is not None else None
    assert close(dx, numerical_gradient(weighted, x))
    for name in layer.params:
        layer.forward(x)
        layer.backward(dout)
        analytic = getattr(layer, f"d{name}").copy()
        assert close(analytic, numerical_gradient(weighted, getattr(layer, name)))


@pytest.mark.parametrize(("loss", "t"), LOSSES, ids=["regression", "sigmoid", "softmax numbers", "softmax one-hot"])
def test_5_1_loss_layer_against_numerical_differentiation(loss: LossLayer, t: Any) -> None:
    x = draw(5, 3)
    numeric = numerical_gradient(lambda: loss.forward(x, t), x)
    loss.forward(x, t)
    assert close(loss.backward(), numeric)
    assert close(loss.backward(dout=1), loss.backward())


def test_5_1_the_check_notices_a_wrong_factor() -> None:
    loss, t = LOSSES[0]
    x = draw(5, 3)
    numeric = numerical_gradient(lambda: loss.forward(x, t), x)
    loss.forward(x, t)
    assert not close(loss.backward() * 1.0005, numeric)


def test_5_1_regression_loss_is_half_per_sample() -> None:
    y, t = np.array([[1.0], [4.0]]), np.array([[3.0], [1.0]])
    loss = RegressionLoss()
    assert loss.forward(y, t) == (4 + 9) / (2 * 2)  # PyTorch's MSELoss would say 6.5
    np.testing.assert_array_equal(loss.backward(), (y - t) / 2)


def network() -> Network:
    return Network(
        [
            Affine(draw(4, 5), draw(5)),
            BatchNorm(np.ones(5), np.zeros(5)),
            Sigmoid(),
            Affine(draw(5, 6), draw(6)),
            ReLU(),
            Affine(draw(6, 3), draw(3)),
        ],
        SoftmaxWithLoss(),
    )


def test_5_2_forward_runs_the_list_and_backward_runs_it_reversed() -> None:
    order: list[str] = []

    class Spy(Layer):
        def __init__(self, name: str) -> None:
            self.name = name

        def forward(self, x: Any) -> Any:
            order.append(f"forward {self.name}")
            return x

        def backward(self, dout: Any) -> Any:
            order.append(f"backward {self.name}")
            return dout

    net = Network([Spy("1"), Spy("2"), Spy("3")], RegressionLoss())
    net.gradient(np.ones((2, 1)), np.zeros((2, 1)))
    assert order == [f"forward {i}" for i in "123"] + [f"backward {i}" for i in "321"]


def test_5_2_gradient_of_a_network_against_numerical_differentiation() -> None:
    net, x, t = network(), draw(7, 4), np.array([0, 1, 2, 2, 1, 0, 0])
    assert list(net.params) == ["W1", "b1", "gamma1", "beta1", "W2", "b2", "W3", "b3"]
    grads = {name: g.copy() for name, g in net.gradient(x, t).items()}
    for name, p in net.params.items():
        assert close(grads[name], numerical_gradient(lambda: net.loss(x, t), p)), name


def test_5_2_updating_the_dictionary_trains_the_network() -> None:
    net, x, t = network(), draw(30, 4), RNG.integers(0, 3, 30)
    before = net.loss(x, t)
    optimizer = SGD(0.1)
    for _ in range(100):
        optimizer.update(net.params, net.gradient(x, t))
    assert net.loss(x, t) < 0.5 * before
