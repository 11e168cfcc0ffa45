"""Section 9, regularization: L2, L1, dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn
from gyaku.backend.random import Generator
from gyaku.layers import SGD as DictSGD
from gyaku.layers import Affine, Dropout, Network, RegressionLoss
from gyaku.optim import SGD

ALPHA = 0.3


def gradients(model: Any, penalty: Any) -> dict[str, Any]:
    """Gradients of a data loss of zero slope plus ``penalty``."""
    model.zero_grad()
    penalty.backward()
    return {name: None if p.grad is None else p.grad.numpy() for name, p in model.named_parameters()}


def test_9_1_l2_and_l1_on_weights_only_in_the_loss() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    with gy.no_grad():
        model[0].weight[0, 0] = 0.0
    W = model[0].weight.detach().numpy()
    two = gradients(model, nn.penalty.l2(model, ALPHA))
    np.testing.assert_allclose(two["0.weight"], 2 * ALPHA * W, rtol=1e-6)
    one = gradients(model, nn.penalty.l1(model, ALPHA))
    np.testing.assert_allclose(one["0.weight"], ALPHA * np.sign(W), rtol=1e-6)
    assert one["0.weight"][0, 0] == 0.0 and two["0.bias"] is one["2.bias"] is None


def test_9_1_the_optimizers_options_are_the_same_gradients() -> None:
    for option, penalty in (("l2", nn.penalty.l2), ("l1", nn.penalty.l1)):
        a, b = nn.Linear(3, 2), nn.Linear(3, 2)
        b.load_state_dict(a.state_dict())
        x = gy.tensor(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))
        by_loss, by_option = SGD(a.parameters(), lr=0.1), SGD(b.parameters(), lr=0.1, **{option: ALPHA})
        for _ in range(5):
            by_loss.zero_grad()
            by_option.zero_grad()
            (a(x).pow(2).mean() + penalty(a, ALPHA)).backward()
            b(x).pow(2).mean().backward()
            by_loss.step()
            by_option.step()
        for p, q in zip(a.parameters(), b.parameters(), strict=True):
            np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-5, atol=1e-7)


def test_9_1_lecture_optimizers_take_one_alpha_for_the_model() -> None:
    net = Network([Affine(np.array([[2.0], [-4.0], [0.0]]), np.array([5.0]))], RegressionLoss())
    zero = {name: np.zeros_like(p) for name, p in net.params.items()}
    DictSGD(0.5, l2=ALPHA).update(net.params, zero)
    np.testing.assert_allclose(net.params["W1"][:, 0], np.array([2, -4, 0]) * (1 - 0.5 * 2 * ALPHA))
    assert net.params["b1"] == 5.0


def test_9_1_one_alpha_per_layer_by_groups() -> None:
    one, two = nn.Linear(1, 1), nn.Linear(1, 1)
    optimizer = SGD([{"params": one.parameters(), "l2": 0.25}, {"params": two.parameters(), "l2": 0.0}], lr=1.0)
    before = one.weight.item(), two.weight.item()
    for p in (*one.parameters(), *two.parameters()):
        p.grad = gy.zeros_like(p)
    optimizer.step()
    assert one.weight.item() == pytest.approx(0.5 * before[0]) and two.weight.item() == before[1]


def minimum(steps: int = 4000, **penalty: float) -> Any:
    """Where gradient steps on f = (w1 - 3)² + 4 (w2 - 6)² with a penalty end (one weight matrix W = [[w1, w2]])."""
    W = gy.tensor([[0.5, 0.5]], dtype=gy.float64, requires_grad=True)
    optimizer = SGD([W], lr=0.01, **penalty)
    for _ in range(steps):
        optimizer.zero_grad()
        ((W[0, 0] - 3) ** 2 + 4 * (W[0, 1] - 6) ** 2).backward()
        optimizer.step()
    return W.detach().numpy()[0].copy()


def test_9_2_minimum_with_l2() -> None:
    np.testing.assert_allclose(minimum(l2=1.0), [1.5, 4.8], rtol=1e-8)


def test_9_2_minimum_with_l1_exactly_zero_by_soft_threshold() -> None:
    w1, w2 = minimum(l1_proximal=10.0)
    assert w1 == 0.0 and w2 == pytest.approx(4.75, rel=1e-8)


def test_9_2_plain_l1_steps_only_hover_around_zero() -> None:
    ends = np.array([minimum(steps, l1=10.0) for steps in range(600, 606)])
    assert (ends[:, 0] != 0).all() and (np.abs(ends[:, 0]) < 0.2).all() and len(set(np.sign(ends[:, 0]))) == 2
    np.testing.assert_allclose(ends[:, 1], 4.75, rtol=1e-8)


def test_9_3_dropout_as_the_lecture_writes_it() -> None:
    layer, X = Dropout(0.25, generator=Generator(9)), np.arange(1.0, 41.0).reshape(5, 8)
    Y = layer.forward(X)
    M = layer.mask
    np.testing.assert_array_equal(Y, X * M)
    dout = np.full(X.shape, 3.0)
    np.testing.assert_array_equal(layer.backward(dout), dout * M)
    np.testing.assert_allclose(layer.forward(X, train=False), X * 0.75, rtol=1e-12)


def test_9_3_the_module_offers_both_scalings() -> None:
    x = gy.ones(400, 500)
    lecture, inverted = nn.Dropout(0.2, scaling="lecture"), nn.Dropout(0.2)
    a, b = lecture(x), inverted(x)
    assert set(np.unique(a.numpy())) == {0.0, 1.0} and sorted(np.unique(b.numpy())) == pytest.approx([0.0, 1.25])
    assert a.mean().item() == pytest.approx(0.8, abs=0.005) and b.mean().item() == pytest.approx(1.0, abs=0.006)
    lecture.eval()
    inverted.eval()
    # what training gives on average is what prediction gives
    assert lecture(x).mean().item() == pytest.approx(0.8, rel=1e-6) and inverted(x).mean().item() == 1.0


def test_9_3_backward_of_both_scalings() -> None:
    for scaling, value in (("lecture", 1.0), ("inverted", 2.0)):
        x = gy.ones(100, requires_grad=True)
        y = nn.Dropout(0.5, scaling=scaling)(x)
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), (y.detach().numpy() != 0) * value)
