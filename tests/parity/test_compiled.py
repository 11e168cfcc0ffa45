"""All drawn models and schedules through machine code against eager: gradients, buffers, rules, free training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gyaku as gy
from compiler.compare import bit_faults, classifier_step, rule_faults, step_faults, turn_everything
from compiler.models import COUNT
from gyaku import nn, optim

pytestmark = pytest.mark.parity
pytest.importorskip("llvmlite", reason="machine code needs llvmlite: pip install 'gyaku[compile]'")


@pytest.mark.parametrize("first", range(0, COUNT, 10))
def test_each_step_from_the_state_of_eager(first: int) -> None:
    assert [fault for seed in range(first, first + 10) for fault in step_faults(seed, "cpu")] == []


@pytest.mark.parametrize("first", range(0, COUNT, 20))
def test_each_rule_with_the_same_gradients(first: int) -> None:
    assert [fault for seed in range(first, first + 20) for fault in rule_faults(seed, "cpu")] == []


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("seed", range(3, COUNT, 20))
def test_the_bits_do_not_depend_on_the_number_of_threads(
    seed: int, turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if turned:
        turn_everything(monkeypatch)
    assert bit_faults(seed) == []


@pytest.mark.parametrize("first", range(0, COUNT, 10))
def test_each_step_with_features_first(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    turn_everything(monkeypatch)
    assert [fault for seed in range(first, first + 10, 5) for fault in step_faults(seed, "cpu")] == []


def trained(runner: str | None, dtype: str) -> tuple[float, float]:
    """Return loss and accuracy on the training digits after 100 free steps."""
    x, t = digits()
    gy.manual_seed(5)
    model = nn.Sequential(
        nn.Linear(64, 40),
        nn.BatchNorm1d(40),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(40, 40),
        nn.Tanh(),
        nn.Linear(40, 10),
    ).to(dtype)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    step = classifier_step(model, optimizer)
    run = step if runner is None else gy.compile(step, runner=runner)
    rng = np.random.default_rng(0)
    for _ in range(100):
        rows = rng.integers(0, len(x), 64)
        run(gy.tensor(x[rows].astype(dtype)), gy.tensor(t[rows]))
    model.eval()
    y = model(gy.tensor(x.astype(dtype)))
    loss = nn.functional.cross_entropy(y, gy.tensor(t)).item()
    return loss, float((y.argmax(1)._array == t).mean())


def digits() -> tuple[Any, Any]:
    """Return images and classes that can be learned: blobs around ten centres."""
    rng = np.random.default_rng(1)
    t = rng.integers(0, 10, 1500)
    return rng.normal(size=(10, 64))[t] + rng.normal(size=(1500, 64)), t


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_hundred_free_steps(dtype: str) -> None:
    (loss, accuracy), (other, found) = trained(None, dtype), trained("cpu", dtype)
    assert abs(other - loss) <= 0.01 * loss and abs(found - accuracy) <= 0.01
