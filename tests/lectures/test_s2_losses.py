"""Section 2, losses and output layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gyaku as gy
import gyaku.nn.functional as F
from gyaku import nn
from gyaku.data import load, prepare
from gyaku.layers import RegressionLoss, SigmoidWithLoss, SoftmaxWithLoss
from gyaku.train import Objective, fit, task_of

RNG = np.random.default_rng(2)
N, K = 5, 3


def test_2_1_regression() -> None:
    y, t = RNG.normal(size=(N, 2)), RNG.normal(size=(N, 2))
    loss = RegressionLoss()
    E = sum((y[n, j] - t[n, j]) ** 2 for n in range(N) for j in range(2)) / (2 * N)
    assert loss.forward(y, t) == pytest.approx(E, rel=1e-12)
    np.testing.assert_allclose(loss.backward(), (y - t) / N, rtol=1e-12)
    # PyTorch's mean squared error divides by all elements and has no 1/2
    assert F.mse_loss(gy.tensor(y), gy.tensor(t)).item() == pytest.approx(E, rel=1e-12)  # two columns: 2N elements
    one = F.mse_loss(gy.tensor(y[:, :1]), gy.tensor(t[:, :1])).item()
    assert one == pytest.approx(2 * loss.forward(y[:, :1], t[:, :1]), rel=1e-12)


def test_2_2_two_classes() -> None:
    x, t = RNG.normal(size=(N, 1)), RNG.integers(0, 2, (N, 1)).astype(float)
    p = 1 / (1 + np.exp(-x))
    E = -sum(t[n, 0] * math.log(p[n, 0]) + (1 - t[n, 0]) * math.log(1 - p[n, 0]) for n in range(N)) / N
    loss = SigmoidWithLoss()
    assert loss.forward(x, t) == pytest.approx(E, rel=1e-12)
    np.testing.assert_allclose(loss.backward(), (p - t) / N, rtol=1e-10)
    z = gy.tensor(x, requires_grad=True)
    E2 = nn.BCEWithLogitsLoss()(z, gy.tensor(t))
    E2.backward()
    assert E2.item() == pytest.approx(E, rel=1e-12)
    np.testing.assert_allclose(z.grad.numpy(), (p - t) / N, rtol=1e-10)
    assert nn.BCELoss()(gy.tensor(p), gy.tensor(t)).item() == pytest.approx(E, rel=1e-10)


def test_2_3_k_classes() -> None:
    x, labels = RNG.normal(size=(N, K)), RNG.integers(0, K, N)
    T = np.eye(K)[labels]
    P = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    E = -sum(T[n, k] * math.log(P[n, k]) for n in range(N) for k in range(K)) / N
    loss = SoftmaxWithLoss()
    assert loss.forward(x, T) == pytest.approx(E, rel=1e-12)
    np.testing.assert_allclose(loss.backward(), (P - T) / N, rtol=1e-10)
    for target in (gy.tensor(labels), gy.tensor(T)):
        z = gy.tensor(x, requires_grad=True)
        E2 = nn.CrossEntropyLoss()(z, target)
        E2.backward()
        assert E2.item() == pytest.approx(E, rel=1e-12)
        np.testing.assert_allclose(z.grad.numpy(), (P - T) / N, rtol=1e-10)


def test_2_4_cross_entropy_is_the_expected_information() -> None:
    P, Q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.5, 0.3])
    information = -np.log(Q)  # I(A) = -log P(A), in nats
    H = float((P * information).sum())
    # probabilities as a target: softmax of log Q is Q
    assert F.cross_entropy(gy.tensor(np.log(Q)[None]), gy.tensor(P[None])).item() == pytest.approx(H, rel=1e-12)
    entropy = float((P * -np.log(P)).sum())
    divergence = F.kl_div(gy.tensor(np.log(Q)[None]), gy.tensor(P[None]), reduction="batchmean").item()
    assert divergence == pytest.approx(H - entropy, rel=1e-10) and entropy < H


def test_2_5_hinge_loss_of_the_highest_wrong_class_and_pytorch_s_mean() -> None:
    scores, t = gy.tensor([[1.0, 2.0, 0.5]], dtype=gy.float64), gy.tensor([0])
    assert nn.MultiClassHingeLoss()(scores, t).item() == 2.0
    assert nn.MultiMarginLoss()(scores, t).item() == pytest.approx(2.5 / 3, rel=1e-12)
    assert nn.MultiClassHingeLoss()(gy.tensor([[3.0, 2.0, 0.5]]), t).item() == 0.0  # a margin of 1 is enough


@pytest.mark.parametrize(
    ("t", "units", "task", "loss"),
    [
        (np.array([[0.5], [1.5]], np.float32), 1, "regression", F.mse_loss),
        (np.array([0, 1]), 1, "binary", lambda y, t: F.binary_cross_entropy_with_logits(y, t.float().unsqueeze(1))),
        (np.array([0, 2]), 3, "multiclass", F.cross_entropy),
    ],
)
def test_2_6_output_layer_and_loss_follow_from_the_target(t: Any, units: int, task: str, loss: Any) -> None:
    assert task_of(t, units) == task
    y = gy.tensor(RNG.normal(size=(2, units)).astype(np.float32))
    objective = Objective(task)
    assert objective.loss(y, gy.tensor(t)).item() == pytest.approx(loss(y, gy.tensor(t)).item(), rel=1e-6)
    if task != "regression":
        np.testing.assert_allclose(objective.probabilities(y.numpy()).sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("last", "units", "hint"),
    [(nn.Softmax(1), 3, "applies the softmax itself"), (nn.Sigmoid(), 1, "applies the sigmoid itself")],
)
def test_2_6_a_wrong_pair_warns(last: Any, units: int, hint: str) -> None:
    model = nn.Sequential(nn.Linear(2, units), last)
    x, t = RNG.normal(size=(12, 2)).astype(np.float32), np.arange(12) % max(units, 2)
    with pytest.warns(UserWarning, match=hint):
        fit(model, (x, t), epochs=1)


def test_2_7_training_development_and_evaluation_data_share_no_row() -> None:
    data = prepare(load("moons", n=200), dev=0.1, test=0.2)
    rows = [set(r.tolist()) for r in (data.rows_train, data.rows_dev, data.rows_test)]
    assert [len(r) for r in rows] == [140, 20, 40] and len(set.union(*rows)) == 200
    # what is fitted to data is fitted to training rows alone
    np.testing.assert_allclose(data.x_train.mean(axis=0), 0.0, atol=1e-6)
    assert abs(data.x_test.mean(axis=0)).max() > 1e-4
