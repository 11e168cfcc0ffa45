"""L-BFGS beside PyTorch's: the same places after the same numbers of evaluations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"lr": 0.01},
    "plain, small memory": {"lr": 0.05, "history_size": 2},
    "wolfe": {"line_search_fn": "strong_wolfe"},
    "wolfe, small memory": {"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 7},
    "few evaluations": {"line_search_fn": "strong_wolfe", "max_eval": 5},
    "coarse": {"line_search_fn": "strong_wolfe", "tolerance_grad": 1e-2, "tolerance_change": 1e-3},
    "long first step": {"line_search_fn": "strong_wolfe", "lr": 20.0},
}


def rosenbrock(T: Any, x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def ridge(T: Any, x: Any) -> Any:
    return (x**4).sum() + 3 * (x * T.arange(1, 1 + len(x))).sum().cos() + T.exp(-x).sum()


def outcome(
    T: Any, function: Any, dtype: str, options: dict[str, Any]
) -> tuple[list[Any], list[float], dict[str, Any]]:
    x = T.tensor(np.array([-1.2, 1.0, 0.4, -0.3]).tolist(), dtype=getattr(T, dtype), requires_grad=True)
    optimizer = T.optim.LBFGS([x], **options)
    places, losses = [], []

    def closure() -> Any:
        optimizer.zero_grad()
        loss = function(T, x)
        loss.backward()
        losses.append(float(loss.item()))
        return loss

    for _ in range(3):
        optimizer.step(closure)
        places.append(x.detach().numpy().copy())
    return places, losses, dict(optimizer.state[x])


@pytest.mark.parametrize("function", [rosenbrock, ridge])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_same_path(function: Any, options: dict[str, Any]) -> None:
    (places, losses, state), (expected, their_losses, theirs) = (
        outcome(T, function, "float64", options) for T in (gy, torch)
    )
    assert len(losses) == len(their_losses)
    np.testing.assert_allclose(losses, their_losses, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(places, expected, rtol=1e-6, atol=1e-8)
    assert set(state) == set(theirs) - {"al"}
    assert (state["func_evals"], state["n_iter"]) == (theirs["func_evals"], theirs["n_iter"])


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_same_path_in_single_precision(options: dict[str, Any]) -> None:
    (_, losses, _), (_, their_losses, _) = (outcome(T, ridge, "float32", options) for T in (gy, torch))
    np.testing.assert_allclose(losses[:4], their_losses[:4], rtol=1e-4)
    if "line_search_fn" in options:  # without a search the path is unstable, and rounding decides where it goes
        np.testing.assert_allclose(losses[-1], their_losses[-1], rtol=1e-3)
