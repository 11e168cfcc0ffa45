"""Section 8, batch normalization."""

from __future__ import annotations

import numpy as np
import pytest

import gyaku as gy
from gyaku import nn
from gyaku.layers import BatchNorm
from lectures.numerical import close, numerical_gradient

RNG = np.random.default_rng(8)


def test_8_1_standardising_then_scaling_and_moving() -> None:
    data = RNG.uniform(size=(1000, 1))
    bn = BatchNorm(np.array([5.0]), np.array([2.0]), eps=0.0)
    y = bn.forward(data)
    assert y.mean() == pytest.approx(2.0, rel=1e-8) and y.var() == pytest.approx(25.0, rel=1e-8)
    standardised = BatchNorm(np.ones(1), np.zeros(1), eps=0.0).forward(data)
    assert abs(standardised.mean()) < 1e-12 and standardised.var() == pytest.approx(1.0, rel=1e-8)
    np.testing.assert_allclose(y, 5 * standardised + 2, rtol=1e-12)


def test_8_2_forward_by_hand() -> None:
    # column 0: mean 3, variance 8/3; column 1: mean 20, variance 0
    X = np.array([[1.0, 20.0], [3.0, 20.0], [5.0, 20.0]])
    gamma, beta = np.array([2.0, 3.0]), np.array([0.5, -1.0])
    Y = BatchNorm(gamma, beta).forward(X)
    sigma = np.sqrt(8 / 3 + 1e-8)
    np.testing.assert_allclose(Y[:, 0], 2 * np.array([-2, 0, 2]) / sigma + 0.5, rtol=1e-12)
    np.testing.assert_allclose(Y[:, 1], -1.0, rtol=1e-12)
    assert BatchNorm(gamma, beta).eps == 1e-8 and nn.BatchNorm1d(2).eps == 1e-5


def test_8_2_modules_start_at_one_and_zero_and_collect_the_unbiased_variance() -> None:
    bn = nn.BatchNorm1d(2)
    assert bn.weight.tolist() == [1, 1] and bn.bias.tolist() == [0, 0] and bn.momentum == 0.1
    X = gy.tensor([[1.0, 20.0], [3.0, 20.0], [5.0, 20.0]])
    bn(X)
    np.testing.assert_allclose(bn.running_mean.tolist(), [0.3, 2.0], rtol=1e-6)
    np.testing.assert_allclose(bn.running_var.tolist(), [0.9 + 0.1 * 4.0, 0.9], rtol=1e-6)  # 8/2, not 8/3


def test_8_3_backward_by_the_formula_and_numerically() -> None:
    X, dout = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 3))
    bn = BatchNorm(RNG.normal(size=3), RNG.normal(size=3))
    bn.forward(X)
    dX = bn.backward(dout)
    sigma = np.sqrt(X.var(axis=0) + 1e-8)
    standardised = (X - X.mean(axis=0)) / sigma
    c, d = dout.mean(axis=0), (standardised * dout).mean(axis=0)
    np.testing.assert_allclose(bn.dbeta, dout.sum(axis=0), rtol=1e-10)
    np.testing.assert_allclose(bn.dgamma, (standardised * dout).sum(axis=0), rtol=1e-10)
    np.testing.assert_allclose(dX, bn.gamma / sigma * (dout - c - standardised * d), rtol=1e-8, atol=1e-12)
    dgamma, dbeta = bn.dgamma, bn.dbeta
    for array, gradient in ((X, dX), (bn.gamma, dgamma), (bn.beta, dbeta)):
        assert close(gradient, numerical_gradient(lambda: float((bn.forward(X) * dout).sum()), array))


def test_8_3_layer_and_module_agree() -> None:
    X, dout = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 3))
    layer, module = BatchNorm(np.ones(3), np.zeros(3), eps=1e-5), nn.BatchNorm1d(3, dtype=gy.float64)
    x = gy.tensor(X, requires_grad=True)
    y = module(x)
    y.backward(gy.tensor(dout))
    np.testing.assert_allclose(layer.forward(X), y.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(layer.backward(dout), x.grad.numpy(), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(layer.dgamma, module.weight.grad.numpy(), rtol=1e-10)


def test_8_4_a_batch_of_one_gives_beta_and_says_why() -> None:
    bn = BatchNorm(np.array([2.0, 3.0]), np.array([0.5, -1.0]))
    bn.forward(RNG.normal(size=(10, 2)))
    collected = bn.running_mean.copy()
    with pytest.warns(UserWarning) as caught:
        y = bn.forward(np.array([[7.0, -3.0]]))
    np.testing.assert_array_equal(y, [[0.5, -1.0]])
    np.testing.assert_array_equal(bn.running_mean, collected)
    assert str(caught[0].message) == (
        "BatchNorm (training): expected a batch of 2 or more, got 1, which is its own "
        "mean, so Y = beta. Hint: predict with train=False."
    )
    assert (bn.forward(np.array([[7.0, -3.0]]), train=False) != y).all()


def test_8_4_the_module_refuses_a_training_batch_of_one_and_predicts_with_averages() -> None:
    bn = nn.BatchNorm1d(2)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        bn(gy.ones(1, 2))
    bn.eval()
    np.testing.assert_allclose(bn(gy.ones(1, 2)).tolist(), np.ones((1, 2)) / np.sqrt(1 + 1e-5), rtol=1e-6)
