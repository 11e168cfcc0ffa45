"""The checker of derivatives that the tests use: central differences in float64, and exact values at kinks.

It is written without the package's own ``gradcheck``, and is itself tested with slightly wrong derivatives
(``tests/ops/test_checker.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gyaku.core.backward import gradients_of
from gyaku.core.tensor import Tensor

Arrays = list[np.ndarray]
STEP = 1e-3  # the four-point formula errs by STEP⁴ f⁽⁵⁾/30 and by about 1e-16 |f| / STEP in rounding
SMALL = 40  # up to so many elements are checked one by one


class WrongDerivative(AssertionError):
    """A derivative differs from the numerical one."""


class AtKink(AssertionError):
    """The two sides have different slopes: the point lies at a kink, so draw another one."""


def leaf(array: Any) -> Tensor:
    """Return a tensor around a copy of ``array`` that wants its gradient where it can have one."""
    t = Tensor(np.array(array))
    return t.requires_grad_() if t._array.dtype.kind == "f" else t


def outputs_of(result: Any) -> list[Tensor]:
    """Return the differentiable outputs of a call."""
    several = result if isinstance(result, (tuple, list)) else [result]
    return [t for t in several if isinstance(t, Tensor) and t._array.dtype.kind == "f"]


def weights_of(function: Callable[..., Any], arrays: Sequence[Any], seed: int) -> Arrays:
    """Return a random weight for each element of each output, which makes a scalar of the outputs."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=t.shape) for t in outputs_of(function(*map(Tensor, arrays)))]


def weighted_value(function: Callable[..., Any], arrays: Sequence[Any], weights: Arrays) -> float:
    """Return the sum of outputs times weights."""
    outs = outputs_of(function(*map(Tensor, arrays)))
    return float(sum((t._array * w).sum() for t, w in zip(outs, weights, strict=True)))


def analytic(function: Callable[..., Any], arrays: Sequence[Any], weights: Arrays) -> list[Any]:
    """Return the gradient of ``weighted_value`` by each input, from the backward walk (zeros where none arrives)."""
    leaves = [leaf(a) for a in arrays]
    pairs = [(t, w) for t, w in zip(outputs_of(function(*leaves)), weights, strict=True) if t._node is not None]
    wanted = [t for t in leaves if t._node is not None]
    if not pairs:
        raise WrongDerivative("no output has a graph")
    found = iter(gradients_of([t for t, _ in pairs], wanted, [np.asarray(w) for _, w in pairs], False, False))
    grads = [next(found) if t._node is not None else None for t in leaves]
    return [np.zeros_like(t._array) if g is None and t._node is not None else g for g, t in zip(grads, leaves)]


def slope(f: Callable[[float], float]) -> float:
    """Return f'(0) by the four-point formula; ``AtKink`` when the slopes of the two sides differ."""
    h, middle, (a, b, c, d) = STEP, f(0.0), (f(k * STEP) for k in (-2, -1, 1, 2))
    before, after = (3 * middle - 4 * b + a) / (2 * h), (4 * c - d - 3 * middle) / (2 * h)
    if abs(before - after) > 1e-2 * (1 + abs(after)):
        raise AtKink(f"slopes {before} and {after} on the two sides")
    return (8 * (c - b) - (d - a)) / (12 * h)


def check_gradient(
    function: Callable[..., Any], arrays: Sequence[Any], *, seed: int = 0, rtol: float = 1e-7, atol: float = 1e-8
) -> None:
    """Compare backward with central differences: a random direction for any size, element by element when small.

    Raises ``WrongDerivative`` with the place and both numbers, ``AtKink`` where no derivative exists.
    """
    arrays = [np.asarray(a) for a in arrays]
    weights = weights_of(function, arrays, seed)
    grads = analytic(function, arrays, weights)
    _check_shapes(arrays, grads)
    rng = np.random.default_rng(seed + 1)
    for _ in range(2):
        _check_direction(function, arrays, weights, grads, [rng.normal(size=a.shape) for a in arrays], rtol, atol)
    for i, a in enumerate(arrays):
        if a.dtype.kind == "f" and a.size <= SMALL:
            _check_elements(function, arrays, weights, grads, i, rtol, atol)


def _check_shapes(arrays: Sequence[Any], grads: Sequence[Any]) -> None:
    for i, (a, g) in enumerate(zip(arrays, grads)):
        if g is not None and (g.shape != a.shape or g.dtype != a.dtype):
            raise WrongDerivative(f"gradient {i}: expected {a.dtype} {a.shape}, got {g.dtype} {g.shape}")


def _along(function: Any, arrays: Any, weights: Any, direction: Any) -> Callable[[float], float]:
    def f(t: float) -> float:
        moved = [a if d is None or a.dtype.kind != "f" else a + t * d for a, d in zip(arrays, direction)]
        return weighted_value(function, moved, weights)

    return f


def _check_direction(
    function: Any, arrays: Any, weights: Any, grads: Any, direction: Any, rtol: float, atol: float
) -> None:
    numerical = slope(_along(function, arrays, weights, direction))
    found = float(sum((g * d).sum() for g, d in zip(grads, direction) if g is not None))
    size = sum(float(np.abs(g * d).sum()) for g, d in zip(grads, direction) if g is not None)
    if not abs(found - numerical) <= atol + rtol * (size + abs(numerical)):
        raise WrongDerivative(f"random direction: numerically {numerical!r}, backward {found!r}")


def _check_elements(function: Any, arrays: Any, weights: Any, grads: Any, i: int, rtol: float, atol: float) -> None:
    for place in np.ndindex(arrays[i].shape):
        direction: list[Any] = [None] * len(arrays)
        direction[i] = np.zeros_like(arrays[i])
        direction[i][place] = 1
        numerical, found = slope(_along(function, arrays, weights, direction)), float(grads[i][place])
        if not abs(found - numerical) <= atol + rtol * abs(numerical):
            raise WrongDerivative(f"input {i} at {place}: numerically {numerical!r}, backward {found!r}")


def check_second(
    function: Callable[..., Any], arrays: Sequence[Any], *, seed: int = 0, rtol: float = 1e-6, atol: float = 1e-7
) -> None:
    """Check the gradient of the gradient: differentiable gradients against differences of the gradient itself.

    The incoming gradient is an input here too, so a rule that forgets to pass its derivative on is found.
    """
    arrays = [np.asarray(a) for a in arrays]
    weights = weights_of(function, arrays, seed)
    _check_same_first(function, arrays, weights)
    n = len(arrays)

    def gradient(*inputs: Tensor) -> list[Tensor]:
        xs, vs = inputs[:n], inputs[n:]
        xs = [x if x._node is not None or x._array.dtype.kind != "f" else x.requires_grad_() for x in xs]
        pairs = [(t, v) for t, v in zip(outputs_of(function(*xs)), vs, strict=True) if t._node is not None]
        wanted = [x for x in xs if x._node is not None]
        found = gradients_of([t for t, _ in pairs], wanted, [v for _, v in pairs], True, True)
        return [g for g in found if g is not None]

    if any(t._node is not None for t in gradient(*[leaf(a) for a in [*arrays, *weights]])):
        check_gradient(gradient, [*arrays, *weights], seed=seed + 7, rtol=rtol, atol=atol)


def _check_same_first(function: Any, arrays: Any, weights: Any) -> None:
    """The differentiable walk must give the numbers of the plain one."""
    leaves = [leaf(a) for a in arrays]
    pairs = [(t, w) for t, w in zip(outputs_of(function(*leaves)), weights, strict=True) if t._node is not None]
    wanted = [t for t in leaves if t._node is not None]
    second = gradients_of([t for t, _ in pairs], wanted, [Tensor(w) for _, w in pairs], True, True)
    first = [g for g, a in zip(analytic(function, arrays, weights), arrays) if a.dtype.kind == "f"]
    for a, b in zip(first, second, strict=True):
        if b is not None:
            np.testing.assert_allclose(b._array, a, rtol=1e-11, atol=1e-12)


def check_kink(function: Callable[..., Any], arrays: Sequence[Any], expected: Sequence[Any]) -> None:
    """Compare the gradient of the sum of outputs with the declared one, exactly."""
    weights = [np.ones_like(w) for w in weights_of(function, arrays, 0)]
    for i, (g, e) in enumerate(zip(analytic(function, arrays, weights), expected, strict=True)):
        if e is not None and not np.array_equal(g, np.asarray(e, dtype=np.float64)):
            raise WrongDerivative(f"input {i} at the kink: declared {np.asarray(e).tolist()}, backward {g.tolist()}")
