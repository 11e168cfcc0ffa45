"""A compiled step beside eager, restarted from eager's state at each step, array by array: ‖difference‖ / ‖eager‖."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import gyaku as gy
from compiler.models import World, build
from gyaku import nn

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
RULE = 1e-6  # the update rule, given the same gradients


def worlds(seed: int) -> tuple[World, World]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build(seed), build(seed)


def distance(a: Any, b: Any, floor: float = 0.0) -> float:
    """Return ‖a - b‖ / max(‖b‖, floor); 0 for equal arrays, NaN against NaN too."""
    a, b = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    if np.array_equal(a, b, equal_nan=True):
        return 0.0
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), floor, 1e-300))


def copy_state(source: World, target: World) -> None:
    """Give ``target`` the weights, buffers and optimizer state of ``source``."""
    target.model.load_state_dict(source.model.state_dict())
    target.optimizer.load_state_dict(source.optimizer.state_dict())


def only_rounding(world: World) -> set[str]:
    """Return the gradients that are 0 but for rounding: those of the bias in front of a batch norm.

    Two orders of a sum give two values of such a 0, so they are compared with the largest gradient of the model.
    """
    layers = list(world.model)
    pairs = zip(layers, layers[1:])
    return {f"gradient of {i}.bias" for i, (_, behind) in enumerate(pairs) if isinstance(behind, nn.BatchNorm1d)}


def step_faults(seed: int, runner: str) -> list[str]:
    """Return what a compiled step, restarted from eager's state each time, makes of gradients, buffers and results."""
    eager, other = worlds(seed)
    step = gy.compile(other.step, runner=runner, keep_gradients=True)
    tolerance, faults = TOLERANCE[eager.dtype], []
    nothing = only_rounding(eager)
    gy.manual_seed(seed)
    for i, batch in enumerate(eager.batches):
        eager.before(i)
        other.before(i)
        copy_state(eager, other)
        state = gy.get_rng_state()
        wanted = [r._array.copy() for r in eager.step(*batch)]
        gy.set_rng_state(state)
        found = [r._array for r in step(*batch)]
        faults += [f"step {i} result {k}: {d:.1e}" for k, d in enumerate(map(distance, found, wanted)) if d > tolerance]
        a, b = other.arrays(), eager.arrays()
        largest = max((np.linalg.norm(v) for name, v in b.items() if name.startswith("gradient")), default=0)
        for name in b:
            kind = name.startswith("gradient") or "running" in name or "tracked" in name
            d = distance(a[name], b[name], largest if name in nothing else 0.0) if kind else 0.0
            faults += [f"step {i} {name}: {d:.1e}"] if d > tolerance else []
    if step.fallback_reason or step.traces > 2:
        faults.append(repr(step))
    return faults and [eager.text, *faults]


def rule_faults(seed: int, runner: str) -> list[str]:
    """Return what a compiled ``optimizer.step`` makes of the same gradients."""
    eager, other = worlds(seed)
    step, faults = gy.compile(lambda: other.optimizer.step(), runner=runner), []
    rng = np.random.default_rng(seed)
    for i in range(len(eager.batches)):
        eager.before(i)
        other.before(i)
        copy_state(eager, other)
        for p, q in zip(eager.model.parameters(), other.model.parameters(), strict=True):
            p.grad = gy.tensor(rng.normal(size=p.shape).astype(eager.dtype))
            q.grad = p.grad.clone()
        eager.optimizer.step()
        step()
        a, b = other.arrays(), eager.arrays()
        faults += [
            f"step {i} {name}: {d:.1e}"
            for name in b
            if not name.startswith("gradient") and (d := distance(a[name], b[name])) > RULE
        ]
    return faults and [eager.text, *faults]
