"""``update(params, grads)`` on dictionaries: in place, with the lecture's memory, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku.optim as optim
from gyaku.core.tensor import Parameter, new_tensor
from gyaku.layers import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSProp

PAIRS = [
    (SGD(0.1), "SGD", {"lr": 0.1}),
    (Momentum(0.1, 0.8), "SGD", {"lr": 0.1, "momentum": 0.8}),
    (Nesterov(0.1, 0.8), "SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True}),
    (AdaGrad(0.1, 1e-10), "Adagrad", {"lr": 0.1}),
    (RMSProp(0.1, 0.9, 1e-8), "RMSprop", {"lr": 0.1, "alpha": 0.9}),
    (Adam(0.1), "Adam", {"lr": 0.1}),
    (Adam(0.1, eps_mode="inside", eps=0.1), "Adam", {"lr": 0.1, "eps_mode": "inside", "eps": 0.1}),
]


@pytest.mark.parametrize(("updater", "name", "options"), PAIRS, ids=[repr(p[2]) for p in PAIRS])
def test_agrees_with_the_optimizer_of_modules(updater: Any, name: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    params = {"W1": rng.normal(size=(2, 3)), "b1": rng.normal(size=3)}
    arrays = dict(params)
    twins = [Parameter(new_tensor(p.copy())) for p in params.values()]
    optimizer = getattr(optim, name)(twins, **options)
    for _ in range(10):
        grads = {k: rng.normal(size=p.shape) for k, p in params.items()}
        for t, g in zip(twins, grads.values(), strict=True):
            t.grad = new_tensor(g)
        updater.update(params, grads)
        optimizer.step()
    for p, a, t in zip(params.values(), arrays.values(), twins, strict=True):
        assert p is a
        np.testing.assert_allclose(p, t._array, rtol=1e-13, atol=1e-14)


def test_defaults_are_the_lecture_s() -> None:
    p = {"x": np.array([1.0, 2.0])}
    SGD().update(p, {"x": np.array([1.0, 1.0])})
    np.testing.assert_allclose(p["x"], [0.99, 1.99])
    m = Momentum()
    for _ in range(2):
        m.update(p, {"x": np.array([1.0, 1.0])})
    np.testing.assert_allclose(m.v["x"], -0.019)
    a = AdaGrad()
    a.update({"x": np.array([1.0])}, {"x": np.array([1e-7])})
    assert a.h["x"] == pytest.approx(1e-14)
    start = {"x": np.array([1.0])}
    AdaGrad().update(start, {"x": np.array([1e-7])})
    assert start["x"][0] == pytest.approx(1 - 0.01 * 0.5, rel=1e-12)  # 1e-7 is added to the root of h


def test_memory_goes_by_the_lecture_s_names() -> None:
    g = {"x": np.array([2.0])}
    adam, rms = Adam(), RMSProp(decay_rate=0.75)
    adam.update({"x": np.array([1.0])}, g)
    rms.update({"x": np.array([1.0])}, g)
    assert adam.s["x"] == pytest.approx(0.2) and adam.r["x"] == pytest.approx(0.004) and rms.h["x"] == 1.0


def test_plain_numbers_float32_and_a_changed_rate() -> None:
    params = {"x": -7.0, "y": 2.0}
    m = Momentum(0.1)
    m.update(params, {"x": -0.7, "y": 4.0})
    assert params == pytest.approx({"x": -6.93, "y": 1.6})
    m.lr = 0.0
    m.update(params, {"x": 100.0, "y": 100.0})
    assert params["x"] == pytest.approx(-6.93 + 0.9 * 0.07)  # the velocity keeps what the earlier rate gave it
    narrow = {"W": np.ones((2, 2), np.float32)}
    for o in (SGD(np.float64(0.1)), Adam(np.float64(0.1))):
        o.update(narrow, {"W": np.ones((2, 2), np.float32)})
        assert o.state["W"].get("exp_avg", narrow["W"]).dtype == np.float32


def test_penalties_fall_on_weights_only() -> None:
    params = {"W1": np.array([[2.0, 0.0, -4.0]]), "b1": np.array([2.0])}
    SGD(1.0, l2=0.25, l1=0.5).update(params, {k: np.zeros_like(p) for k, p in params.items()})
    np.testing.assert_allclose(params["W1"], [[0.5, 0.0, -1.5]])
    assert params["b1"] == 2.0


MISUSES: list[tuple[Any, type[Exception], str]] = [
    (
        lambda: SGD().update({"weight": np.ones(2)}, {"weigth": np.ones(2)}),
        KeyError,
        "SGD.update: expected a known gradient (weigth), got 'weight'. Hint: did you mean 'weigth'?",
    ),
    (
        lambda: SGD().update({"W": np.ones(2)}, {"W": np.ones(3)}),
        ValueError,
        "SGD.update: expected the gradient of 'W' of shape (2,), got (3,).",
    ),
    (
        lambda: SGD().update({"W": np.array([1, 2])}, {"W": np.ones(2)}),
        TypeError,
        "SGD.update: expected floating numbers in 'W', got int64.",
    ),
    (lambda: SGD(-0.1), ValueError, "SGD: expected 0 <= lr, got -0.1."),
    (lambda: Adam(float("nan")), ValueError, "Adam: expected 0 <= lr, got nan."),
    (
        lambda: Adam(eps_mode="rewriten"),
        KeyError,
        "Adam: expected a known eps_mode (inside, outside, rewritten), got 'rewriten'. Hint: did you mean 'rewritten'?",
    ),
]


@pytest.mark.parametrize(("build", "kind", "message"), MISUSES, ids=[m[2][:40] for m in MISUSES])
def test_misuse_gives_one_clear_message(build: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        build()
    assert str(caught.value) == message
