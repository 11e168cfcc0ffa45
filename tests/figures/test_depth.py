"""Initial values, batch normalization and depth (7, 8, 10): the experiments at the quick level, and what must hold."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from figures.quick import assert_draws_in_both_languages, assert_finite_with_claims, outcome
from gyaku import nn
from gyaku.figures import skip
from gyaku.figures.experiment import make
from gyaku.figures.sets import images
from gyaku.figures.training import deltas, mlp

pytest.importorskip("matplotlib_fontja")
pytest.importorskip("threadpoolctl")  # here, not inside a test: its import sets an environment variable

NAMES = ("initial_values", "batch_norm", "how_deep", "vanishing", "remedies", "skip", "gradient_products")
CLAIMS = {
    "initial_values": 5,
    "batch_norm": 4,
    "how_deep": 4,
    "vanishing": 3,
    "remedies": 4,
    "skip": 3,
    "gradient_products": 3,
}


@pytest.mark.parametrize("name", NAMES)
def test_runs_with_finite_numbers_and_two_sided_claims(name: str) -> None:
    assert_finite_with_claims(name, CLAIMS[name])


@pytest.mark.parametrize("name", NAMES)
def test_draws_in_both_languages(name: str) -> None:
    assert_draws_in_both_languages(name)


@pytest.mark.parametrize("name", ["vanishing", "skip", "gradient_products"])
def test_another_run_gives_the_same_claims(name: str) -> None:
    assert make(name, "quick").claims == outcome(name).claims


def test_initial_values_law_and_histograms() -> None:
    o = outcome("initial_values")
    each = o.data["relu he"]
    assert each["histogram"].shape == (4, 40) and each["deviation"].shape == (1, 4)
    assert o.data["tanh large"]["histogram"].sum() == 4 * 10_000 * 100  # all values lie within -1..1
    assert o.data["identity he"]["ratio"].mean() == pytest.approx(2.0, rel=0.1)  # N V
    assert [c.held for c in o.claims] == [True, True, True, True, False]  # the last one is what Glorot cannot do


def test_batch_of_one_gives_beta_exactly() -> None:
    o = outcome("batch_norm")
    column = o.data["column"]
    assert (column["alone"] == 2.0).all()
    np.testing.assert_allclose(np.sort(column["pairs"], axis=1), [[0.5, 3.5]] * 25, rtol=1e-7)
    assert np.diff(column["predicted"]) == pytest.approx(np.diff(column["predicted"])[0])  # a straight line
    assert o.claims[2].held and o.claims[1].held


def test_batch_norm_answers_are_those_of_the_lecture_layers_for_a_batch_of_one() -> None:
    module: Any = importlib.import_module("gyaku.figures.batch_norm")
    net = mlp([64, 8, 8, 10], norm="batch", seed=3)
    with gy.no_grad():
        net[1][1].bias.copy_(gy.tensor(np.linspace(-1, 1, 8, dtype=np.float32)))
    x = images("digits").test[0][:4]
    h = np.maximum(np.linspace(-1, 1, 8), 0)  # what the last hidden layer gives when its norm gives β
    wanted = (h @ net[2].weight.detach().numpy().T + net[2].bias.detach().numpy()).argmax()
    assert module.answers(net, x, 1).tolist() == [wanted] * 4


def test_how_deep_has_every_combination() -> None:
    o = outcome("how_deep")
    assert o.data["accuracy"].shape == (2, 2, 2, 2, 2, 2)
    assert o.claims[0].held  # plain layers from small values stay at chance


def test_vanishing_keeps_the_bound_and_would_notice_a_larger_one() -> None:
    o = outcome("vanishing")
    largest = o.data["sigmoid 1 5"]["largest"]
    assert (largest <= 0.25 ** np.arange(1, 6) * (1 + 1e-12)).all()
    assert (o.data["tanh 1 5"]["largest"] > 0.25 ** np.arange(1, 6)).any()
    assert all(c.held for c in o.claims)


def test_remedies_beat_the_plain_net() -> None:
    o = outcome("remedies")
    assert o.data["plain"]["test"].max() < 0.2
    assert all(c.held for c in o.claims)


def test_skip_graph_numbers() -> None:
    o = outcome("skip")
    nodes = o.data["graph"]
    assert {k: v["value"] for k, v in nodes.items()} == pytest.approx({"x": 2, "a": 1, "h": 1, "F": -0.6, "y": 1.4})
    assert {k: v["gradient"] for k, v in nodes.items()} == pytest.approx(
        {"x": 0.7, "a": -0.6, "h": -0.6, "F": 1, "y": 1}
    )
    assert all(c.held for c in o.claims)
    assert skip.gradients(True, 0.0, 5).tolist() == [1.0] * (skip.BLOCKS + 1)


def test_gradient_products_are_autograds() -> None:
    o = outcome("gradient_products")
    assert o.data["sigmoid"]["error"].shape == (3, 8)
    assert o.data["sigmoid"]["error"].max() < 1e-12 and o.data["relu"]["error"].max() < 1e-12
    assert [c.held for c in o.claims][:2] == [True, True]


def test_deltas_obey_the_recurrence() -> None:
    """δ(l) = f'(a(l)) * δ(l+1) W(l+1), and the last one is (softmax - one-hot) / N (3.7, 2.3)."""
    net = mlp([64, 7, 6, 10], activation="tanh", seed=1).double()
    x, t = images("digits").few(5)
    x = x.astype(np.float64)
    first, second, last = deltas(net, (x, t))
    w1, w2, w3 = (m.weight.detach().numpy() for m in net.modules() if isinstance(m, nn.Linear))
    h1 = np.tanh(x @ w1.T)
    h2 = np.tanh(h1 @ w2.T)
    y = np.exp(h2 @ w3.T)
    np.testing.assert_allclose(last, (y / y.sum(axis=1, keepdims=True) - np.eye(10)[t]) / 5, atol=1e-12)
    np.testing.assert_allclose(second, (1 - h2**2) * (last @ w3), atol=1e-12)
    np.testing.assert_allclose(first, (1 - h1**2) * (second @ w2), atol=1e-12)
    assert deltas(net, (x, t))[0].shape == (5, 7)  # the hooks of the first call are gone
