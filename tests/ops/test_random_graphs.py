"""Random graphs of 5 to 40 operations: backward agrees with an independent forward mode to 1e-10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gyaku as gy
from gradient_check import check_second
from ops import duals
from ops.duals import Dual, both

Step = tuple[str, Callable[[Any], Any], Callable[[Dual], Dual]]
# Functions of one value that keep numbers of order one: name, on tensors, on dual numbers.
ONE: list[Step] = [
    ("tanh", lambda x: gy.tanh(x), duals.tanh),
    ("sigmoid", lambda x: gy.sigmoid(x), duals.sigmoid),
    ("sin", lambda x: gy.sin(x), duals.sin),
    ("cos", lambda x: gy.cos(x), duals.cos),
    ("neg", lambda x: -x, duals.neg),
    ("relu", lambda x: gy.relu(x), duals.relu),
    ("abs", lambda x: x.abs(), duals.absolute),
    ("exp of tanh", lambda x: gy.exp(gy.tanh(x)), lambda a: duals.exp(duals.tanh(a))),
    ("log1p of square", lambda x: gy.log1p(x**2), lambda a: duals.log1p(duals.square(a))),
    ("sqrt of 1 + square", lambda x: (1 + x * x).sqrt(), lambda a: duals.sqrt(duals.add(Dual(1, 0), duals.square(a)))),
    (
        "log of 1 + exp",
        lambda x: gy.log(1 + gy.exp(gy.tanh(x))),
        lambda a: duals.log(duals.add(Dual(1, 0), duals.exp(duals.tanh(a)))),
    ),
    ("expm1 of sin", lambda x: gy.expm1(gy.sin(x)), lambda a: duals.expm1(duals.sin(a))),
    ("transpose", lambda x: x.T if x.ndim == 2 else x, both(lambda v: v.T)),
    ("reshape", lambda x: x.reshape(-1), both(lambda v: v.reshape(-1))),
    ("sum over the first", lambda x: x.sum(0) / max(x.shape[0], 1), both(lambda v: v.sum(0) / v.shape[0])),
    ("mean over the last, kept", lambda x: x.mean(-1, keepdim=True), both(lambda v: v.mean(-1, keepdims=True))),
    ("every other", lambda x: x[::2], both(lambda v: v[::2])),
    ("repeated rows", lambda x: x[[0, -1, 0]], both(lambda v: v[[0, -1, 0]])),
    ("cat with itself", lambda x: gy.cat([x, 2 * x]), both(lambda v: np.concatenate([v, 2 * v]))),
    ("cumsum", lambda x: gy.cumsum(x, 0) / x.shape[0], both(lambda v: v.cumsum(0) / v.shape[0])),
    ("softmax", lambda x: gy.softmax(x, 0), lambda a: duals.softmax(a, 0)),
    ("logsumexp", lambda x: gy.logsumexp(x, 0), lambda a: duals.logsumexp(a, 0)),
    ("amax", lambda x: x.amax(0), lambda a: duals.amax(a, 0)),
    ("var", lambda x: x.var(0) if x.shape[0] > 1 else x, lambda a: duals.variance(a, 0) if a.shape[0] > 1 else a),
    (
        "prod of 1 + x/4",
        lambda x: (1 + gy.tanh(x) / 4).prod(0),
        lambda a: duals.product(duals.add(Dual(1, 0), duals.div(duals.tanh(a), Dual(4, 0))), 0),
    ),
]
TWO = [
    ("add", lambda a, b: a + b, duals.add),
    ("sub", lambda a, b: a - b, duals.sub),
    ("mul", lambda a, b: a * b, duals.mul),
    ("div", lambda a, b: a / (2 + gy.tanh(b)), lambda a, b: duals.div(a, duals.add(Dual(2, 0), duals.tanh(b)))),
    ("maximum", lambda a, b: gy.maximum(a, b), duals.maximum),
    ("minimum", lambda a, b: gy.minimum(a, b), duals.minimum),
    ("matmul", lambda a, b: a @ b, duals.matmul),
]


def fits(name: str, a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    if name == "matmul":
        return len(a) > 0 and len(b) > 0 and a[-1] == (b[-2] if len(b) > 1 else b[0])
    try:
        return np.prod(np.broadcast_shapes(a, b), dtype=int) < 200
    except ValueError:
        return False


def recipe(seed: int) -> tuple[list[np.ndarray], list[tuple[Any, ...]]]:
    """Draw leaves, and steps (operation, operands) that are known to fit by running them on dual numbers."""
    rng = np.random.default_rng(seed)
    leaves = [rng.normal(size=s) for s in ((3, 4), (4,), (4, 3), (1, 4), (3, 1))]
    values: list[Dual] = [Dual(x, np.zeros_like(x)) for x in leaves]
    steps: list[tuple[Any, ...]] = []
    count = int(rng.integers(5, 41))
    while len(steps) < count:
        i, j = (int(k) for k in rng.integers(0, len(values), size=2))
        if rng.random() < 0.5:
            step = ONE[rng.integers(len(ONE))]
            operands: tuple[int, ...] = (i,)
            usable = values[i].v.ndim > 0 and values[i].v.size > 0
        else:
            step, operands = TWO[rng.integers(len(TWO))], (i, j)
            usable = fits(step[0], values[i].shape, values[j].shape)
        if usable:
            out = step[2](*[values[k] for k in operands])
            if (
                out.v.size
                and out.v.size < 200
                and np.abs(out.v).max() < 20
                and _no_kink(step[0], [values[k] for k in operands])
            ):
                values.append(out)
                steps.append((step, operands))
    return leaves, steps


def _no_kink(name: str, operands: list[Dual]) -> bool:
    """Stay away from ties and zeros, where two right answers exist."""
    if name in ("relu", "abs"):
        return bool(np.abs(operands[0].v).min() > 1e-6)
    if name in ("maximum", "minimum"):
        return bool(np.abs(operands[0].v - operands[1].v).min() > 1e-6)
    if name == "amax":
        v = np.sort(operands[0].v, axis=0)
        return len(v) < 2 or bool((v[-1] - v[-2]).min() > 1e-6)
    return True


def run(values: list[Any], steps: list[tuple[Any, ...]], kind: int) -> list[Any]:
    values = list(values)
    for step, operands in steps:
        values.append(step[kind](*[values[k] for k in operands]))
    return values


def total(values: list[Any], weights: list[np.ndarray], start: int) -> Any:
    """Return the weighted sum of all results, so that each step matters and many values are used twice."""
    return sum((v * gy.Tensor(w)).sum() for v, w in zip(values[start:], weights, strict=True))


@pytest.mark.parametrize("seed", range(60))
def test_backward_agrees_with_dual_numbers(seed: int) -> None:
    arrays, steps = recipe(seed)
    rng = np.random.default_rng(seed + 1000)
    leaves = [gy.Tensor(a).requires_grad_() for a in arrays]
    results = run(leaves, steps, 1)
    weights = [rng.normal(size=v.shape) for v in results[len(leaves) :]]
    total(results, weights, len(leaves)).backward()
    for _ in range(3):
        directions = [rng.normal(size=a.shape) for a in arrays]
        forward = run([Dual(a, d) for a, d in zip(arrays, directions)], steps, 2)[len(arrays) :]
        expected = sum(float((f.d * w).sum()) for f, w in zip(forward, weights, strict=True))
        parts = [float((t.grad.numpy() * d).sum()) for t, d in zip(leaves, directions) if t.grad is not None]
        scale = 1 + sum(
            float(np.abs(t.grad.numpy() * d).sum()) for t, d in zip(leaves, directions) if t.grad is not None
        )
        assert abs(sum(parts) - expected) <= 1e-10 * scale, [s[0][0] for s in steps]


@pytest.mark.parametrize("seed", range(8))
def test_second_derivatives_through_whole_graphs(seed: int) -> None:
    arrays, steps = recipe(seed)

    def squashed(*leaves: Any) -> Any:
        return gy.tanh(sum((v * 0.1).sum() for v in run(list(leaves), steps[:12], 1)[len(leaves) :]))

    check_second(squashed, arrays, rtol=1e-5, atol=1e-6)


def test_every_step_is_drawn() -> None:
    drawn = {step[0] for seed in range(60) for step, _ in recipe(seed)[1]}
    assert drawn == {s[0] for s in [*ONE, *TWO]}
