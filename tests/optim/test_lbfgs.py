"""L-BFGS: what it finds, how often it asks, what it refuses. Beside PyTorch's: tests/parity/test_lbfgs.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gyaku as gy
from gyaku import nn, optim
from gyaku.base.errors import ArgumentError, ShapeError, UnknownNameError
from gyaku.optim.line_search import CURVATURE, DECREASE, Point, cubic_minimum, strong_wolfe

SEARCHES = [None, "strong_wolfe"]


def rosenbrock(x: Any) -> Any:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def closure_of(optimizer: optim.Optimizer, function: Any, calls: list[float]) -> Any:
    def closure() -> Any:
        optimizer.zero_grad()
        loss = function()
        loss.backward()
        calls.append(loss.item())
        return loss

    return closure


def test_the_valley_of_rosenbrock_is_walked_to_its_end() -> None:
    x = gy.tensor([-1.2, 1.0], dtype=gy.float64, requires_grad=True)
    optimizer = optim.LBFGS([x], max_iter=100, tolerance_change=1e-14, line_search_fn="strong_wolfe")
    calls: list[float] = []
    first = optimizer.step(closure_of(optimizer, lambda: rosenbrock(x), calls))
    assert first.item() == pytest.approx(24.2)  # the loss before anything moved
    np.testing.assert_allclose(x.detach().numpy(), [1, 1], atol=1e-6)
    state = optimizer.state[x]
    assert len(calls) == state["func_evals"] < 60 and state["n_iter"] < 45


@pytest.mark.parametrize("n", [1, 3, 6])
def test_a_quadratic_of_n_dimensions_needs_about_n_exact_steps(n: int) -> None:
    """With a line search that is nearly exact, L-BFGS is conjugate gradients on a quadratic (Nocedal 2006, 7.2)."""
    rng = np.random.default_rng(n)
    q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    a = gy.tensor(q @ np.diag(np.geomspace(1, 20, n)) @ q.T)
    x = gy.tensor(rng.normal(size=n), requires_grad=True)
    optimizer = optim.LBFGS(
        [x], max_iter=12 * n, line_search_fn="strong_wolfe", tolerance_change=0, tolerance_grad=1e-9
    )
    optimizer.step(closure_of(optimizer, lambda: 0.5 * x @ a @ x, []))
    assert abs(x.detach().numpy()).max() < 1e-8


@pytest.mark.parametrize("search", SEARCHES)
def test_one_call_of_many_directions_is_many_calls_of_one(search: str | None) -> None:
    """The memory of steps goes on from call to call, also through ``state_dict``, to the same bits."""

    def run(calls: int, per_call: int, saved: bool = False) -> Any:
        x = gy.tensor([-1.2, 1.0], dtype=gy.float64, requires_grad=True)
        make = lambda: optim.LBFGS([x], lr=0.5 if search else 1e-3, max_iter=per_call, line_search_fn=search)  # noqa: E731
        optimizer = make()
        for _ in range(calls):
            optimizer.step(closure_of(optimizer, lambda: rosenbrock(x), []))
            if saved:
                state, optimizer = optimizer.state_dict(), make()
                optimizer.load_state_dict(state)
        return x.detach().numpy().copy()

    np.testing.assert_array_equal(run(6, 1), run(6, 1, saved=True))
    np.testing.assert_allclose(run(6, 1), run(1, 6), rtol=1e-12)


def test_memory_is_bounded_and_saved_by_save(tmp_path: Any) -> None:
    x = gy.tensor(np.linspace(-1, 1, 7), requires_grad=True)
    optimizer = optim.LBFGS([x], history_size=3, max_iter=8, line_search_fn="strong_wolfe")
    optimizer.step(closure_of(optimizer, lambda: (x**4).sum() + (x - 0.3).exp().sum(), []))
    assert len(optimizer.state[x]["old_dirs"]) == len(optimizer.state[x]["ro"]) == 3
    gy.save(optimizer.state_dict(), tmp_path / "state.safetensors")
    twin = optim.LBFGS([x])
    twin.load_state_dict(gy.load(tmp_path / "state.safetensors"))
    assert twin.param_groups[0]["history_size"] == 3
    for name, value in optimizer.state[x].items():
        other = twin.state[x][name]
        assert type(other) is type(value)
        if name in ("func_evals", "n_iter"):
            assert other == value


def test_a_network_is_fitted_without_chance() -> None:
    gy.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    x = gy.linspace(-2, 2, 41, dtype=gy.float64)[:, None]
    t = x.sin()
    optimizer = optim.LBFGS(net.parameters(), max_iter=200, line_search_fn="strong_wolfe")
    optimizer.step(closure_of(optimizer, lambda: nn.functional.mse_loss(net(x), t), []))
    assert nn.functional.mse_loss(net(x), t).item() < 1e-5


def test_a_compiled_step_runs_it_define_by_run_and_says_why() -> None:
    x = gy.tensor([3.0], requires_grad=True)
    optimizer = optim.LBFGS([x], max_iter=3)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (x**2).sum()
        loss.backward()
        return loss

    @gy.compile
    def step() -> Any:
        return optimizer.step(closure)

    with pytest.warns(UserWarning, match="LBFGS decides by values"):
        step()
    assert "LBFGS" in step.fallback_reason
    assert abs(x.item()) < 1e-3


def test_refusals() -> None:
    x, y = (gy.tensor([1.0], requires_grad=True) for _ in range(2))
    for message, make in {
        "one group": lambda: optim.LBFGS([{"params": [x]}, {"params": [y]}]),
        "max_iter": lambda: optim.LBFGS([x], max_iter=0),
        "history_size": lambda: optim.LBFGS([x], history_size=2.5),  # type: ignore[arg-type]
        "tolerance_grad": lambda: optim.LBFGS([x], tolerance_grad=math.nan),
        "a closure, got None": lambda: optim.LBFGS([x]).step(),
        "returns the loss": lambda: optim.LBFGS([x]).step(lambda: None),
    }.items():
        with pytest.raises(ArgumentError, match=message):
            make()
    with pytest.raises(UnknownNameError, match="strong_wolfe"):
        optim.LBFGS([x], line_search_fn="strong_wolf")
    wrong = optim.LBFGS([x]).state_dict() | {"state": {0: {"d": gy.zeros(3)}}}
    with pytest.raises(ShapeError, match="'d' of shape"):
        optim.LBFGS([x]).load_state_dict(wrong)


def test_a_loss_that_is_no_number_ends_the_call_without_moving_on() -> None:
    x = gy.tensor([2.0], requires_grad=True)
    optimizer = optim.LBFGS([x], max_iter=50, line_search_fn="strong_wolfe")
    calls: list[float] = []
    optimizer.step(closure_of(optimizer, lambda: (x * math.nan).sum(), calls))
    assert len(calls) <= optimizer.param_groups[0]["max_eval"] + 26


@settings(max_examples=60, deadline=None)
@given(st.floats(0.1, 5), st.floats(-2, 2), st.floats(0.05, 8), st.floats(0.1, 3))
def test_the_search_fulfils_both_conditions(a: float, b: float, t: float, c: float) -> None:
    """On a smooth function that grows at both ends, whatever the first step length."""

    def at(s: float) -> Point:
        f = a * (s - c) ** 2 + 0.3 * math.sin(3 * s + b)
        g = 2 * a * (s - c) + 0.9 * math.cos(3 * s + b)
        return Point(s, f, None, g)

    start = at(0.0)
    if start.slope >= -1e-3:
        return
    found, count = strong_wolfe(at, start, t, 1.0, 1e-9)
    assert count <= 26
    assert found.loss <= start.loss + DECREASE * found.t * start.slope
    assert abs(found.slope) <= -CURVATURE * start.slope


def test_the_cubic_finds_the_minimum_of_a_cubic() -> None:
    f = lambda t: t**3 - 3 * t  # lowest at 1  # noqa: E731
    a, b = (Point(t, f(t), None, 3 * t * t - 3) for t in (0.0, 3.0))
    assert cubic_minimum(a, b, 0, 3) == pytest.approx(1)
    assert cubic_minimum(b, a, 0, 3) == pytest.approx(1)
    assert cubic_minimum(a, b, 1.5, 3) == 1.5  # kept inside
    assert cubic_minimum(a, a, 1, 3) == 2  # nothing to go by: the middle
